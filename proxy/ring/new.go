package ring

import "fmt"

// New makes a loop on the kernel; the calling goroutine must be locked to its thread and be the one that
// will call Turn. Engine auto takes io_uring if it can and else epoll; Features then tells why.
func New(set Settings) (*Loop, error) {
	switch set.Engine {
	case "", "auto":
		l, err := start(&uring{}, set)
		if err == nil {
			return l, nil
		}
		l, epollErr := start(&epoll{}, set)
		if epollErr != nil {
			return nil, epollErr
		}
		l.fallback = err.Error()
		return l, nil
	case "io_uring":
		return start(&uring{}, set)
	case "epoll":
		return start(&epoll{}, set)
	}
	return nil, fmt.Errorf("choose engine: unknown name %q", set.Engine)
}

// Feature is something of the kernel that a loop uses if it can. Without it the loop is slower, never
// different (I6).
type Feature struct {
	Name       string
	Used       bool
	Reason     string // why it is not used
	MinVersion string // the first kernel that has it
}
