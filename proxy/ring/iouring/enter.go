package iouring

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

// Entry is the next free submission; when the queue is full what is in it is submitted first.
func (r *Ring) Entry() *Entry {
	if r.next-atomic.LoadUint32(r.sqHead) > r.sqMask {
		r.flush()
	}
	e := &r.sqes[r.next&r.sqMask]
	e.Reset()
	r.next++
	return e
}

// flushTries bounds how often a full queue is offered to a kernel short of memory.
const flushTries = 1000

func (r *Ring) flush() {
	for range flushTries {
		if err := r.Enter(0, 0, true); err != nil {
			r.Err = err
		}
		if r.next-atomic.LoadUint32(r.sqHead) <= r.sqMask {
			return
		}
	}
	r.Err = errors.Join(r.Err, errors.New("submit to io_uring: queue stays full"))
	r.next-- // the entry is lost, and with it the ring
}

// Enter is io_uring_enter. It returns no error for what passes by itself: the next Turn tries again.
func (r *Ring) Enter(complete uint32, wait time.Duration, raw bool) error {
	r.Enters++
	atomic.StoreUint32(r.sqTail, r.next)
	submit := r.next - atomic.LoadUint32(r.sqHead)
	r.arg.limit = 0
	if wait > 0 {
		r.limit = unix.NsecToTimespec(int64(wait))
		r.arg.limit = uint64(uintptr(unsafe.Pointer(&r.limit)))
	}
	errno := r.call(submit, complete, raw)
	switch errno {
	case 0, unix.ETIME, unix.EINTR, unix.EAGAIN, unix.EBUSY:
		return nil
	case unix.EEXIST, unix.EBADF, unix.EINVAL: // the kernel's answers to that
		return fmt.Errorf("enter io_uring, made on another thread or closed: %w", errno)
	}
	return fmt.Errorf("enter io_uring: %w", errno)
}

func (r *Ring) call(submit, complete uint32, raw bool) (errno syscall.Errno) {
	flags := r.mode | abi.IORING_ENTER_FLAGS_GETEVENTS | enterExtArg
	if raw {
		_, _, errno = unix.RawSyscall6(abi.SYS_IO_URING_ENTER, uintptr(r.handle), uintptr(submit), uintptr(complete),
			uintptr(flags), uintptr(unsafe.Pointer(&r.arg)), unsafe.Sizeof(r.arg))
	} else {
		_, _, errno = unix.Syscall6(abi.SYS_IO_URING_ENTER, uintptr(r.handle), uintptr(submit), uintptr(complete),
			uintptr(flags), uintptr(unsafe.Pointer(&r.arg)), unsafe.Sizeof(r.arg))
	}
	return errno
}

// Reap hands over the completions that are there now.
func (r *Ring) Reap(complete func(data uint64, result int32, flags uint32)) {
	head, tail := *r.cqHead, atomic.LoadUint32(r.cqTail)
	for ; head != tail; head++ {
		c := &r.cqes[head&r.cqMask]
		complete(c.UserData(), c.Result(), c.Flags())
	}
	atomic.StoreUint32(r.cqHead, head)
}

// Idle says that there is nothing to submit and that the kernel has nothing to do for this thread.
func (r *Ring) Idle() bool {
	return r.next == atomic.LoadUint32(r.sqHead) && atomic.LoadUint32(r.flags)&(sqTaskrun|abi.IORING_SQ_CQ_OVERFLOW) == 0
}

// Empty says that no completion is there.
func (r *Ring) Empty() bool { return atomic.LoadUint32(r.cqTail) == *r.cqHead }
