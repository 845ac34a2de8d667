package querylog

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
)

// TestWriter checks that lines added before the end are written, and that lines that do not fit are
// counted.
func TestWriter(t *testing.T) {
	var out bytes.Buffer
	w := NewWriter(slog.New(slog.NewTextHandler(&out, nil)))
	for range queueLimit + 3 {
		w.Add(Line{User: "alice", Message: "statement: x", Detail: "d"})
	}
	go w.Run()
	w.Close()
	if n := strings.Count(out.String(), "statement: x"); n != queueLimit || !strings.Contains(out.String(), "lines=3") ||
		!strings.Contains(out.String(), "client.user=alice") || w.bytes.Load() != 0 {
		t.Errorf("%d lines were written, %d bytes are left: %.300s", n, w.bytes.Load(), out.String())
	}
}

// TestQueueIsBounded checks the limit in bytes.
func TestQueueIsBounded(t *testing.T) {
	w := NewWriter(slog.New(slog.DiscardHandler))
	long := Line{Message: strings.Repeat("x", queueBytes/2)}
	for range 3 {
		w.Add(long)
	}
	if len(w.queue) != 2 || w.lost.Load() != 1 {
		t.Errorf("%d lines are queued, %d are lost", len(w.queue), w.lost.Load())
	}
}
