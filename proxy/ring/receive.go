package ring

import (
	"syscall"

	"pgherd/proxy/fifo"
)

// Limits of receiving, beside Settings.
const (
	StreamMin  = LowWater  // bytes of the first private buffer
	StreamMax  = 512 << 10 // bytes a private buffer grows to
	StreamHeld = 1 << 20   // bytes of private buffers a Conn may hold before it stops receiving

	slowSize = 64 << 10 // bytes of a private buffer for a stream that is not fast

	scarcity = 8 // a Conn's limit is divided by it while all Conns hold Settings.Held
)

// receiver is the receiving half of a Conn. A Conn that holds its limit stops receiving, and goes on when it
// has released half of it. A Conn that was refused because there was no shared buffer has bytes, or an end,
// to receive. It gets them once into a private buffer, whoever holds the shared ones (I5), and then asks for
// shared ones again. It is refused only when there is something to receive, so an idle Conn holds no buffer
// at all.
type receiver struct {
	recv     recvState
	rx       fifo.Queue[*Buf]
	end      error // receiving has ended for good
	held     int   // bytes of memory that count against the limit
	full     bool  // over the limit, not yet down to half
	refused  bool  // there was no shared buffer, so the next receive is private
	stream   bool
	into     *Buf // the private buffer of the receive in flight
	nextSize int  // of the next private buffer
	pace
}

type recvState uint8

const (
	recvIdle     recvState = iota // nothing in flight
	recvArmed                     // in flight
	recvStopping                  // in flight, and told to end
)

// Take returns the oldest received Buf, whose reference passes to the caller; nil when there is none.
func (c *Conn) Take() *Buf {
	if c.rx.Len() == 0 {
		return nil
	}
	return c.rx.Pop()
}

// Stream switches the mode for large results on or off. If it is on, bytes are received into private buffers
// of 256 to 512 KB instead of the shared ones, at most StreamHeld bytes of them, and a TCP socket collects
// LowWater bytes, or as many as come within LowWaterWait, before it wakes the thread.
func (c *Conn) Stream(on bool) {
	if c.stream != on && !c.loop.set.NoStream {
		c.stream = on
		c.nextSize = StreamMin
		c.weigh()
		c.loop.touch(c)
	}
}

func (c *Conn) settleRecv() {
	wanted := c.phase == open && c.end == nil && !c.full
	switch {
	case c.recv == recvIdle && wanted:
		c.arm()
	case c.recv == recvArmed && (!wanted || c.private() != (c.into != nil)):
		c.recv = recvStopping
		c.loop.engine.StopRecv(c.id)
	}
}

func (c *Conn) private() bool { return c.stream || c.refused }

func (c *Conn) arm() {
	c.recv = recvArmed
	size := c.loop.set.BufferSize
	if !c.private() {
		c.loop.engine.Recv(c.id, c.fd, nil, max(c.limit()-c.held, size))
		return
	}
	if c.stream {
		size = c.expect()
	}
	c.into = c.loop.Get(size)
	c.loop.engine.Recv(c.id, c.fd, c.into.Room(), 0)
}

// received takes the outcome of a receive.
func (c *Conn) received(ev Event) {
	b := c.bufferOf(ev)
	if !ev.More {
		c.recv, c.into = recvIdle, nil
		c.refused = ev.Err == syscall.ENOBUFS
		c.ends(ev)
	}
	if b != nil && ev.N > 0 && c.phase < closing {
		c.keep(b, ev.N)
	} else if b != nil {
		b.Release()
	}
	if ev.Err == syscall.ENOBUFS {
		c.loop.counters.NoBuffers++
		c.loop.exhausted()
	}
	c.loop.touch(c)
	c.loop.announce(c)
}

// ends notes whether the outcome of the last receive is the end. What becomes of the receive of a Conn that was
// aborted changes nothing.
func (c *Conn) ends(ev Event) {
	switch {
	case c.end == ErrAborted:
	case ev.N > 0:
		c.end = nil
	default:
		c.end = endOf(ev)
	}
}

func (c *Conn) bufferOf(ev Event) *Buf {
	if ev.Shared != NoBuffer {
		return c.loop.claim(ev.Shared)
	}
	return c.into
}

func (c *Conn) keep(b *Buf, n int) {
	b.fill = n
	b.from = c
	c.rx.Push(b)
	c.hold(len(b.data))
	if b.index == NoBuffer {
		c.nextSize = nextStreamSize(len(b.data), n)
		c.measure(n)
	}
	c.loop.counters.Recvs++
	c.loop.counters.RecvBytes += uint64(n)
}

// nextStreamSize doubles a buffer that was filled, and halves one that was not filled to a quarter.
func nextStreamSize(size, n int) int {
	switch {
	case n == size:
		size *= 2
	case n < size/4:
		size /= 2
	}
	return max(StreamMin, min(size, StreamMax))
}

// hold counts the memory of received buffers; bytes is negative when one is released.
func (c *Conn) hold(bytes int) {
	c.held += bytes
	c.loop.held += bytes
	c.weigh()
}

// limit is the memory of buffers at which the Conn stops receiving. When all Conns together hold too much,
// each may hold less; a Conn that holds nothing may always receive.
func (c *Conn) limit() int {
	limit := c.loop.set.Quota * c.loop.set.BufferSize
	if c.stream {
		limit = StreamHeld
	}
	if c.loop.held >= c.loop.set.Held {
		limit /= scarcity
	}
	return limit
}

// weigh decides whether the Conn holds too much to receive more.
func (c *Conn) weigh() {
	switch limit := c.limit(); {
	case c.held >= limit:
		c.full = true
	case c.full && c.held <= limit/2:
		c.full = false
		c.loop.touch(c)
	}
}
