package ring

import (
	"sync"

	"golang.org/x/sys/unix"
)

// eventfd wakes a thread that blocks in the kernel. The mutex keeps a late wake from writing to a
// descriptor that is closed and perhaps another file by now.
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
