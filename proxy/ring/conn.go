package ring

import (
	"errors"
	"io"
	"syscall"
)

// Conn is one socket of a Loop. The zero value cannot be used; Loop.Open makes a Conn.
type Conn struct {
	loop      *Loop
	owner     Owner
	fd        int
	id        ID
	phase     phase
	dirty     bool // in loop.dirty
	announced bool // in loop.ready
	receiver
	sender
}

// phase is a Conn's life; it only ever grows, by setPhase.
type phase uint8

const (
	open      phase = iota
	detaching       // Detach was called: no new receive is started
	closing         // Close was called: waiting until nothing is in flight
	gone            // the descriptor is closed or handed over
)

func (c *Conn) setPhase(p phase) {
	if p < c.phase {
		panic("ring: Conn goes back in life")
	}
	c.phase = p
	c.loop.touch(c)
}

// SetOwner changes who is told of changes. The new owner looks for itself at what is there already.
func (c *Conn) SetOwner(o Owner) { c.owner = o }

// settle starts and stops receives and sends as the Conn's state requires, and ends the Conn when it is
// closing and nothing is in flight.
func (c *Conn) settle() {
	if c.phase == gone {
		return
	}
	c.settleMark()
	c.settleRecv()
	c.settleSend()
	if c.phase == closing && c.quiet() {
		c.loop.vacate(c)
		c.loop.engine.CloseSocket(c.fd)
		c.setPhase(gone)
	}
}

func (c *Conn) quiet() bool { return c.recv == recvIdle && !c.sending }

// Detach stops receiving. Once it has really stopped Ready is called and Detached reports ok; bytes that
// arrived meanwhile stay readable by Take.
func (c *Conn) Detach() {
	if c.phase == open {
		c.setPhase(detaching)
		c.loop.announce(c)
	}
}

// Detached hands the descriptor over to the caller, once, when receiving has stopped and nothing is queued
// to send. After that only Take and Ended may be called.
func (c *Conn) Detached() (fd int, ok bool) {
	if c.phase != detaching || !c.quiet() || c.tx.Len() > 0 {
		return -1, false
	}
	c.settleMark()
	c.settleSend()
	c.loop.vacate(c)
	c.setPhase(gone)
	return c.fd, true
}

// Close ends the Conn now: what was received or queued is dropped, and the descriptor is closed as soon as
// the kernel no longer refers to any buffer. Ready is not called any more. It may be called repeatedly.
func (c *Conn) Close() {
	for c.rx.Len() > 0 {
		c.rx.Pop().Release()
	}
	if c.phase >= closing {
		return
	}
	c.setPhase(closing)
	if !c.sending {
		c.dropQueued()
	}
}

// Abort closes the Conn as Close does, but what the kernel has not delivered yet is dropped as well: the other
// side sees a reset. Ended then returns ErrAborted, by which the holder of the Conn finds out; Ready is not called.
func (c *Conn) Abort() {
	if c.phase < closing {
		c.loop.engine.Reset(c.fd)
	}
	c.Close()
	if c.end == nil {
		c.end = ErrAborted
	}
}

// ErrAborted is what Ended returns after Abort.
var ErrAborted = errors.New("read from socket: the connection was aborted")

// Ended is nil while bytes may still come. After the last Buf has been taken it is io.EOF, or the error
// that ended receiving.
func (c *Conn) Ended() error {
	if c.rx.Len() > 0 {
		return nil
	}
	return c.end
}

// EndSeen reports that nothing more will be received, by end or by error, though Bufs may still wait to be
// taken. It becomes true inside Turn, and the owner is told. The end of a stream lies behind its bytes, so it
// is not seen while the Conn holds its limit of them.
func (c *Conn) EndSeen() bool { return c.end != nil }

func endOf(ev Event) error {
	switch ev.Err {
	case 0:
		return io.EOF
	case syscall.ECANCELED, syscall.EINTR, syscall.EAGAIN, syscall.ENOBUFS:
		return nil // a receive has ended, but the stream goes on
	}
	return ev.Err
}
