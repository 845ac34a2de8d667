package ring

import "syscall"

// Limits of stream mode.
const (
	StreamMin  = 64 << 10  // bytes of the first private buffer
	StreamMax  = 256 << 10 // bytes a private buffer grows to
	StreamHeld = 1 << 20   // bytes of private buffers a Conn may hold before it stops receiving
)

// receiver is the receiving half of a Conn.
//
// A Conn that holds its quota stops receiving and goes on when it has released half of it. One that was
// refused for want of shared buffers is parked in the loop until some have come back.
type receiver struct {
	recv     recvState
	rx       queue[*Buf]
	end      error // receiving has ended for good
	held     int   // what counts against the limit: shared buffers, or bytes of private ones
	bytes    int   // of private buffers held
	full     bool  // over the limit, not yet down to half
	parked   bool
	stream   bool
	into     *Buf // the private buffer of the receive in flight
	nextSize int  // of the next private buffer
}

type recvState uint8

const (
	recvIdle     recvState = iota // nothing in flight
	recvArmed                     // in flight
	recvStopping                  // in flight, and its end was asked for
)

// Take returns the oldest received Buf, whose reference passes to the caller; nil when there is none.
func (c *Conn) Take() *Buf {
	if c.rx.len() == 0 {
		return nil
	}
	return c.rx.pop()
}

// Stream turns the mode for large results on or off: on, bytes are received into private buffers of 64 to
// 256 KB instead of the shared ones, at most StreamHeld bytes of them.
//
// A low-water mark for the socket (SO_RCVLOWAT, with its deadline) has its place here and in arm.
func (c *Conn) Stream(on bool) {
	if c.stream != on {
		c.stream = on
		c.nextSize = StreamMin
		c.weigh()
		c.loop.touch(c)
	}
}

func (c *Conn) settleRecv() {
	wanted := c.phase == open && c.end == nil && !c.full && !c.parked
	switch {
	case c.recv == recvIdle && wanted:
		c.arm()
	case c.recv == recvArmed && (!wanted || c.stream != (c.into != nil)):
		c.recv = recvStopping
		c.loop.engine.StopRecv(c.id)
	}
}

func (c *Conn) arm() {
	c.recv = recvArmed
	if !c.stream {
		room := c.loop.set.Quota - c.held
		c.loop.engine.Recv(c.id, c.fd, nil, max(room, 1)*c.loop.set.BufferSize)
		return
	}
	c.into = c.loop.Get(c.nextSize)
	c.loop.engine.Recv(c.id, c.fd, c.into.Room(), 0)
}

// received takes the outcome of a receive.
func (c *Conn) received(ev Event) {
	b := c.bufferOf(ev)
	if !ev.More {
		c.recv, c.into = recvIdle, nil
		c.end = endOf(ev)
		if ev.N > 0 {
			c.end = nil
		}
	}
	if b != nil && ev.N > 0 && c.phase < closing {
		c.keep(b, ev.N)
	} else if b != nil {
		b.Release()
	}
	if ev.Err == syscall.ENOBUFS && c.phase == open {
		c.park()
	}
	c.loop.touch(c)
	c.loop.announce(c)
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
	if b.index != NoBuffer {
		c.held++
	} else {
		c.bytes += len(b.data)
		c.nextSize = nextStreamSize(len(b.data), n)
	}
	c.rx.push(b)
	c.weigh()
	c.loop.counters.Recvs++
	c.loop.counters.RecvBytes += uint64(n)
}

// nextStreamSize doubles a buffer that was filled, and halves one that was not filled to a quarter.
func nextStreamSize(size, n int) int {
	switch {
	case n == size:
		return min(2*size, StreamMax)
	case n < size/4:
		return max(size/2, StreamMin)
	}
	return size
}

// returned is told that a buffer received here has been released.
func (c *Conn) returned(b *Buf) {
	if b.index != NoBuffer {
		c.held--
	} else {
		c.bytes -= len(b.data)
	}
	c.weigh()
}

// weigh decides whether the Conn holds too much to receive more.
func (c *Conn) weigh() {
	held, limit := c.held, c.loop.set.Quota
	if c.stream {
		held, limit = c.bytes, StreamHeld
	}
	switch {
	case held >= limit:
		c.full = true
	case c.full && held <= limit/2:
		c.full = false
		c.loop.touch(c)
	}
}

func (c *Conn) park() {
	c.loop.counters.NoBuffers++
	c.loop.exhausted()
	c.parked = true
	c.loop.parked.push(c)
}
