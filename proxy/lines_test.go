package proxy

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"pgherd/proxy/session"
)

// TestLines: what is added before the end is written, and what does not fit is counted.
func TestLines(t *testing.T) {
	var out bytes.Buffer
	l := newLines(slog.New(slog.NewTextHandler(&out, nil)))
	for range linesLimit + 3 {
		l.add(session.Line{User: "alice", Message: "statement: x", Detail: "d"})
	}
	go l.write()
	l.close()
	if n := strings.Count(out.String(), "statement: x"); n != linesLimit || !strings.Contains(out.String(), "lines=3") ||
		!strings.Contains(out.String(), "client.user=alice") || l.bytes.Load() != 0 {
		t.Errorf("%d lines, %d bytes left, %.300s", n, l.bytes.Load(), out.String())
	}
}

// TestLinesAreBounded in bytes, too.
func TestLinesAreBounded(t *testing.T) {
	l := newLines(slog.New(slog.DiscardHandler))
	long := session.Line{Message: strings.Repeat("x", linesBytes/2)}
	for range 3 {
		l.add(long)
	}
	if len(l.queue) != 2 || l.lost.Load() != 1 {
		t.Errorf("%d queued, %d lost", len(l.queue), l.lost.Load())
	}
}
