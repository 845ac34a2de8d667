package ring

import (
	"errors"
	"fmt"
	"syscall"
	"time"
	"unsafe"

	abi "github.com/iceber/iouring-go/syscall"
	"golang.org/x/sys/unix"

	"pgherd/proxy/ring/iouring"
)

// What a completion belongs to: the lowest byte of its user data, below the ID.
const (
	opRecv ID = 1 + iota
	opSend
	opCancel // nobody waits for it
	opWake
	opProbe
	opMask ID = 0xff
)

// uring is the engine on io_uring: one ring, one system call per Turn.
//
// Memory the kernel may touch after a system call returns: shared buffers (off the heap), the Conn's
// private buffer and queued parts (held by the Conn until the completion), signals. Entries, messages and
// the wait's argument are read by the kernel during the call only.
type uring struct {
	system
	loop     *Loop
	queues   *iouring.Ring
	buffers  *iouring.Buffers
	sockets  []uringSocket // by slot
	wakeup   eventfd
	signals  [8]byte // the eventfd is read into it
	watching bool    // that read is in flight
	closing  bool
	limits   bool // a multishot receive can be given a limit
	features []Feature
}

// uringSocket is the state of one slot.
type uringSocket struct {
	fd      int
	shared  bool // the receive in flight is into shared buffers
	polling bool // it waits, without a buffer, for something to receive
	stopped bool // its end was asked for
	message *message
}

func (u *uring) Name() string { return "io_uring" }

func (u *uring) Start(l *Loop) (err error) {
	u.loop = l
	if u.queues, err = iouring.Open(); err != nil {
		return err
	}
	if u.buffers, err = iouring.NewBuffers(l.Memory()); err != nil {
		u.queues.Close()
		return fmt.Errorf("map buffer ring: %w", err)
	}
	if err = u.queues.RegisterBuffers(u.buffers); err == nil {
		err = u.wakeup.open()
	}
	if err != nil {
		u.buffers.Unmap()
		u.queues.Close()
		return err
	}
	if err = u.probe(); err != nil {
		return errors.Join(err, u.Close())
	}
	u.watch()
	return nil
}

func (u *uring) Provide(n int) { u.buffers.Put(n) }

func (u *uring) Add(id ID, fd int) error {
	for int(id.Slot()) >= len(u.sockets) {
		u.sockets = append(u.sockets, uringSocket{})
	}
	u.sockets[id.Slot()].fd = fd
	return nil
}

func (u *uring) Remove(ID, int) {}

func (u *uring) Recv(id ID, fd int, into []byte, limit int) {
	s := &u.sockets[id.Slot()]
	s.shared, s.stopped = into == nil, false
	if s.shared && u.loop.unused() == 0 {
		u.poll(id)
		return
	}
	e := u.queues.Entry()
	if s.shared {
		if !u.limits {
			limit = 0
		}
		iouring.PrepareMultishot(e, fd, limit)
	} else {
		e.PrepOperation(abi.IORING_OP_RECV, int32(fd), address(into), uint32(len(into)), 0)
		e.SetIoprio(iouring.RecvPollFirst)
	}
	e.SetUserData(uint64(id | opRecv))
}

// poll takes the place of a receive into shared buffers while there are none, because the kernel would
// refuse that before it looks for bytes. (It does not with IORING_RECVSEND_POLL_FIRST, but then Linux 6.18
// loses the end of a stream on a Unix socket when it comes together with bytes.)
func (u *uring) poll(id ID) {
	s := &u.sockets[id.Slot()]
	s.polling = true
	e := u.queues.Entry()
	e.PrepOperation(abi.IORING_OP_POLL_ADD, int32(s.fd), 0, 0, 0)
	e.SetOpFlags(unix.POLLIN)
	e.SetUserData(uint64(id | opRecv))
}

func (u *uring) StopRecv(id ID) {
	u.sockets[id.Slot()].stopped = true
	u.cancel(id | opRecv)
}

func (u *uring) Send(id ID, fd int, parts [][]byte) {
	e := u.queues.Entry()
	if len(parts) == 1 {
		e.PrepOperation(abi.IORING_OP_SEND, int32(fd), address(parts[0]), uint32(len(parts[0])), 0)
	} else {
		e.PrepOperation(abi.IORING_OP_SENDMSG, int32(fd), u.messageOf(id, parts), 1, 0)
	}
	e.SetOpFlags(unix.MSG_NOSIGNAL)
	e.SetUserData(uint64(id | opSend))
}

func (u *uring) messageOf(id ID, parts [][]byte) uint64 {
	m := &u.sockets[id.Slot()].message
	if *m == nil {
		*m = &message{}
	}
	(*m).set(parts)
	return uint64(uintptr(unsafe.Pointer(&(*m).header)))
}

func (u *uring) StopSend(id ID) { u.cancel(id | opSend) }

func (u *uring) cancel(target ID) {
	e := u.queues.Entry()
	e.PrepOperation(abi.IORING_OP_ASYNC_CANCEL, -1, uint64(target), 0, 0)
	e.SetUserData(uint64(opCancel))
}

// watch arms the read that a wake completes.
func (u *uring) watch() {
	e := u.queues.Entry()
	e.PrepOperation(abi.IORING_OP_READ, int32(u.wakeup.fd), address(u.signals[:]), uint32(len(u.signals)), 0)
	e.SetUserData(uint64(opWake))
	u.watching = true
}

func (u *uring) Turn(wait time.Duration) error {
	u.buffers.Publish()
	if err := u.wait(wait); err != nil && u.queues.Err == nil {
		u.queues.Err = err
	}
	u.reap()
	return u.queues.Err
}

// wait submits and waits for one completion: first briefly, and longer only if there was none. (Waiting for
// one more than the sends, which mostly complete at once, saved a third of the calls of a busy relay but no
// processor time.)
func (u *uring) wait(wait time.Duration) error {
	if wait == 0 {
		if u.queues.Idle() {
			return nil
		}
		return u.queues.Enter(0, 0, true)
	}
	short := brief(wait)
	err := u.queues.Enter(1, short, true)
	if err == nil && short != wait && u.queues.Empty() {
		err = u.queues.Enter(1, rest(wait), false)
	}
	return err
}

// reap reports the completions that are there now. What they cause is done in the next Turn.
func (u *uring) reap() { u.queues.Reap(u.complete) }

func (u *uring) complete(key uint64, result int32, flags uint32) {
	data := ID(key)
	ev := Event{ID: data &^ opMask, Shared: NoBuffer, N: int(max(result, 0)), Err: syscall.Errno(-min(result, 0))}
	switch data & opMask {
	case opRecv:
		ev.Op, ev.More = Received, flags&iouring.FlagMore != 0
		if flags&iouring.FlagBuffer != 0 {
			ev.Shared = int(flags >> iouring.BufferShift)
		}
		u.received(ev)
	case opSend:
		ev.Op = Sent
		u.loop.Complete(ev)
	case opWake:
		u.watching = false
		if !u.closing {
			u.watch()
		}
	case opProbe:
		u.limits = syscall.Errno(-result) == unix.EBADF
	}
}

// received reports that there is no buffer once there is something to receive.
func (u *uring) received(ev Event) {
	s := &u.sockets[ev.ID.Slot()]
	switch {
	case s.polling:
		s.polling = false
		if ev.Err == 0 {
			ev.N, ev.Err = 0, unix.ENOBUFS
		}
	case ev.Err == unix.ENOBUFS && s.shared && !s.stopped:
		u.poll(ev.ID)
		return
	}
	u.loop.Complete(ev)
}

func (u *uring) Wake() { u.wakeup.signal() }

func (u *uring) Enters() uint64 { return u.queues.Enters }

func (u *uring) Features() []Feature { return u.features }

// closeTries bounds how often Close looks for the end of the read of the eventfd.
const closeTries = 100

func (u *uring) Close() error {
	u.closing = true
	for i := 0; u.watching && i < closeTries; i++ {
		u.wakeup.signal()
		if err := u.Turn(time.Millisecond); err != nil {
			break
		}
	}
	u.wakeup.close()
	u.queues.Close()
	if u.watching || u.queues.Err != nil {
		return errors.New("close io_uring: the kernel has not let go of it")
	}
	u.buffers.Unmap()
	return nil
}

// probe finds out which features of the kernel are used beyond those that the engine
// needs.
func (u *uring) probe() error {
	u.features = []Feature{
		{Name: "io_uring", Used: true, MinVersion: iouring.MinKernel},
		{Name: "single issuer", Used: true, MinVersion: "6.0"},
		{Name: "deferred task work", Used: true, MinVersion: "6.1"},
		{Name: "multishot receive", Used: true, MinVersion: "6.0"},
		{Name: "buffer ring", Used: true, MinVersion: "5.19"},
	}
	u.feature("registered ring", "5.18", u.queues.RegisterSelf())
	return u.probeLimit()
}

func (u *uring) feature(name, since string, missing error) {
	f := Feature{Name: name, Used: missing == nil, MinVersion: since}
	if missing != nil {
		f.Reason = missing.Error()
	}
	u.features = append(u.features, f)
}

// probeLimit asks for a limited multishot receive from no file at all. A kernel that knows the limit
// reports the wrong file, an older one the wrong request.
func (u *uring) probeLimit() error {
	e := u.queues.Entry()
	iouring.PrepareMultishot(e, -1, 1)
	e.SetUserData(uint64(opProbe))
	if err := u.queues.Enter(0, 0, true); err != nil {
		return err
	}
	u.reap()
	var missing error
	if !u.limits {
		missing = errNoLimit
	}
	u.feature("receive limit", "6.17", missing)
	return nil
}

var errNoLimit = errors.New("the kernel does not support it; one socket may take all buffers that the kernel has in a turn")
