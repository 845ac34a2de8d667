package ring

import "fmt"

// minURing is the first kernel with everything the io_uring engine needs.
const minURing = "6.1"

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
