package ring

import (
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// system is what both engines that use the kernel have in common.
type system struct{}

// beginning is what Now counts from.
var beginning = time.Now()

func (system) Now() time.Duration { return time.Since(beginning) }

// LowWater sets SO_RCVLOWAT. The kernel keeps it below half of what the receive buffer may grow to, and grows
// the buffer towards it. A Unix socket has the option, but ignores it while somebody waits for the receive.
func (system) LowWater(fd, bytes int) error {
	if bytes > 1 {
		switch family, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN); {
		case err != nil:
			return err
		case family == unix.AF_UNIX:
			return unix.EOPNOTSUPP
		}
	}
	return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVLOWAT, bytes)
}

func (system) ShutdownWrite(fd int) error { return unix.Shutdown(fd, unix.SHUT_WR) }

func (system) Reset(fd int) {
	_ = unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}) // a Unix socket has none
}

func (system) CloseSocket(fd int) { _ = unix.Close(fd) }

// eventfd wakes a thread that blocks in the kernel. The mutex keeps a late wake from writing to a
// descriptor that is closed and may be another file by now.
type eventfd struct {
	mu sync.Mutex
	fd int
}

func (e *eventfd) open() error {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
	e.fd = fd
	return err
}

func (e *eventfd) signal() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.fd >= 0 {
		one := [8]byte{1}
		_, _ = unix.Write(e.fd, one[:]) // cannot block: that takes 2^64 signals
	}
}

func (e *eventfd) close() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.fd >= 0 {
		_ = unix.Close(e.fd)
		e.fd = -1
	}
}
