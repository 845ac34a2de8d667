package ring_test

import (
	"bytes"
	"testing"

	"pgherd/proxy/ring"
)

func TestStreamOnAndOff(t *testing.T) {
	const total = 1 << 20
	worlds(t, func(t *testing.T, w world) {
		l := w.loop(t, ring.Settings{})
		fd, p := w.pair(t)
		c := l.Open(fd, nil)
		p.Write(streamed(1, 0, total))
		got, turns, largest := 0, 0, 0
		until(t, w, func() bool {
			turns++
			c.Stream(turns/3%2 == 1)
			for b := c.Take(); b != nil; b = c.Take() {
				check(t, "stream", 1, got, b.Bytes())
				got += len(b.Bytes())
				largest = max(largest, len(b.Bytes())+len(b.Room()))
				b.Release()
			}
			return got == total
		}, l)
		if largest < ring.StreamMin {
			t.Errorf("the largest buffer has %d bytes, so the Conn was never in stream mode", largest)
		}
		c.Close()
		whole(t, w, l)
	})
}

func TestStreamHoldsNoMoreThanItsLimit(t *testing.T) {
	const total = 3 << 20
	worlds(t, func(t *testing.T, w world) {
		l := w.loop(t, ring.Settings{})
		fd, p := w.pair(t)
		c := l.Open(fd, nil)
		c.Stream(true)
		p.Write(streamed(1, 0, total))
		pass(t, w, 500, l)
		held := c.Held()
		if held < ring.StreamHeld || held >= ring.StreamHeld+ring.StreamMax {
			t.Errorf("the Conn holds %d bytes of private buffers, the limit is %d", held, ring.StreamHeld)
		}
		var o collector
		until(t, w, func() bool { o.Ready(c); return len(o.got) == total }, l)
		if !bytes.Equal(o.got, streamed(1, 0, total)) {
			t.Error("the bytes of the stream are wrong")
		}
		c.Close()
		whole(t, w, l)
	})
}
