package ring

import (
	"errors"
	"fmt"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	abi "github.com/iceber/iouring-go/syscall"
	"golang.org/x/sys/unix"
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
	loop *Loop
	*queues
	buffers  *bufferRing
	sockets  []uringSocket // by slot
	wakeup   eventfd
	signals  [8]byte // the eventfd is read into it
	watching bool    // that read is in flight
	closing  bool
	next     uint32 // tail of the submission queue, not yet shown to the kernel
	handle   int    // ring descriptor as io_uring_enter wants it
	mode     uint32 // flags of every io_uring_enter
	arg      geteventsArg
	limit    unix.Timespec
	enters   uint64
	limits   bool  // a multishot receive can be given a limit
	err      error // the ring is lost
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
	if u.queues, err = openQueues(); err != nil {
		return err
	}
	if u.buffers, err = newBufferRing(l.Memory()); err != nil {
		u.queues.close()
		return fmt.Errorf("map buffer ring: %w", err)
	}
	if err = u.registerBuffers(u.buffers); err == nil {
		err = u.wakeup.open()
	}
	if err != nil {
		u.buffers.unmap()
		u.queues.close()
		return err
	}
	u.next = *u.sqTail
	if err = u.probe(); err != nil {
		return errors.Join(err, u.Close())
	}
	u.watch()
	return nil
}

func (u *uring) Provide(n int) { u.buffers.put(n) }

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
	e := u.entry()
	if s.shared {
		if !u.limits {
			limit = 0
		}
		prepareMultishot(e, fd, limit)
	} else {
		e.PrepOperation(abi.IORING_OP_RECV, int32(fd), address(into), uint32(len(into)), 0)
		e.SetIoprio(recvPollFirst)
	}
	e.SetUserData(uint64(id | opRecv))
}

// poll takes the place of a receive into shared buffers while there are none: the kernel would refuse that
// before it looks for bytes. (It does not with IORING_RECVSEND_POLL_FIRST, but then Linux 6.18 loses the end
// of a stream on a Unix socket when it comes together with bytes.)
func (u *uring) poll(id ID) {
	s := &u.sockets[id.Slot()]
	s.polling = true
	e := u.entry()
	e.PrepOperation(abi.IORING_OP_POLL_ADD, int32(s.fd), 0, 0, 0)
	e.SetOpFlags(unix.POLLIN)
	e.SetUserData(uint64(id | opRecv))
}

func (u *uring) StopRecv(id ID) {
	u.sockets[id.Slot()].stopped = true
	u.cancel(id | opRecv)
}

func (u *uring) Send(id ID, fd int, parts [][]byte) {
	e := u.entry()
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
	e := u.entry()
	e.PrepOperation(abi.IORING_OP_ASYNC_CANCEL, -1, uint64(target), 0, 0)
	e.SetUserData(uint64(opCancel))
}

// watch arms the read that a wake completes.
func (u *uring) watch() {
	e := u.entry()
	e.PrepOperation(abi.IORING_OP_READ, int32(u.wakeup.fd), address(u.signals[:]), uint32(len(u.signals)), 0)
	e.SetUserData(uint64(opWake))
	u.watching = true
}

// entry is the next free submission; when the queue is full what is in it is submitted first.
func (u *uring) entry() *sqe {
	if u.next-atomic.LoadUint32(u.sqHead) > u.sqMask {
		u.flush()
	}
	e := &u.sqes[u.next&u.sqMask]
	e.Reset()
	u.next++
	return e
}

// flushTries bounds how often a full queue is offered to a kernel short of memory.
const flushTries = 1000

func (u *uring) flush() {
	for range flushTries {
		if err := u.enter(0, 0, true); err != nil {
			u.err = err
		}
		if u.next-atomic.LoadUint32(u.sqHead) <= u.sqMask {
			return
		}
	}
	u.err = errors.Join(u.err, errors.New("submit to io_uring: queue stays full"))
	u.next-- // the entry is lost, and with it the ring
}

func (u *uring) Turn(wait time.Duration) error {
	u.buffers.publish()
	if err := u.wait(wait); err != nil && u.err == nil {
		u.err = err
	}
	u.reap()
	return u.err
}

// wait submits and waits for one completion: first briefly, and for long only if there was none. (To wait for
// one more than the sends, which mostly complete at once, saved a third of the calls of a busy relay but no
// processor time.)
func (u *uring) wait(wait time.Duration) error {
	if wait == 0 {
		if u.next == atomic.LoadUint32(u.sqHead) && atomic.LoadUint32(u.flags)&(sqTaskrun|abi.IORING_SQ_CQ_OVERFLOW) == 0 {
			return nil
		}
		return u.enter(0, 0, true)
	}
	short := brief(wait)
	err := u.enter(1, short, true)
	if err == nil && short != wait && atomic.LoadUint32(u.cqTail) == *u.cqHead {
		err = u.enter(1, rest(wait), false)
	}
	return err
}

// enter is io_uring_enter. Errors that pass by themselves are none: the next Turn tries again.
func (u *uring) enter(complete uint32, wait time.Duration, raw bool) error {
	u.enters++
	atomic.StoreUint32(u.sqTail, u.next)
	submit := u.next - atomic.LoadUint32(u.sqHead)
	u.arg.limit = 0
	if wait > 0 {
		u.limit = unix.NsecToTimespec(int64(wait))
		u.arg.limit = uint64(uintptr(unsafe.Pointer(&u.limit)))
	}
	errno := u.call(submit, complete, raw)
	switch errno {
	case 0, unix.ETIME, unix.EINTR, unix.EAGAIN, unix.EBUSY:
		return nil
	case unix.EEXIST, unix.EBADF, unix.EINVAL: // what it says there
		return fmt.Errorf("enter io_uring, made on another thread or closed: %w", errno)
	}
	return fmt.Errorf("enter io_uring: %w", errno)
}

func (u *uring) call(submit, complete uint32, raw bool) (errno syscall.Errno) {
	flags := u.mode | abi.IORING_ENTER_FLAGS_GETEVENTS | enterExtArg
	if raw {
		_, _, errno = unix.RawSyscall6(abi.SYS_IO_URING_ENTER, uintptr(u.handle), uintptr(submit), uintptr(complete),
			uintptr(flags), uintptr(unsafe.Pointer(&u.arg)), unsafe.Sizeof(u.arg))
	} else {
		_, _, errno = unix.Syscall6(abi.SYS_IO_URING_ENTER, uintptr(u.handle), uintptr(submit), uintptr(complete),
			uintptr(flags), uintptr(unsafe.Pointer(&u.arg)), unsafe.Sizeof(u.arg))
	}
	return errno
}

// reap reports the completions that are there now. What they cause is done in the next Turn.
func (u *uring) reap() {
	head, tail := *u.cqHead, atomic.LoadUint32(u.cqTail)
	for ; head != tail; head++ {
		c := &u.cqes[head&u.cqMask]
		u.complete(ID(c.UserData()), c.Result(), c.Flags())
	}
	atomic.StoreUint32(u.cqHead, head)
}

func (u *uring) complete(data ID, result int32, flags uint32) {
	ev := Event{ID: data &^ opMask, Shared: NoBuffer, N: int(max(result, 0)), Err: syscall.Errno(-min(result, 0))}
	switch data & opMask {
	case opRecv:
		ev.Op, ev.More = Received, flags&cqeMore != 0
		if flags&cqeBuffer != 0 {
			ev.Shared = int(flags >> cqeBufferShift)
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

func (u *uring) Enters() uint64 { return u.enters }

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
	if u.handle != u.fd {
		u.unregisterSelf(u.handle)
	}
	u.queues.close()
	if u.watching || u.err != nil {
		return errors.New("close io_uring: the kernel has not let go of it")
	}
	u.buffers.unmap()
	return nil
}
