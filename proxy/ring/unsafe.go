package ring

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// offset tells where piece lies in whole; it panics when it does not.
func offset(whole, piece []byte) int {
	at := uintptr(unsafe.Pointer(unsafe.SliceData(piece))) - uintptr(unsafe.Pointer(unsafe.SliceData(whole)))
	if at > uintptr(len(whole)) || at+uintptr(len(piece)) > uintptr(len(whole)) {
		panic("ring: Send of bytes outside the Buf")
	}
	return int(at)
}

// message is the memory of one send of several parts. It lives on the Go heap, which does not move, and is
// reached from its engine for as long as the kernel may read it.
type message struct {
	header unix.Msghdr
	vector [MaxParts]unix.Iovec
}

func (m *message) set(parts [][]byte) {
	clear(m.vector[len(parts):max(len(parts), int(m.header.Iovlen))]) // so that it keeps nothing alive
	for i, p := range parts {
		m.vector[i].Base = unsafe.SliceData(p)
		m.vector[i].SetLen(len(p))
	}
	m.header.Iov = &m.vector[0]
	m.header.Iovlen = uint64(len(parts))
}

// The calls below are raw: they never block, so the scheduler need not know of them.

func rawRecv(fd int, p []byte) (int, syscall.Errno) {
	n, _, e := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)),
		unix.MSG_DONTWAIT, 0, 0)
	return int(n), e
}

func rawSendmsg(fd int, m *message) (int, syscall.Errno) {
	n, _, e := unix.RawSyscall(unix.SYS_SENDMSG, uintptr(fd), uintptr(unsafe.Pointer(&m.header)), unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
	return int(n), e
}

// epollWait waits until limit, for ever when that is nil; raw keeps the scheduler out of it. limit and
// events are on the heap: a stack may move.
func epollWait(fd int, events []unix.EpollEvent, limit *unix.Timespec, raw bool) (int, syscall.Errno) {
	var n uintptr
	var e syscall.Errno
	if raw {
		n, _, e = unix.RawSyscall6(unix.SYS_EPOLL_PWAIT2, uintptr(fd), uintptr(unsafe.Pointer(&events[0])), uintptr(len(events)),
			uintptr(unsafe.Pointer(limit)), 0, 0)
	} else {
		n, _, e = unix.Syscall6(unix.SYS_EPOLL_PWAIT2, uintptr(fd), uintptr(unsafe.Pointer(&events[0])), uintptr(len(events)),
			uintptr(unsafe.Pointer(limit)), 0, 0)
	}
	if e != 0 {
		return 0, e
	}
	return int(n), 0
}

// address is where p lies, for the kernel. The caller keeps p reachable until the kernel is done with it.
func address(p []byte) uint64 { return uint64(uintptr(unsafe.Pointer(unsafe.SliceData(p)))) }
