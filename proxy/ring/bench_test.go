package ring_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"pgherd/proxy/ring"
)

// echo sends everything back and counts it.
type echo struct{ n int }

func (e *echo) Ready(c *ring.Conn) {
	for b := c.Take(); b != nil; b = c.Take() {
		e.n++
		c.Send(b, b.Bytes())
		b.Release()
	}
}

// pingPong makes a loop with both ends of a socket, and a message that goes back and forth.
func pingPong(t testing.TB, set ring.Settings, family string) (*ring.Loop, *echo) {
	t.Helper()
	l, err := ring.New(set)
	if err != nil {
		ring.NoLoop(t, err)
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

// BenchmarkPingPong has as one operation a message there and back: two sends and two receives, all on
// the loop's thread.
func BenchmarkPingPong(b *testing.B) {
	for _, engine := range []string{"io_uring", "epoll"} {
		for _, family := range []string{"unix", "tcp"} {
			b.Run(engine+"/"+family, func(b *testing.B) { benchmarkPingPong(b, engine, family) })
		}
	}
}

func benchmarkPingPong(b *testing.B, engine, family string) {
	lockThread(b)
	l, e := pingPong(b, ring.Settings{Engine: engine}, family)
	b.ReportAllocs()
	before := threadTime()
	b.ResetTimer()
	for e.n < b.N {
		if err := l.Turn(ring.Forever); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(threadTime()-before)/float64(b.N), "cpu-ns/op")
	b.ReportMetric(float64(l.Counters().Enters)/float64(b.N), "enters/op")
}

const benchClients = 16

// BenchmarkRelay relays requests of clients, each on a goroutine with a blocking socket, to servers that
// echo, and back. cpu-ns/op is the time of the loop's thread, the figure to look at on a busy machine.
func BenchmarkRelay(b *testing.B) {
	for _, engine := range []string{"io_uring", "epoll"} {
		b.Run(engine, func(b *testing.B) { benchmarkRelay(b, engine) })
	}
}

func benchmarkRelay(b *testing.B, engine string) {
	lockThread(b)
	l, err := ring.New(ring.Settings{Engine: engine})
	if err != nil {
		b.Skip(err)
	}
	var left, done atomic.Int64
	left.Store(int64(b.N))
	var all sync.WaitGroup
	for range benchClients {
		client, server := blockingPair(b), blockingPair(b)
		newRelay(l.Open(client[0], nil), l.Open(server[0], nil), 1<<20)
		all.Go(func() { serveEcho(server[1]) })
		all.Go(func() {
			requests(client[1], &left)
			if done.Add(1) == benchClients {
				l.Wake()
			}
		})
	}
	before := threadTime()
	b.ResetTimer()
	for done.Load() < benchClients {
		if err := l.Turn(ring.Forever); err != nil {
			b.Fatal(err)
		}
	}
	b.StopTimer()
	b.ReportMetric(float64(threadTime()-before)/float64(b.N), "cpu-ns/op")
	b.ReportMetric(float64(l.Counters().Enters)/float64(b.N), "enters/op")
	l.Close()
	all.Wait()
}

// blockingPair makes two sockets of which the second one blocks.
func blockingPair(b *testing.B) [2]int {
	fds, err := tcpPair()
	if err != nil {
		b.Fatal(err)
	}
	_ = unix.SetNonblock(fds[1], false)
	return fds
}

func serveEcho(fd int) {
	defer syscall.Close(fd)
	p := make([]byte, 512)
	for {
		n, err := syscall.Read(fd, p)
		if err != nil || n == 0 {
			return
		}
		_, _ = syscall.Write(fd, p[:n])
	}
}

func requests(fd int, left *atomic.Int64) {
	defer syscall.Close(fd)
	p := make([]byte, 100)
	for left.Add(-1) >= 0 {
		_, _ = syscall.Write(fd, p)
		_, _ = syscall.Read(fd, p)
	}
}

func threadTime() int64 {
	var u unix.Rusage
	_ = unix.Getrusage(unix.RUSAGE_THREAD, &u)
	return u.Utime.Nano() + u.Stime.Nano()
}

func TestTurnDoesNotAllocate(t *testing.T) {
	for _, set := range []ring.Settings{{Engine: "io_uring"}, {Engine: "epoll"}, {Engine: "io_uring", Buffers: 1}, {Engine: "epoll", Buffers: 1}} {
		t.Run(fmt.Sprint(set.Engine, set.Buffers), func(t *testing.T) {
			lockThread(t)
			l, e := pingPong(t, set, "unix")
			if set.Buffers == 1 {
				defer occupy(t, l).Release()
			}
			turn := func() {
				if err := l.Turn(ring.Forever); err != nil {
					t.Fatal(err)
				}
			}
			for range 100 {
				turn()
			}
			if n := testing.AllocsPerRun(1000, turn); n != 0 {
				t.Errorf("got %v allocations per Turn, want none", n)
			}
			if e.n < 100 {
				t.Errorf("only %d messages were sent back", e.n)
			}
		})
	}
}

// occupy takes the only shared buffer of l.
func occupy(t *testing.T, l *ring.Loop) (b *ring.Buf) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fds[1])
	c := l.Open(fds[0], nil)
	defer c.Close()
	for range patience {
		_, _ = unix.Write(fds[1], []byte("x"))
		if err := l.Turn(0); err != nil {
			t.Fatal(err)
		}
		if b = c.Take(); b != nil && b.Room() == nil {
			return b
		} else if b != nil {
			b.Release()
		}
	}
	t.Fatal("the receive did not take the shared buffer")
	return nil
}
