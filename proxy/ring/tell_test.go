package ring

import (
	"syscall"
	"testing"
	"time"
)

type counting struct{ told int }

func (o *counting) Ready(*Conn) { o.told++ }

// TestWhoHearsOfSends checks that the owner is told of a send if it may wait for it: of one that relieves a
// long queue, breaks the Conn, or is the last one before the descriptor is handed over; or of all sends.
func TestWhoHearsOfSends(t *testing.T) {
	for name, c := range map[string]struct {
		queue, sent int
		before      func(*Conn)
		err         syscall.Errno
		told        int
	}{
		"a short queue":              {queue: 10, sent: 10},
		"a part of a short queue":    {queue: 10, sent: 3},
		"nearly a long queue":        {queue: Relief - 1, sent: Relief - 1},
		"a long queue":               {queue: Relief, sent: 1, told: 1},
		"the whole of a long queue":  {queue: 3 * Relief, sent: 3 * Relief, told: 1},
		"the owner asks for it":      {queue: 10, sent: 10, before: (*Conn).TellSends, told: 1},
		"broken":                     {queue: 10, err: syscall.EPIPE, told: 1},
		"a temporary error":          {queue: 10, err: syscall.EAGAIN},
		"the Conn is being detached": {queue: 10, sent: 10, before: (*Conn).Detach, told: 1},
	} {
		t.Run(name, func(t *testing.T) {
			e, o := &inert{}, &counting{}
			l := NewWith(e, Settings{})
			conn := l.Open(3, o)
			conn.Write(make([]byte, c.queue))
			e.complete(t, l)
			if c.before != nil {
				c.before(conn)
				e.complete(t, l)
			}
			o.told = 0
			e.complete(t, l, Event{ID: conn.id, Op: Sent, Shared: NoBuffer, N: c.sent, Err: c.err})
			if o.told != c.told {
				t.Errorf("the owner was told %d times, want %d", o.told, c.told)
			}
		})
	}
}

// TestRestOfAWait checks that the time of the brief wait is subtracted from the rest.
func TestRestOfAWait(t *testing.T) {
	for wait, want := range map[time.Duration]time.Duration{Forever: Forever, 6 * time.Millisecond: time.Millisecond, time.Second: 995 * time.Millisecond} {
		if got := rest(wait); got != want {
			t.Errorf("after %v of %v: got a rest of %v, want %v", briefWait, wait, got, want)
		}
	}
}
