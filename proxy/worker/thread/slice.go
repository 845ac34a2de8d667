package thread

import (
	"time"

	"golang.org/x/sys/unix"

	"pgherd/proxy/ring"
)

// slice is how long a worker would like to run at a time. With a shorter slice, the
// threads that it wakes take the core from it in the middle of a turn, and it has to
// wait for the core again.
const slice = 10 * time.Millisecond

// AskForSlice asks the scheduler for that slice, for the calling thread. It does not
// change a thread to which somebody has given another policy.
func AskForSlice() ring.Feature {
	f := ring.Feature{Name: "long time slice", MinVersion: "6.12"}
	attr, err := unix.SchedGetAttr(0, 0)
	if err == nil && attr.Policy != unix.SCHED_NORMAL && attr.Policy != unix.SCHED_BATCH {
		f.Reason = "the process has a scheduling policy of its own"
		return f
	}
	if err == nil {
		attr.Runtime = uint64(slice)
		err = unix.SchedSetAttr(0, attr, 0)
	}
	if err == nil {
		attr, err = unix.SchedGetAttr(0, 0)
	}
	switch {
	case err != nil:
		f.Reason = err.Error()
	case attr.Runtime != uint64(slice):
		f.Reason = "the kernel does not support it"
	default:
		f.Used = true
	}
	return f
}
