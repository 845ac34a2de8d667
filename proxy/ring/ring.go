// Package ring moves bytes between sockets and memory for one thread. It knows nothing of PostgreSQL.
//
// A Loop belongs to one locked OS thread: New, Turn, Close and every method of its Conns and Bufs are
// called there; only Wake may be called from elsewhere. Nothing happens outside Turn: what the methods ask
// for is noted, carried out at the start of the next Turn, and its outcome is told to each Conn's Owner at
// the end of a Turn. What differs between io_uring, epoll and the simulated network of package ringtest
// is behind Engine; queues, quotas, reference counts and coalescing are here, once.
//
// Invariants:
//   - received bytes come out of Take exactly once and in order; queued bytes are sent exactly once and in order;
//   - the kernel never reads or writes memory that has been given away: a Buf in flight is held;
//   - at most one receive and one send are in flight per Conn;
//   - a descriptor is handed on with its low-water mark at 1, and no mark keeps bytes back longer than LowWaterWait,
//     if the loop is turned;
//   - every queue of the package is bounded: receiving by Quota, StreamHeld and Held, free lists by their limits.
//     Only what is queued to send is the owner's to bound, by looking at Queued.
package ring

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"pgherd/proxy/fifo"
	"pgherd/proxy/ring/iouring"
)

// Forever as the wait of Turn means: until something happens.
const Forever time.Duration = -1

// Owner is told that something about a Conn changed: bytes arrived, receiving or sending ended, a queue of
// Relief bytes or more has shrunk, or receiving stopped after Detach. It is told of other sends, which are
// most, only after TellSends, because nobody waits for them. It is called on the loop's thread inside Turn,
// must not call Turn, and may be called although nothing has changed.
type Owner interface{ Ready(*Conn) }

// Loop is one thread's sockets and buffers.
type Loop struct {
	engine Engine
	set    Settings
	slots  []slot
	vacant []uint32
	open   int // Conns that still have a descriptor
	held   int // memory of received buffers that count against some Conn
	dirty  fifo.Queue[*Conn]
	ready  fifo.Queue[*Conn]
	parts  [MaxParts][]byte // scratch of startSend
	buffers
	pacing
	counters Counters
	fallback string
	wake     atomic.Uint32
	closed   bool
}

type slot struct {
	conn       *Conn
	generation uint32
}

// Values of Loop.wake.
const (
	running  uint32 = iota // in user code or in a Turn that does not block
	sleeping               // Turn blocks or is about to: waking needs a system call
	woken                  // the next Turn must not block
)

// NewWith makes a loop on the given engine; it panics when the engine cannot start.
func NewWith(e Engine, set Settings) *Loop {
	l, err := start(e, set)
	if err != nil {
		panic(err)
	}
	return l
}

func start(e Engine, set Settings) (*Loop, error) {
	l := &Loop{engine: e, set: set.orDefaults()}
	if err := l.buffers.mapShared(l.set); err != nil {
		return nil, err
	}
	if err := e.Start(l); err != nil {
		l.buffers.unmap()
		return nil, err
	}
	return l, nil
}

// Open takes ownership of a connected, non-blocking stream socket and starts receiving from it. The owner
// may be nil, and set later. A socket that cannot be used ends and breaks at once.
func (l *Loop) Open(fd int, o Owner) *Conn {
	if l.closed {
		panic("ring: Open after Close")
	}
	n := l.vacancy()
	s := &l.slots[n]
	s.generation++
	s.conn = &Conn{loop: l, owner: o, fd: fd, id: makeID(n, s.generation)}
	l.open++
	if err := l.engine.Add(s.conn.id, fd); err != nil {
		s.conn.end, s.conn.broken = err, err
		l.announce(s.conn)
	}
	l.touch(s.conn)
	return s.conn
}

func (l *Loop) vacancy() uint32 {
	if k := len(l.vacant); k > 0 {
		n := l.vacant[k-1]
		l.vacant = l.vacant[:k-1]
		return n
	}
	l.slots = append(l.slots, slot{})
	return uint32(len(l.slots) - 1)
}

// vacate makes c's slot free for another Conn. Nothing of c may be in flight.
func (l *Loop) vacate(c *Conn) {
	if c.mark == markRaised {
		panic("ring: socket given up with its low-water mark raised")
	}
	l.engine.Remove(c.id, c.fd)
	n := c.id.Slot()
	l.slots[n].conn = nil
	l.vacant = append(l.vacant, n)
	l.open--
}

// Turn carries out what was asked for since the last Turn, waits up to wait for something to happen (0:
// not at all, Forever: as long as it takes), and tells the owners. An error means the engine is lost.
func (l *Loop) Turn(wait time.Duration) error {
	l.counters.Turns++
	l.asked = false
	l.settle()
	if l.ready.Len() > 0 {
		wait = 0
	}
	wait = l.shorten(wait)
	if wait != 0 && !l.wake.CompareAndSwap(running, sleeping) {
		wait = 0
	}
	l.asked = false
	err := l.engine.Turn(wait)
	l.wake.Store(running)
	l.lowerDue()
	l.tell()
	return err
}

// Round is after how many Turns every socket has been looked at, however many have something to receive.
// What a socket holds now is received by then, unless its Conn holds its limit.
func (l *Loop) Round() int { return 1 + l.open/epollEvents }

// settle starts and stops what every touched Conn needs. It is the only place that starts or stops an
// operation, so an engine is never re-entered from Complete.
func (l *Loop) settle() {
	for l.dirty.Len() > 0 {
		c := l.dirty.Pop()
		c.dirty = false
		c.settle()
	}
	l.provide(l.engine)
}

// tell calls the owners of the Conns announced so far. What they cause to be announced waits for the next
// Turn.
func (l *Loop) tell() {
	for n := l.ready.Len(); n > 0; n-- {
		c := l.ready.Pop()
		c.announced = false
		if c.phase < closing && c.owner != nil {
			c.owner.Ready(c)
		}
	}
}

func (l *Loop) touch(c *Conn) {
	if !c.dirty {
		c.dirty = true
		l.dirty.Push(c)
	}
}

func (l *Loop) announce(c *Conn) {
	if !c.announced {
		c.announced = true
		l.ready.Push(c)
	}
}

// Complete takes the outcome of an operation from the engine, inside Engine.Turn. A completion whose Conn
// is gone only gives its buffer back. It reports whether the Conn takes more bytes in this Turn.
func (l *Loop) Complete(ev Event) (more bool) {
	l.counters.Completions++
	n := ev.ID.Slot()
	if int(n) >= len(l.slots) || l.slots[n].conn == nil || l.slots[n].conn.id != ev.ID {
		l.counters.Late++
		if ev.Shared != NoBuffer {
			l.claim(ev.Shared).Release()
		}
		return false
	}
	c := l.slots[n].conn
	if ev.Op == Received {
		c.received(ev)
	} else {
		c.sent(ev)
	}
	return !c.full && c.phase == open
}

// Wake makes the Turn that blocks, or else the next one, return at once. Any thread may call it.
func (l *Loop) Wake() {
	if l.wake.Load() == woken {
		return
	}
	if l.wake.Swap(woken) == sleeping {
		l.engine.Wake()
	}
}

// Features says what the loop uses of the kernel, and why not more.
func (l *Loop) Features() []Feature {
	fs := l.engine.Features()
	if l.fallback != "" {
		fs = append(fs, Feature{Name: "io_uring", Reason: l.fallback, MinVersion: iouring.MinKernel})
	}
	return fs
}

// Counters returns what the loop has counted so far.
func (l *Loop) Counters() Counters {
	c := l.counters
	c.Enters = l.engine.Enters()
	return c
}

// CloseDeadline bounds how long Close waits for the kernel to let go of buffers.
const CloseDeadline = time.Second

// Close closes every Conn and the engine. Bufs still held elsewhere stay valid until released.
func (l *Loop) Close() {
	if l.closed {
		return
	}
	for i := range l.slots {
		if c := l.slots[i].conn; c != nil {
			c.Close()
		}
	}
	const slice = CloseDeadline / 1000
	for range CloseDeadline / slice {
		l.settle()
		if l.open == 0 || l.engine.Turn(slice) != nil {
			break
		}
	}
	l.closed = true
	quiet := l.engine.Close() == nil && l.open == 0
	if !quiet {
		abandon(l)
	}
	l.retire(quiet)
}

// abandoned keeps memory alive to which a kernel that did not let go of it in time may
// still write.
var abandoned struct {
	sync.Mutex
	loops []*Loop
}

func abandon(l *Loop) {
	abandoned.Lock()
	defer abandoned.Unlock()
	abandoned.loops = append(abandoned.loops, l)
}

// String names the engine, for logs.
func (l *Loop) String() string { return fmt.Sprintf("ring loop on %s", l.engine.Name()) }
