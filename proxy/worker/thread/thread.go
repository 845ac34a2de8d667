// Package thread makes the thread that calls it fit to be a worker's: it is locked, counts
// for a processor of its own, and asks the scheduler for longer time slices.
package thread

import (
	"runtime"
	"sync"
)

// Lock locks the calling goroutine to its thread for good: the thread ends with the
// goroutine. What it returns is called when the thread's work is done.
func Lock() (done func()) {
	runtime.LockOSThread()
	processors(1)
	return func() { processors(-1) }
}

// adding guards the number of processors (GOMAXPROCS), which has no way to add.
var adding sync.Mutex

// processors adds to those of the process: a worker's is its own even while it
// waits (see package ring).
func processors(n int) {
	adding.Lock()
	defer adding.Unlock()
	runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + n)
}
