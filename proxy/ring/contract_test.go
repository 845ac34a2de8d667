package ring_test

import (
	"errors"
	"io"
	"math/rand/v2"
	"sync"
	"syscall"
	"testing"

	"pgherd/proxy/ring"
)

// The scenarios below must hold on every engine. At the end of each, all buffers must be back.

// forward sends what arrives, straight from the buffers, to another Conn, as long as that one has not too much queued.
type forward struct {
	to    *ring.Conn
	limit int
	most  int // the highest Queued that was seen
	ended bool
}

func (f *forward) Ready(c *ring.Conn) {
	for f.to.Queued() < f.limit {
		b := c.Take()
		if b == nil {
			break
		}
		f.to.Send(b, b.Bytes())
		b.Release()
		f.most = max(f.most, f.to.Queued())
	}
	if !f.ended && c.Ended() == io.EOF {
		f.ended = true
		f.to.ShutdownWrite()
	}
}

// relay joins two Conns. When one is ready, the other one may have become able to go on.
type relay struct {
	a, b   *ring.Conn
	ab, ba *forward
}

func newRelay(a, b *ring.Conn, limit int) *relay {
	r := &relay{a: a, b: b, ab: &forward{to: b, limit: limit}, ba: &forward{to: a, limit: limit}}
	a.SetOwner(r)
	b.SetOwner(r)
	return r
}

func (r *relay) Ready(*ring.Conn) {
	r.ab.Ready(r.a)
	r.ba.Ready(r.b)
}

func TestEcho(t *testing.T) {
	worlds(t, func(t *testing.T, w world) {
		l := w.loop(t, ring.Settings{})
		fd, p := w.pair(t)
		c := l.Open(fd, nil)
		c.SetOwner(&forward{to: c, limit: 1 << 20})
		var got []byte
		for i := range 20 {
			p.Write(streamed(1, i*100, 100))
			until(t, w, func() bool { got = append(got, p.ReadSome(1000)...); return len(got) == (i+1)*100 }, l)
		}
		check(t, "echo", 1, 0, got)
		c.Close()
		whole(t, w, l)
		if !p.Gone() {
			t.Error("the socket is not closed")
		}
	})
}

func TestRelayBothWaysUnderBackPressure(t *testing.T) {
	const total, limit = 512 << 10, 64 << 10
	worlds(t, func(t *testing.T, w world) {
		rng := rand.New(rand.NewPCG(1, 2))
		l := w.loop(t, ring.Settings{})
		fd1, p1 := w.pair(t)
		fd2, p2 := w.pair(t)
		r := newRelay(l.Open(fd1, nil), l.Open(fd2, nil), limit)
		p1.Write(streamed(1, 0, total))
		p2.Write(streamed(2, 0, total))
		p1.CloseWrite()
		p2.CloseWrite()
		var at1, at2 int
		until(t, w, func() bool {
			if rng.IntN(3) > 0 {
				b := p2.ReadSome(rng.IntN(32 << 10))
				check(t, "first to second", 1, at1, b)
				at1 += len(b)
			}
			if rng.IntN(3) > 0 {
				b := p1.ReadSome(rng.IntN(32 << 10))
				check(t, "second to first", 2, at2, b)
				at2 += len(b)
			}
			return p1.Closed() != nil && p2.Closed() != nil
		}, l)
		if at1 != total || at2 != total || p1.Closed() != io.EOF {
			t.Errorf("%d and %d of %d bytes arrived, and the peer closed with %v", at1, at2, total, p1.Closed())
		}
		_, size := l.Memory()
		if most := max(r.ab.most, r.ba.most); most > limit+size {
			t.Errorf("%d bytes were queued, the limit is %d", most, limit)
		}
		r.a.Close()
		r.b.Close()
		whole(t, w, l)
	})
}

func TestQuotaStopsAGreedySocketOnly(t *testing.T) {
	set := ring.Settings{Buffers: 64, BufferSize: 1024, Quota: 8}
	const total = 512 << 10
	worlds(t, func(t *testing.T, w world) {
		l := w.loop(t, set)
		limited(t, l)
		fd, p := w.pair(t)
		c := l.Open(fd, nil) // its owner takes nothing
		p.Write(streamed(1, 0, total))
		pass(t, w, 300, l)
		held := c.Held() / set.BufferSize
		if held < set.Quota || held > set.Buffers/2 {
			t.Fatalf("the Conn holds %d buffers, want its quota of %d; there are %d", held, set.Quota, set.Buffers)
		}
		pass(t, w, 50, l)
		if now := c.Held() / set.BufferSize; now != held {
			t.Errorf("a Conn over its quota went on receiving: it held %d buffers, then %d", held, now)
		}

		fd2, p2 := w.pair(t)
		var other collector
		c2 := l.Open(fd2, &other)
		p2.Write(streamed(2, 0, 10_000))
		until(t, w, func() bool { return len(other.got) == 10_000 }, l)
		check(t, "the other", 2, 0, other.got)

		var got collector
		until(t, w, func() bool { got.Ready(c); return len(got.got) == total }, l)
		check(t, "the greedy", 1, 0, got.got)
		c.Close()
		c2.Close()
		whole(t, w, l)
	})
}

func TestCloseWhileReceivingAndSending(t *testing.T) {
	worlds(t, func(t *testing.T, w world) {
		l := w.loop(t, ring.Settings{})
		fd, p := w.pair(t)
		var o collector
		c := l.Open(fd, &o)
		big := make([]byte, w.dam())
		c.Write(big)
		p.Write([]byte("hello"))
		until(t, w, func() bool { return len(o.got) == 5 && c.Queued() < len(big) }, l)
		p.Write([]byte("again"))
		calls := o.calls
		c.Close()
		c.Close()
		if c.Take() != nil {
			t.Error("a closed Conn returns bytes")
		}
		whole(t, w, l)
		if o.calls != calls {
			t.Error("Ready is called after Close")
		}
		if !p.Gone() {
			t.Error("the socket is not closed")
		}
		c.Write(big[:1])
		c.Detach()
		if _, ok := c.Detached(); ok || c.Queued() != 0 {
			t.Error("a closed Conn is in use again")
		}
	})
}

// TestAbortedForEver: who looks at a Conn only long after Abort still learns of it.
func TestAbortedForEver(t *testing.T) {
	worlds(t, func(t *testing.T, w world) {
		l := w.loop(t, ring.Settings{})
		fd, p := w.pair(t)
		c := l.Open(fd, nil)
		c.SetOwner(&collector{})
		p.Write([]byte("hello"))
		pass(t, w, 5, l) // it is received
		c.Abort()
		whole(t, w, l)
		if !p.Gone() {
			t.Error("the socket is not closed")
		}
		if err := c.Ended(); err != ring.ErrAborted || !c.EndSeen() {
			t.Errorf("it has ended by %v, the end is seen: %t", err, c.EndSeen())
		}
	})
}

func TestPeerReset(t *testing.T) {
	worlds(t, func(t *testing.T, w world) {
		l := w.loop(t, ring.Settings{})
		fd, p := w.pair(t)
		var o collector
		c := l.Open(fd, &o)
		c.Write([]byte("never read"))
		pass(t, w, 20, l)
		p.Reset()
		until(t, w, func() bool { return c.Ended() != nil }, l)
		if !errors.Is(c.Ended(), syscall.ECONNRESET) {
			t.Errorf("the Conn ended by %v", c.Ended())
		}
		until(t, w, func() bool { c.Write([]byte("x")); return c.Broken() != nil }, l)
		c.Write([]byte("dropped"))
		if c.Queued() != 0 {
			t.Errorf("%d bytes are queued on a broken Conn", c.Queued())
		}
		c.Close()
		whole(t, w, l)
	})
}

func TestHalfClose(t *testing.T) {
	const total = 300 << 10
	worlds(t, func(t *testing.T, w world) {
		l := w.loop(t, ring.Settings{})
		fd, p := w.pair(t)
		var o collector
		c := l.Open(fd, &o)
		p.Write([]byte("last words"))
		p.CloseWrite()
		until(t, w, func() bool { return c.Ended() != nil }, l)
		if c.Ended() != io.EOF || string(o.got) != "last words" {
			t.Fatalf("got %q, and then the end by %v", o.got, c.Ended())
		}
		c.Write(streamed(1, 0, total))
		c.ShutdownWrite()
		var got []byte
		until(t, w, func() bool { got = append(got, p.ReadSome(4096)...); return p.Closed() != nil }, l)
		check(t, "answer", 1, 0, got)
		if len(got) != total || p.Closed() != io.EOF {
			t.Errorf("got %d of %d bytes, and then %v", len(got), total, p.Closed())
		}
		c.Write([]byte("too late"))
		if c.Queued() != 0 || c.Broken() != syscall.EPIPE {
			t.Error("a Write after ShutdownWrite is not refused")
		}
		c.Close()
		whole(t, w, l)
	})
}

func TestEndedWaitsForTheLastBuf(t *testing.T) {
	worlds(t, func(t *testing.T, w world) {
		l := w.loop(t, ring.Settings{})
		fd, p := w.pair(t)
		c := l.Open(fd, nil)
		told := false
		c.SetOwner(ownerFunc(func(c *ring.Conn) { told = c.EndSeen() }))
		p.Write([]byte("x"))
		pass(t, w, 50, l)
		if c.EndSeen() {
			t.Fatal("the Conn ended before the peer closed")
		}
		p.CloseWrite()
		until(t, w, func() bool { return c.EndSeen() }, l)
		if c.Ended() != nil || !told {
			t.Fatalf("the Conn ended before the last Buf was taken: %v; its owner was told: %v", c.Ended(), told)
		}
		c.Take().Release()
		if c.Ended() != io.EOF {
			t.Fatalf("after the last Buf the Conn ended by %v", c.Ended())
		}
		c.Close()
		whole(t, w, l)
	})
}

func TestEndSeenByReset(t *testing.T) {
	worlds(t, func(t *testing.T, w world) {
		l := w.loop(t, ring.Settings{})
		fd, p := w.pair(t)
		c := l.Open(fd, nil)
		p.Write([]byte("x"))
		until(t, w, func() bool { return c.Held() > 0 }, l)
		p.Reset()
		until(t, w, func() bool { return c.EndSeen() }, l)
		if c.Ended() != nil || c.Take() == nil || c.Ended() == nil {
			t.Error("the bytes before the error are lost")
		}
		c.Close()
	})
}

func TestDetachAndOpenElsewhere(t *testing.T) {
	const total, moves = 400 << 10, 40
	worlds(t, func(t *testing.T, w world) {
		loops := []*ring.Loop{w.loop(t, ring.Settings{}), w.loop(t, ring.Settings{})}
		fd, p := w.pair(t)
		p.Write(streamed(1, 0, total))
		c := loops[0].Open(fd, nil)
		c.Write([]byte("to be sent before the move"))
		var o collector
		moved := 0
		until(t, w, func() bool {
			if moved == moves {
				o.Ready(c)
				return len(o.got) == total
			}
			c.Detach()
			if fd, ok := c.Detached(); ok {
				o.Ready(c) // this takes what has arrived meanwhile
				moved++
				c.Close() // this has no effect on the socket
				c = loops[moved%2].Open(fd, nil)
			}
			return false
		}, loops...)
		check(t, "stream", 1, 0, o.got)
		if got := p.ReadSome(100); string(got) != "to be sent before the move" {
			t.Errorf("the peer got %q", got)
		}
		c.Close()
		whole(t, w, loops...)
	})
}

func TestDetachTellsTheOwner(t *testing.T) {
	worlds(t, func(t *testing.T, w world) {
		l := w.loop(t, ring.Settings{})
		fd, _ := w.pair(t)
		told := make(map[bool]int)
		c := l.Open(fd, nil)
		c.SetOwner(ownerFunc(func(c *ring.Conn) {
			_, ok := c.Detached()
			told[ok]++
		}))
		pass(t, w, 10, l)
		c.Detach()
		until(t, w, func() bool { return told[true] > 0 }, l)
		if _, ok := c.Detached(); ok {
			t.Error("the descriptor was handed over twice")
		}
		whole(t, w, l)
	})
}

type ownerFunc func(*ring.Conn)

func (f ownerFunc) Ready(c *ring.Conn) { f(c) }

func TestCoalescing(t *testing.T) {
	worlds(t, func(t *testing.T, w world) {
		l := w.loop(t, ring.Settings{})
		fd, p := w.pair(t)
		c := l.Open(fd, nil)
		b := l.Get(100)
		b.Fill(copy(b.Room(), "abcdef"))
		c.Send(b, b.Bytes()[:2])
		c.Send(b, b.Bytes()[2:4]) // this extends the part before
		c.Send(b, b.Bytes()[5:])  // this leaves a gap, so it is a new part
		c.Write([]byte("g"))
		c.Write([]byte("hi")) // this goes into the same private buffer
		b.Release()
		if c.Parts() != 3 || c.Queued() != 8 {
			t.Errorf("%d parts with %d bytes are queued", c.Parts(), c.Queued())
		}
		var got []byte
		until(t, w, func() bool { got = append(got, p.ReadSome(100)...); return len(got) == 8 && c.Queued() == 0 }, l)
		if string(got) != "abcdfghi" {
			t.Errorf("the peer got %q", got)
		}
		c.Close()
		whole(t, w, l)
	})
}

func TestPartsAddedWhileInFlight(t *testing.T) {
	const total = 600 << 10
	worlds(t, func(t *testing.T, w world) {
		l := w.loop(t, ring.Settings{})
		fd, p := w.pair(t)
		c := l.Open(fd, nil)
		written, got := 0, 0
		until(t, w, func() bool {
			for range 5 {
				n := min(1+(written*13)%700, total-written)
				c.Write(streamed(1, written, n))
				written += n
			}
			b := p.ReadSome(8 << 10)
			check(t, "peer", 1, got, b)
			got += len(b)
			return got == total
		}, l)
		c.Close()
		whole(t, w, l)
	})
}

func TestWakeFromOtherThreads(t *testing.T) {
	worlds(t, func(t *testing.T, w world) {
		l := w.loop(t, ring.Settings{})
		const wakers, rounds = 4, 200
		inbox := make(chan int, 1)
		var all sync.WaitGroup
		for i := range wakers {
			all.Go(func() {
				for range rounds {
					inbox <- i
					l.Wake()
				}
			})
		}
		for n := 0; n < wakers*rounds; {
			if err := l.Turn(ring.Forever); err != nil { // if a wake-up were lost, this would wait for ever
				t.Fatal(err)
			}
			for more := true; more; {
				select {
				case <-inbox:
					n++
				default:
					more = false
				}
			}
		}
		all.Wait()
	})
}

func TestSlotReuse(t *testing.T) {
	worlds(t, func(t *testing.T, w world) {
		l := w.loop(t, ring.Settings{})
		slots := make(map[uint32]int)
		for i := range 60 {
			fd, p := w.pair(t)
			o := &collector{}
			c := l.Open(fd, o)
			slots[c.Slot()]++
			p.Write(streamed(i, 0, 5000))
			c.Write(make([]byte, 100))
			until(t, w, func() bool { return len(o.got) > i*50 }, l)
			check(t, "conn", i, 0, o.got)
			c.Close() // operations are in flight
		}
		if len(slots) > 20 {
			t.Errorf("%d slots were used for one Conn at a time", len(slots))
		}
		whole(t, w, l)
	})
}

func TestBufsOutliveTheirConnAndLoop(t *testing.T) {
	worlds(t, func(t *testing.T, w world) {
		l := w.loop(t, ring.Settings{})
		fd, p := w.pair(t)
		c := l.Open(fd, nil)
		p.Write([]byte("kept"))
		var b *ring.Buf
		until(t, w, func() bool { b = c.Take(); return b != nil }, l)
		want := string(b.Bytes())
		c.Close()
		l.Close()
		if got := string(b.Bytes()); got != want {
			t.Errorf("a Buf that was held has changed from %q to %q", want, got)
		}
		b.Release()
		l.Wake() // a wake-up after the end has no effect
	})
}

func TestTurnWithoutWaiting(t *testing.T) {
	worlds(t, func(t *testing.T, w world) {
		l := w.loop(t, ring.Settings{})
		fd, p := w.pair(t)
		var o collector
		c := l.Open(fd, &o)
		p.Write(streamed(1, 0, 1000))
		for range patience {
			if len(o.got) == 1000 {
				break
			}
			if err := l.Turn(0); err != nil {
				t.Fatal(err)
			}
			w.step()
		}
		check(t, "stream", 1, 0, o.got)
		if len(o.got) != 1000 {
			t.Errorf("got %d bytes, want 1000", len(o.got))
		}
		c.Close()
		whole(t, w, l)
	})
}
