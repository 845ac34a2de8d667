package ring

import (
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

type echo struct {
	other *Conn
	n     int
}

func (e *echo) Ready(c *Conn) {
	for b := c.Take(); b != nil; b = c.Take() {
		e.n++
		c.Send(b, b.Bytes())
		b.Release()
	}
}

func benchPing(b *testing.B, engine string) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	l, err := New(Settings{Engine: engine})
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	p, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		b.Fatal(err)
	}
	x, y := &echo{}, &echo{}
	c := l.Open(p[0], x)
	l.Open(p[1], y)
	c.Write(make([]byte, 100))
	b.ReportAllocs()
	b.ResetTimer()
	for x.n < b.N {
		if err := l.Turn(Forever); err != nil {
			b.Fatal(err)
		}
	}
	k := l.Counters()
	b.ReportMetric(float64(k.Enters)/float64(b.N), "enters/op")
	b.ReportMetric(float64(k.Turns)/float64(b.N), "turns/op")
}

func BenchmarkPingEpoll(b *testing.B) { benchPing(b, "epoll") }
func BenchmarkPingURing(b *testing.B) { benchPing(b, "io_uring") }
