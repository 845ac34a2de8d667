package ring

import (
	"syscall"

	"pgherd/proxy/fifo"
)

// WriteSize is the size of the private buffers into which Write copies small pieces.
const WriteSize = 4 << 10

// Relief is the length of a queue from which on somebody may wait for its end.
const Relief = 64 << 10

// sender is the sending half of a Conn: a queue of parts of Bufs, each holding its Buf until it is sent.
type sender struct {
	tx      fifo.Queue[part]
	queued  int
	sending bool // a prefix of tx is in flight
	stopped bool // that send was told to end
	telling bool // the owner is told of every send
	broken  error
	half    halfClose
}

type part struct {
	buf      *Buf
	from, to int  // bytes of buf.data
	own      bool // made by Write, which may add to it
}

type halfClose uint8

const (
	halfNone halfClose = iota
	halfWanted
	halfDone
)

// Send queues part, which is a piece of b.Bytes(), and holds b until it is sent. A piece that follows on
// the last one queued extends it.
func (c *Conn) Send(b *Buf, piece []byte) {
	if len(piece) == 0 || !c.maySend() {
		return
	}
	from := offset(b.Bytes(), piece)
	if c.tx.Len() > 0 {
		if p := c.tx.Last(); p.buf == b && p.to == from {
			p.to += len(piece)
			c.queued += len(piece)
			return
		}
	}
	b.Hold()
	c.enqueue(part{buf: b, from: from, to: from + len(piece)})
}

// Write queues a copy of p, in the last private buffer queued by Write while it has room.
func (c *Conn) Write(p []byte) {
	if len(p) == 0 || !c.maySend() {
		return
	}
	if c.tx.Len() > 0 && c.tx.Last().own {
		t := c.tx.Last()
		n := copy(t.buf.Room(), p) // behind what may be in flight
		t.buf.Fill(n)
		t.to += n
		c.queued += n
		p = p[n:]
	}
	for len(p) > 0 {
		b := c.loop.Get(max(WriteSize, min(len(p), StreamMax)))
		n := copy(b.Room(), p)
		b.Fill(n)
		c.enqueue(part{buf: b, to: n, own: true})
		p = p[n:]
	}
}

func (c *Conn) maySend() bool {
	if c.half != halfNone && c.broken == nil {
		c.broken = syscall.EPIPE
	}
	return c.phase < closing && c.broken == nil
}

func (c *Conn) enqueue(p part) {
	c.tx.Push(p)
	c.queued += p.to - p.from
	c.loop.touch(c)
}

// Queued is the number of bytes the kernel has not yet taken.
func (c *Conn) Queued() int { return c.queued }

// TellSends makes the owner be told of every send from now on.
func (c *Conn) TellSends() { c.telling = true }

// Broken is the error of sending, or nil. Later sends are dropped.
func (c *Conn) Broken() error { return c.broken }

// ShutdownWrite ends the sending direction once everything queued is sent.
func (c *Conn) ShutdownWrite() {
	if c.half == halfNone {
		c.half = halfWanted
		c.loop.touch(c)
	}
}

func (c *Conn) settleSend() {
	switch {
	case c.sending && c.phase == closing && !c.stopped:
		c.stopped = true
		c.loop.engine.StopSend(c.id)
	case c.sending || c.phase >= closing:
	case c.tx.Len() > 0:
		c.startSend()
	case c.half == halfWanted:
		c.half = halfDone
		if err := c.loop.engine.ShutdownWrite(c.fd); err != nil && c.broken == nil {
			c.broken = err
			c.loop.announce(c)
		}
	}
}

func (c *Conn) startSend() {
	parts := c.loop.parts[:min(c.tx.Len(), MaxParts)]
	for i := range parts {
		p := c.tx.At(i)
		parts[i] = p.buf.data[p.from:p.to]
	}
	c.sending = true
	c.loop.engine.Send(c.id, c.fd, parts)
	clear(parts)
}

// sent takes the outcome of a send.
func (c *Conn) sent(ev Event) {
	c.sending = false
	long := c.queued >= Relief
	c.consume(ev.N)
	if ev.Err != 0 && ev.Err != syscall.EAGAIN && ev.Err != syscall.EINTR {
		c.broken = ev.Err
	}
	if c.broken != nil || c.phase == closing {
		c.dropQueued()
	}
	c.loop.touch(c)
	if long || c.telling || c.broken != nil || c.phase != open {
		c.loop.announce(c)
	}
}

func (c *Conn) consume(n int) {
	if n <= 0 {
		return
	}
	c.loop.counters.Sends++
	c.loop.counters.SendBytes += uint64(n)
	c.queued -= n
	for n > 0 {
		p := c.tx.At(0)
		k := min(n, p.to-p.from)
		p.from += k
		n -= k
		if p.from == p.to {
			c.tx.Pop().buf.Release()
		}
	}
}

func (c *Conn) dropQueued() {
	for c.tx.Len() > 0 {
		c.tx.Pop().buf.Release()
	}
	c.queued = 0
}
