// Package thread prepares the calling thread for a worker: it locks the thread, lets it
// count for a processor of its own, and asks the scheduler for longer time slices.
package thread

import (
	"runtime"
	"sync"
)

// Lock locks the calling goroutine to its thread for good: the thread ends with the
// goroutine. The caller calls done when the thread's work is done.
func Lock() (done func()) {
	runtime.LockOSThread()
	processors(1)
	return func() { processors(-1) }
}

// adding guards the number of processors (GOMAXPROCS), which cannot be incremented
// atomically.
var adding sync.Mutex

// processors adds n to those of the process. A worker's processor is its own even while
// the worker waits (see package ring).
func processors(n int) {
	adding.Lock()
	defer adding.Unlock()
	runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + n)
}
