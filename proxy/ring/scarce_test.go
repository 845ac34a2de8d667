package ring_test

import (
	"io"
	"testing"

	"pgherd/proxy/ring"
)

// hoard is a loop whose shared buffers are all held by Conns that make no progress: half of the Conns are not
// read, half are forwarded to a peer that does not read.
type hoard struct {
	loop   *ring.Loop
	unread []*ring.Conn
	stuck  []*ring.Conn // what these Conns receive is queued to dam
	dam    *ring.Conn
}

const (
	hoardEach  = 6
	hoardTotal = 64 << 10 // bytes sent to each Conn
)

var hoardSet = ring.Settings{Buffers: 16, BufferSize: 512, Quota: 4} // the shared buffers are a third of what the Conns may hold

func newHoard(t *testing.T, w world) *hoard {
	t.Helper()
	h := &hoard{loop: w.loop(t, hoardSet)}
	fd, _ := w.pair(t)
	h.dam = h.loop.Open(fd, nil)
	h.dam.Write(make([]byte, w.dam()))
	for i := range hoardEach {
		fd, p := w.pair(t)
		h.unread = append(h.unread, h.loop.Open(fd, nil))
		p.Write(streamed(i, 0, hoardTotal))
		fd, p = w.pair(t)
		h.stuck = append(h.stuck, h.loop.Open(fd, &forward{to: h.dam, limit: 1 << 40}))
		p.Write(streamed(i, 0, hoardTotal))
	}
	pass(t, w, 300, h.loop)
	if h.loop.Unused() > 0 && h.loop.Counters().NoBuffers == 0 {
		t.Fatal("no receive was refused, so nothing was tested")
	}
	return h
}

// release releases everything, and checks that nothing was lost.
func (h *hoard) release(t *testing.T, w world) {
	t.Helper()
	for i, c := range h.unread {
		var o collector
		until(t, w, func() bool { o.Ready(c); return len(o.got) == hoardTotal }, h.loop)
		check(t, "unread", i, 0, o.got)
		c.Close()
	}
	h.dam.Close()
	for _, c := range h.stuck {
		c.Close()
	}
}

// TestStalledConnsStallNobodyElse checks that a slow client slows down its own server, and no other one (I5).
func TestStalledConnsStallNobodyElse(t *testing.T) {
	const total = 20_000
	worlds(t, func(t *testing.T, w world) {
		h := newHoard(t, w)
		for i := range 6 {
			fd, p := w.pair(t)
			var o collector
			c := h.loop.Open(fd, &o)
			pass(t, w, i, h.loop) // the loop is idle for a while, or not
			p.Write(streamed(i, 0, total))
			until(t, w, func() bool { return len(o.got) == total }, h.loop)
			check(t, "conn", i, 0, o.got)
			p.CloseWrite()
			until(t, w, func() bool { return c.Ended() == io.EOF }, h.loop)
			c.Close()
		}
		h.release(t, w)
		whole(t, w, h.loop)
	})
}

// TestEndIsSeenWithoutBuffers checks that the end of a stalled connection is seen, however much of it is unread.
func TestEndIsSeenWithoutBuffers(t *testing.T) {
	worlds(t, func(t *testing.T, w world) {
		h := newHoard(t, w)
		fd, p := w.pair(t)
		c := h.loop.Open(fd, nil)
		p.Write([]byte("x"))
		p.CloseWrite()
		var o collector
		until(t, w, func() bool { o.Ready(c); return c.Ended() == io.EOF }, h.loop)
		if string(o.got) != "x" {
			t.Errorf("the owner got %q", o.got)
		}
		c.Close()
		h.release(t, w)
		whole(t, w, h.loop)
	})
}

// TestIdleConnsHoldNothing checks that thousands of idle Conns do not hold a buffer each.
func TestIdleConnsHoldNothing(t *testing.T) {
	worlds(t, func(t *testing.T, w world) {
		h := newHoard(t, w)
		idle := make([]*ring.Conn, 20)
		peers := make([]peer, len(idle))
		for i := range idle {
			var fd int
			fd, peers[i] = w.pair(t)
			idle[i] = h.loop.Open(fd, &collector{})
			peers[i].Write([]byte("busy once"))
		}
		pass(t, w, 200, h.loop)
		refused := h.loop.Counters().NoBuffers
		pass(t, w, 100, h.loop)
		for i, c := range idle {
			if c.Lent()+c.Held() != 0 {
				t.Errorf("idle Conn %d holds %d private bytes and %d received bytes", i, c.Lent(), c.Held())
			}
			c.Close()
		}
		if n := h.loop.Counters().NoBuffers - refused; n != 0 {
			t.Errorf("%d receives were refused, but there were no bytes to receive", n)
		}
		h.release(t, w)
		whole(t, w, h.loop)
	})
}

// TestPrivateBuffersAreAStopgap checks that private buffers are used only where shared ones are lacking, and count
// as those do.
func TestPrivateBuffersAreAStopgap(t *testing.T) {
	worlds(t, func(t *testing.T, w world) {
		h := newHoard(t, w)
		limited(t, h.loop)
		for i, c := range h.unread {
			if c.Held() > 2*hoardSet.Quota*hoardSet.BufferSize {
				t.Errorf("Conn %d still holds %d bytes", i, c.Held())
			}
		}
		h.release(t, w)
		whole(t, w, h.loop)
		fd, p := w.pair(t)
		shared := 0
		c := h.loop.Open(fd, nil)
		c.SetOwner(ownerFunc(func(c *ring.Conn) {
			for b := c.Take(); b != nil; b = c.Take() {
				if b.Room() == nil {
					shared++
				}
				b.Release()
			}
		}))
		p.Write(streamed(1, 0, 4000))
		until(t, w, func() bool { return shared > 0 }, h.loop)
		c.Close()
		whole(t, w, h.loop)
	})
}
