package ring_test

import (
	"errors"
	"fmt"
	"io"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"pgherd/proxy/ring"
)

// steady gives the loops of a kernel a clock that only step advances, by no more than tick.
func steady(w world, tick time.Duration) {
	if k, ok := w.(*kernel); ok {
		k.clock, k.tick = new(time.Duration), tick
	}
}

// heeds says whether the sockets of w obey a low-water mark.
func heeds(w world) bool {
	k, ok := w.(*kernel)
	return !ok || k.family == "tcp"
}

// raised opens a socket, and turns its loop until the mark is raised.
func raised(t *testing.T, w world, l *ring.Loop, o ring.Owner) (c *ring.Conn, fd int, p peer) {
	t.Helper()
	fd, p = w.pair(t)
	c = l.Open(fd, o)
	if w.lowWater(fd) != 1 {
		t.Fatal("the mark is raised at the beginning")
	}
	c.Stream(true)
	if heeds(w) {
		until(t, w, func() bool { return w.lowWater(fd) > 1 }, l)
	} else if pass(t, w, 50, l); w.lowWater(fd) != 1 {
		t.Fatal("the mark is raised on a socket that has none")
	}
	return c, fd, p
}

// TestFastStreamTakesFewReceives checks a stream as PostgreSQL sends it, 8 KB at a time, of which the loop
// sees each part. As no time passes, bytes below the mark wait for the rest.
func TestFastStreamTakesFewReceives(t *testing.T) {
	const total, piece = 4 << 20, 8 << 10
	for _, engine := range []string{"io_uring", "epoll"} {
		for _, off := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/off=%v", engine, off), func(t *testing.T) {
				k := newKernel(t, engine, "tcp")
				steady(k, 0)
				l := k.loop(t, ring.Settings{NoStream: off})
				var o collector
				fd, p := k.pair(t)
				c := l.Open(fd, &o)
				c.Stream(true)
				pass(t, k, 5, l)
				for at := 0; at < total; at += piece {
					p.Write(streamed(1, at, piece))
					pass(t, k, 1, l)
				}
				n := l.Counters()
				if each := n.RecvBytes / n.Recvs; !off && each < 64<<10 {
					t.Errorf("%d receives were used, of %d bytes each", n.Recvs, each)
				}
				if mark := k.lowWater(fd); (mark == 1) != off {
					t.Errorf("the mark is %d", mark)
				}
				k.tick = time.Millisecond
				until(t, k, func() bool { return len(o.got) == total }, l)
				check(t, "stream", 1, 0, o.got)
				c.Close()
				whole(t, k, l)
			})
		}
	}
}

// TestTailArrives checks that the end of a stream arrives although it is below the mark and the server keeps
// the connection open.
func TestTailArrives(t *testing.T) {
	worlds(t, func(t *testing.T, w world) {
		steady(w, 100*time.Microsecond)
		for _, total := range []int{1, 100, 100_000, 300_000} {
			l := w.loop(t, ring.Settings{})
			var o collector
			c, _, p := raised(t, w, l, &o)
			p.Write(streamed(1, 0, total))
			until(t, w, func() bool { return len(o.got) == total }, l)
			check(t, "stream", 1, 0, o.got)
			c.Close()
			whole(t, w, l)
		}
	})
}

// TestTailEndsTheWait checks the same on the engine's own clock, with a Turn that would wait for ever. The
// deadline ends it.
func TestTailEndsTheWait(t *testing.T) {
	const total = 100_000
	for _, engine := range []string{"io_uring", "epoll"} {
		t.Run(engine, func(t *testing.T) {
			k := newKernel(t, engine, "tcp")
			l := k.loop(t, ring.Settings{})
			fd, p := k.pair(t)
			var o collector
			c := l.Open(fd, &o)
			c.Stream(true)
			pass(t, k, 5, l)
			if p.Write(streamed(1, 0, total)); p.Unsent() > 0 {
				t.Fatal("the socket does not take so many bytes at once")
			}
			for len(o.got) < total {
				if err := l.Turn(ring.Forever); err != nil {
					t.Fatal(err)
				}
			}
			check(t, "stream", 1, 0, o.got)
			c.Close()
			whole(t, k, l)
		})
	}
}

// TestSmallReceiveBuffer checks a receive buffer that is smaller than the mark: the kernel lowers the mark to
// what fits.
func TestSmallReceiveBuffer(t *testing.T) {
	const total = 50_000
	for _, engine := range []string{"io_uring", "epoll"} {
		t.Run(engine, func(t *testing.T) {
			k := newKernel(t, engine, "tcp")
			l := k.loop(t, ring.Settings{})
			fd, p := k.pair(t)
			if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, 32<<10); err != nil {
				t.Fatal(err)
			}
			var o collector
			c := l.Open(fd, &o)
			c.Stream(true)
			p.Write(streamed(1, 0, total))
			until(t, k, func() bool { return len(o.got) == total }, l)
			check(t, "stream", 1, 0, o.got)
			c.Close()
			whole(t, k, l)
		})
	}
}

func TestTrickleIsNotKeptBack(t *testing.T) {
	worlds(t, func(t *testing.T, w world) {
		steady(w, 100*time.Microsecond)
		l := w.loop(t, ring.Settings{})
		var o collector
		c, fd, p := raised(t, w, l, &o)
		for i := range 30 {
			p.Write(streamed(1, i, 1))
			until(t, w, func() bool { return len(o.got) == i+1 }, l)
			pass(t, w, i, l)
			if mark := w.lowWater(fd); mark != 1 {
				t.Fatalf("the mark is %d after %d bytes, one at a time", mark, i+1)
			}
		}
		check(t, "trickle", 1, 0, o.got)
		c.Close()
		whole(t, w, l)
	})
}

func TestMarkFollowsTheSpeed(t *testing.T) {
	for _, engine := range []string{"io_uring", "epoll"} {
		t.Run(engine, func(t *testing.T) {
			k := newKernel(t, engine, "tcp")
			steady(k, 10*time.Microsecond)
			l := k.loop(t, ring.Settings{})
			var o collector
			c, fd, p := raised(t, k, l, &o)
			written := 0
			write := func(n int) {
				p.Write(streamed(1, written, n))
				written += n
			}
			for range 5 {
				until(t, k, func() bool {
					if p.Unsent() == 0 {
						write(64 << 10)
					}
					return k.lowWater(fd) > 1 && len(o.got) > written/2
				}, l)
				until(t, k, func() bool { return len(o.got) == written && k.lowWater(fd) == 1 }, l)
				write(1)
				until(t, k, func() bool { return len(o.got) == written }, l)
				if mark := k.lowWater(fd); mark != 1 {
					t.Fatalf("the mark is %d for one byte", mark)
				}
			}
			check(t, "stream", 1, 0, o.got)
			c.Close()
			whole(t, k, l)
		})
	}
}

// TestMarkIsLoweredBeforeTheNextOwner checks that no server returns to its pool with a raised mark, because
// the next session would wait until 128 KB have arrived. No deadline helps here: the clock does not advance.
func TestMarkIsLoweredBeforeTheNextOwner(t *testing.T) {
	single := func(t *testing.T, w world, l *ring.Loop, c *ring.Conn, p peer) {
		t.Helper()
		var o collector
		c.SetOwner(&o)
		p.Write([]byte("x"))
		until(t, w, func() bool { return string(o.got) == "x" }, l)
		c.Close()
		whole(t, w, l)
	}
	low := func(t *testing.T, w world, fd int) {
		t.Helper()
		if mark := w.lowWater(fd); mark != 1 {
			t.Fatalf("the mark is %d", mark)
		}
	}
	hand := func(t *testing.T, w world, l *ring.Loop, c *ring.Conn) (fd int) {
		t.Helper()
		c.Detach()
		ok := false
		until(t, w, func() bool { fd, ok = c.Detached(); return ok }, l)
		return fd
	}
	for what, hands := range map[string]func(t *testing.T, w world, l *ring.Loop, c *ring.Conn, fd int, p peer){
		"stream off": func(t *testing.T, w world, l *ring.Loop, c *ring.Conn, fd int, p peer) {
			c.Stream(false)
			pass(t, w, 1, l)
			low(t, w, fd)
			single(t, w, l, c, p)
		},
		"detached": func(t *testing.T, w world, l *ring.Loop, c *ring.Conn, _ int, p peer) {
			fd := hand(t, w, l, c)
			low(t, w, fd)
			single(t, w, l, l.Open(fd, nil), p)
		},
		"stream off and detached": func(t *testing.T, w world, l *ring.Loop, c *ring.Conn, _ int, p peer) {
			c.Stream(false)
			fd := hand(t, w, l, c)
			low(t, w, fd)
			single(t, w, l, l.Open(fd, nil), p)
		},
		"detached between turns while full": func(t *testing.T, w world, l *ring.Loop, c *ring.Conn, _ int, p peer) {
			p.Write(make([]byte, 2<<20))
			until(t, w, func() bool { return c.Held() >= ring.StreamHeld }, l)
			pass(t, w, 50, l)
			c.Detach()
			fd, ok := c.Detached()
			if !ok {
				t.Fatal("a Conn that does not receive is not handed over at once")
			}
			low(t, w, fd)
			for b := c.Take(); b != nil; b = c.Take() {
				b.Release()
			}
			l.Open(fd, nil).Close()
			whole(t, w, l)
		},
	} {
		t.Run(what, func(t *testing.T) {
			worlds(t, func(t *testing.T, w world) {
				steady(w, 0)
				l := w.loop(t, ring.Settings{})
				c, fd, p := raised(t, w, l, nil)
				hands(t, w, l, c, fd, p)
			})
		})
	}
}

// TestMarkIsLoweredByClose checks that Close lowers the mark, because a copy of the descriptor may outlive it.
func TestMarkIsLoweredByClose(t *testing.T) {
	for _, engine := range []string{"io_uring", "epoll"} {
		t.Run(engine, func(t *testing.T) {
			k := newKernel(t, engine, "tcp")
			steady(k, 0)
			l := k.loop(t, ring.Settings{})
			c, fd, _ := raised(t, k, l, nil)
			other, err := unix.Dup(fd)
			if err != nil {
				t.Fatal(err)
			}
			defer unix.Close(other)
			c.Close()
			whole(t, k, l)
			if mark := k.lowWater(other); mark != 1 {
				t.Errorf("the mark is %d", mark)
			}
		})
	}
}

func TestEndBelowTheMark(t *testing.T) {
	worlds(t, func(t *testing.T, w world) {
		steady(w, 0)
		l := w.loop(t, ring.Settings{})
		var o collector
		c, _, p := raised(t, w, l, &o)
		p.Write([]byte("last words"))
		p.CloseWrite()
		until(t, w, func() bool { return c.Ended() != nil }, l)
		if string(o.got) != "last words" || c.Ended() != io.EOF {
			t.Errorf("got %q, and then the end by %v", o.got, c.Ended())
		}
		c.Close()

		c, _, p = raised(t, w, l, nil)
		p.Reset()
		until(t, w, func() bool { return c.Ended() != nil }, l)
		if heeds(w) && !errors.Is(c.Ended(), syscall.ECONNRESET) {
			t.Errorf("after a reset the Conn ended by %v", c.Ended())
		}
		c.Close()
		whole(t, w, l)
	})
}

// TestBackPressureLeavesNoDeadline checks that a stream that its owner does not take stops, and has no deadline
// that would wake the loop in vain.
func TestBackPressureLeavesNoDeadline(t *testing.T) {
	const total = 2<<20 + 1
	worlds(t, func(t *testing.T, w world) {
		steady(w, 50*time.Microsecond)
		l := w.loop(t, ring.Settings{})
		c, _, p := raised(t, w, l, nil)
		p.Write(streamed(1, 0, total))
		until(t, w, func() bool { return c.Held() >= ring.StreamHeld }, l)
		pass(t, w, 20, l)
		if n := l.Deadlines(); n != 0 {
			t.Errorf("%d receives have a deadline, want none", n)
		}
		var o collector
		until(t, w, func() bool { o.Ready(c); return len(o.got) == total }, l)
		check(t, "stream", 1, 0, o.got)
		until(t, w, func() bool { return l.Deadlines() == 0 }, l)
		c.Close()
		whole(t, w, l)
	})
}

// TestScarceMemoryLowersTheMark checks that a stream goes on in small receives while the loop holds too much
// memory, and that none of them waits for a mark raised before. The stream is full at first, so its deadline
// is gone.
func TestScarceMemoryLowersTheMark(t *testing.T) {
	const total = 300_000
	worlds(t, func(t *testing.T, w world) {
		steady(w, 100*time.Microsecond)
		l := w.loop(t, ring.Settings{Held: 8 << 10})
		c, fd, p := raised(t, w, l, nil)
		held, q := w.pair(t)
		hoard := l.Open(held, nil)
		q.Write([]byte("nobody takes this"))
		until(t, w, func() bool { return hoard.Held() > 0 }, l)
		p.Write(streamed(1, 0, total))
		until(t, w, func() bool { return c.Held() > 0 }, l)
		pass(t, w, 20, l)
		var o collector
		until(t, w, func() bool { o.Ready(c); return len(o.got) == total }, l)
		check(t, "stream", 1, 0, o.got)
		if mark := w.lowWater(fd); mark != 1 {
			t.Errorf("the mark is %d", mark)
		}
		c.Close()
		hoard.Close()
		whole(t, w, l)
	})
}
