package ring

import (
	"syscall"
	"time"
)

// Engine carries out receives and sends for one Loop and reports each outcome with Loop.Complete, always
// inside Turn. The Loop keeps the rules: one receive and one send in flight per ID, parts and into stay
// untouched until the completion, Remove only when nothing is in flight.
type Engine interface {
	Name() string
	// Start is called once, before anything else. l.Memory gives the shared buffers.
	Start(l *Loop) error
	// Provide makes shared buffer n the engine's, to be filled.
	Provide(n int)

	Add(id ID, fd int) error
	Remove(id ID, fd int)

	// Recv fills into once, or, when into is nil, shared buffers until a completion without More; an engine
	// that can ends that after limit bytes, or when Complete says so. It fails with ENOBUFS when there is no
	// shared buffer, but not before there is something to receive (bytes, the end, an error).
	Recv(id ID, fd int, into []byte, limit int)
	// StopRecv ends the receive in flight: its last completion comes soon, with ECANCELED or what it had.
	StopRecv(id ID)
	// Send sends a prefix of the parts (at most MaxParts of them); parts itself is valid only during the call.
	Send(id ID, fd int, parts [][]byte)
	StopSend(id ID)

	// LowWater makes a receive into private memory complete only once that many bytes are there, or the end, or
	// an error; an engine may complete it with fewer bytes. A socket begins with 1. If 1 is set while a receive
	// is in flight, the receive completes with what is there. An error means that nothing was changed.
	LowWater(fd, bytes int) error
	ShutdownWrite(fd int) error
	// Reset makes the socket drop what is not delivered yet when it is closed.
	Reset(fd int)
	CloseSocket(fd int)

	// Turn submits, waits up to wait (negative: for ever) for a completion, and reports what there is.
	Turn(wait time.Duration) error
	// Wake makes a blocked Turn return. Any thread may call it.
	Wake()
	// Now is the time since some moment, and never goes back.
	Now() time.Duration
	Enters() uint64
	Features() []Feature
	// Close gives back what the engine has of the kernel. An error means that the kernel may still use buffers.
	Close() error
}

// briefWait bounds the first wait of a Turn, of which the Go scheduler is not told. Telling it would add up to a
// third to the cost of a lone query, because the scheduler gives the thread's processor to others meanwhile. The
// price is that others cannot use one processor (GOMAXPROCS) while the thread waits in this way, so GOMAXPROCS
// has to be higher by one for each loop. A garbage collection does not wait for the thread, because it
// interrupts it by a signal.
const briefWait = 5 * time.Millisecond

// brief is the part of a wait that comes first.
func brief(wait time.Duration) time.Duration {
	if wait < 0 {
		return briefWait
	}
	return min(wait, briefWait)
}

// rest is what is left of a wait after the brief one.
func rest(wait time.Duration) time.Duration {
	if wait < 0 {
		return wait
	}
	return wait - briefWait
}

// MaxParts is the largest number of parts in one Send.
const MaxParts = 64

// ID names a Conn to its engine: 24 bits of slot, 32 of generation, so that a late completion never reaches
// a later Conn in the same slot. The lowest 8 bits are zero, for the engine to use.
type ID uint64

func makeID(slot, generation uint32) ID { return ID(generation)<<32 | ID(slot)<<8 }

// Slot is a small number, unique among the Conns now open in a Loop.
func (id ID) Slot() uint32 { return uint32(id) >> 8 }

// Op says which operation an Event ends.
type Op uint8

// The two operations.
const (
	Received Op = iota
	Sent
)

// NoBuffer as Event.Shared: the event carries no shared buffer.
const NoBuffer = -1

// Event is the outcome of an operation. A receive with N == 0 and no error is the end of the stream.
type Event struct {
	ID     ID
	Op     Op
	More   bool          // the receive goes on
	Shared int           // number of the shared buffer now given away, or NoBuffer
	N      int           // bytes received or sent
	Err    syscall.Errno // 0, ENOBUFS: no shared buffer, ECANCELED: stopped, or the socket's error
}
