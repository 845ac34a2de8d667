package ring_test

import (
	"testing"

	"golang.org/x/sys/unix"

	"pgherd/proxy/ring"
)

// echo sends everything back and counts.
type echo struct{ n int }

func (e *echo) Ready(c *ring.Conn) {
	for b := c.Take(); b != nil; b = c.Take() {
		e.n++
		c.Send(b, b.Bytes())
		b.Release()
	}
}

// pingPong makes a loop with both ends of a socket, and a message that goes to and fro.
func pingPong(t testing.TB, engine, family string) (*ring.Loop, *echo) {
	t.Helper()
	l, err := ring.New(ring.Settings{Engine: engine})
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(l.Close)
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if family == "tcp" {
		fds, err = tcpPair()
	}
	if err != nil {
		t.Fatal(err)
	}
	e := &echo{}
	l.Open(fds[1], &echo{})
	l.Open(fds[0], e).Write(make([]byte, 100))
	return l, e
}

// One operation is a message there and back: two sends, two receives.
func BenchmarkPingPong(b *testing.B) {
	for _, engine := range []string{"io_uring", "epoll"} {
		for _, family := range []string{"unix", "tcp"} {
			b.Run(engine+"/"+family, func(b *testing.B) { benchmarkPingPong(b, engine, family) })
		}
	}
}

func benchmarkPingPong(b *testing.B, engine, family string) {
	lockThread(b)
	l, e := pingPong(b, engine, family)
	b.ReportAllocs()
	b.ResetTimer()
	for e.n < b.N {
		if err := l.Turn(ring.Forever); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(l.Counters().Enters)/float64(b.N), "enters/op")
}

func TestTurnDoesNotAllocate(t *testing.T) {
	for _, engine := range []string{"io_uring", "epoll"} {
		t.Run(engine, func(t *testing.T) {
			lockThread(t)
			l, e := pingPong(t, engine, "unix")
			turn := func() {
				if err := l.Turn(ring.Forever); err != nil {
					t.Fatal(err)
				}
			}
			for range 100 {
				turn()
			}
			if n := testing.AllocsPerRun(1000, turn); n != 0 {
				t.Errorf("%v allocations per Turn", n)
			}
			if e.n < 100 {
				t.Errorf("only %d messages went through", e.n)
			}
		})
	}
}
