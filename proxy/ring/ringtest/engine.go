package ringtest

import (
	"bytes"
	"fmt"
	"syscall"
	"time"

	"pgherd/proxy/ring"
)

// One in how many: the engine's chances.
const (
	lateOneIn      = 3  // a completion waits for another Turn
	noBuffersOneIn = 64 // a receive is refused though there are buffers
	endOneIn       = 16 // a multishot receive ends by itself
	greedyOneIn    = 4  // a receive goes on although the Conn has enough
	scarceOneIn    = 4  // an engine has hardly any shared buffers, as long as it lives
)

const scarceLeft = 3 // shared buffers that one gives out at a time, at most

// engine is one Loop's kernel.
type engine struct {
	net      *Network
	loop     *ring.Loop
	memory   []byte
	size     int
	provided []int
	ops      []*op // in flight, in the order they were started
	turns    uint64
	limits   bool // a receive ends at its limit
	keeps    int  // provided buffers it never fills, as though stalled Conns held them
}

// op is an operation in flight.
type op struct {
	id     ring.ID
	kind   ring.Op
	socket *socket
	into   []byte   // private memory of a receive
	limit  int      // of a receive into shared buffers
	parts  [][]byte // of a send
	image  []byte   // what they were when it was started
	stop   bool
	done   bool // the network has taken sent bytes; the completion is on its way
	sent   int
}

func (e *engine) Name() string { return "simulation" }

func (e *engine) Start(l *ring.Loop) error {
	e.loop = l
	e.memory, e.size = l.Memory()
	if e.net.chance(scarceOneIn) {
		e.keeps = len(e.memory)/e.size - e.net.rng.IntN(scarceLeft+1)
	}
	return nil
}

func (e *engine) buffer(n int) []byte { return e.memory[n*e.size : (n+1)*e.size] }

func (e *engine) Provide(n int) {
	b := e.buffer(n)
	for i := range b {
		b[i] = Poison
	}
	e.provided = append(e.provided, n)
}

func (e *engine) Add(_ ring.ID, fd int) error {
	s := e.net.socket(fd)
	if s.engine != nil {
		panic("ringtest: socket opened in two loops")
	}
	s.engine = e
	return nil
}

func (e *engine) Remove(_ ring.ID, fd int) {
	s := e.net.socket(fd)
	if s.users > 0 {
		panic("ringtest: socket given up while in use")
	}
	if s.in.lowWater > 1 {
		panic("ringtest: socket given up with its low-water mark raised")
	}
	s.engine = nil
}

func (e *engine) Recv(id ring.ID, fd int, into []byte, limit int) {
	if into == nil && e.net.socket(fd).in.lowWater > 1 {
		panic("ringtest: low-water mark raised for a receive into shared buffers")
	}
	e.begin(&op{id: id, kind: ring.Received, socket: e.net.socket(fd), into: into, limit: limit})
}

func (e *engine) Send(id ring.ID, fd int, parts [][]byte) {
	o := &op{id: id, kind: ring.Sent, socket: e.net.socket(fd), parts: append([][]byte(nil), parts...)}
	o.image = bytes.Join(parts, nil)
	e.begin(o)
}

func (e *engine) begin(o *op) {
	if e.find(o.id, o.kind) != nil {
		panic(fmt.Sprintf("ringtest: two operations %d at once on %#x", o.kind, o.id))
	}
	if o.socket.engine != e {
		panic("ringtest: socket of another loop")
	}
	o.socket.users++
	e.ops = append(e.ops, o)
}

func (e *engine) find(id ring.ID, kind ring.Op) *op {
	for _, o := range e.ops {
		if o.id == id && o.kind == kind {
			return o
		}
	}
	return nil
}

func (e *engine) StopRecv(id ring.ID) { e.stop(id, ring.Received) }

func (e *engine) StopSend(id ring.ID) { e.stop(id, ring.Sent) }

func (e *engine) stop(id ring.ID, kind ring.Op) {
	if o := e.find(id, kind); o != nil {
		o.stop = true
	}
}

// LowWater is like the kernel's: the mark stays below half of what the socket has room for.
func (e *engine) LowWater(fd, bytes int) error {
	in := e.net.socket(fd).in
	in.lowWater = max(1, min(bytes, in.window/2))
	return nil
}

func (e *engine) ShutdownWrite(fd int) error {
	s := e.net.socket(fd)
	if s.reset {
		return syscall.ENOTCONN
	}
	s.out.fly(e.net, piece{fin: true})
	return nil
}

// Reset drops what was not delivered, and the peer sees a reset.
func (e *engine) Reset(fd int) {
	s := e.net.socket(fd)
	s.out.flying, s.out.load, s.reset = nil, len(s.out.waiting), true
}

func (e *engine) CloseSocket(fd int) {
	s := e.net.socket(fd)
	if s.users > 0 {
		panic("ringtest: socket closed while in use")
	}
	s.closed = true
	s.out.fly(e.net, piece{fin: true})
}

// Turn never blocks, whatever wait says: the test steps the network.
func (e *engine) Turn(time.Duration) error {
	e.turns++
	pending := e.ops
	e.ops = nil
	for _, o := range pending {
		if e.net.chance(lateOneIn) || !e.advance(o) {
			e.ops = append(e.ops, o)
		} else {
			o.socket.users--
		}
	}
	return nil
}

// advance lets o make progress and says whether that was its last.
func (e *engine) advance(o *op) (over bool) {
	if o.kind == ring.Sent {
		return e.advanceSend(o)
	}
	for {
		ev, some := e.receive(o)
		if !some {
			return false
		}
		wanted := e.loop.Complete(ev)
		if !ev.More {
			return true
		}
		if !wanted && !e.net.chance(greedyOneIn) {
			return false
		}
	}
}

// receive is the next completion of a receive, if there is one.
func (e *engine) receive(o *op) (ev ring.Event, some bool) {
	ev = ring.Event{ID: o.id, Op: ring.Received, Shared: ring.NoBuffer}
	in := o.socket.in
	switch {
	case o.socket.reset:
		ev.Err = syscall.ECONNRESET
	case o.stop && (len(in.waiting) == 0 || e.net.chance(2)):
		ev.Err = syscall.ECANCELED
	case len(in.waiting) < max(1, in.lowWater) && !in.eof:
		return ev, false
	case o.into == nil && (len(e.provided) <= e.keeps || e.net.chance(noBuffersOneIn)):
		ev.Err = syscall.ENOBUFS // also if what is to be reported is the end
	case len(in.waiting) == 0: // the end
	case o.into != nil:
		ev.N = in.read(o.into[:e.net.short(len(o.into))])
	default:
		ev.Shared, e.provided = e.provided[0], e.provided[1:]
		ev.N = in.read(e.buffer(ev.Shared)[:e.net.short(e.size)])
		o.limit -= ev.N
		ev.More = !e.net.chance(endOneIn) && !(e.limits && o.limit <= 0)
	}
	return ev, true
}

func (e *engine) advanceSend(o *op) (over bool) {
	ev := ring.Event{ID: o.id, Op: ring.Sent, Shared: ring.NoBuffer}
	switch {
	case o.done:
		ev.N = o.sent
	case o.socket.reset:
		ev.Err = syscall.ECONNRESET
	case o.stop:
		ev.Err = syscall.ECANCELED
	default:
		o.sent = o.socket.out.write(e.net, o.image)
		o.done = o.sent > 0
		return false
	}
	if !bytes.Equal(o.image, bytes.Join(o.parts, nil)) {
		panic("ringtest: memory of a send in flight was changed")
	}
	e.loop.Complete(ev)
	return true
}

// Wake has nothing to do: Turn does not block.
func (e *engine) Wake() {}

func (e *engine) Now() time.Duration { return time.Duration(e.net.now.UnixNano()) }

func (e *engine) Enters() uint64 { return e.turns }

func (e *engine) Features() []ring.Feature {
	return []ring.Feature{{Name: "simulation", Used: true}}
}

func (e *engine) Close() error { return nil }
