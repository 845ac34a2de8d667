package peer_test

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"pgherd/vip/peer"
)

// TestSeldom checks what is told when.
func TestSeldom(t *testing.T) {
	var s peer.Seldom
	for _, c := range []struct {
		text string
		at   int // in seconds
		want bool
	}{
		{"a is away", 0, true},
		{"a is away", 1, false},
		{"b is away", 2, true},
		{"a is away", 59, false},
		{"a is away", 60, true},
		{"a is away", 119, false},
	} {
		if got := s.Due(c.text, time.Unix(int64(c.at), 0)); got != c.want {
			t.Errorf("%s after %d s: got %v", c.text, c.at, got)
		}
	}
	later, told := time.Unix(1000, 0), 0
	for i := range 1000 {
		if s.Due(fmt.Sprint(i), later) {
			told++
		}
	}
	if told != 256 || !s.Due("a is away", later.Add(time.Minute)) {
		t.Errorf("%d of 1000 texts were told in a minute, want 256, and a minute later another one", told)
	}
}

// journal is a log that may be read while it is written.
type journal struct {
	lock sync.Mutex
	text strings.Builder
}

func (j *journal) Write(b []byte) (int, error) {
	j.lock.Lock()
	defer j.lock.Unlock()
	return j.text.Write(b)
}

// TestRefusedAgain has one that does not belong to the cluster connect again and again: the log has it once.
func TestRefusedAgain(t *testing.T) {
	var log journal
	n := listen(t, settings(t, "b", byKey(t, "correct horse"), func(s *peer.Settings) { s.Log = slog.New(slog.NewTextHandler(&log, nil)) }))
	for range 20 {
		c, err := net.Dial("tcp", n.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(c, "GET / HTTP/1.0\r\n\r\n")
		_, _ = io.Copy(io.Discard, c) // until it is refused
		c.Close()
	}
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	if got := strings.Count(log.text.String(), "is refused"); got != 1 {
		t.Errorf("the log has %d lines:\n%s", got, &log.text)
	}
}
