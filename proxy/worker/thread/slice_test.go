package thread

import (
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// TestSlice checks that a thread that has asked for a time slice has it if the kernel says so, and that
// a thread with a scheduling policy of its own is left alone.
func TestSlice(t *testing.T) {
	for _, policy := range []uint32{unix.SCHED_NORMAL, unix.SCHED_BATCH, unix.SCHED_IDLE} {
		done := make(chan struct{})
		go func() {
			defer close(done)
			runtime.LockOSThread() // it is never unlocked, so that the thread ends with the goroutine
			if err := unix.SchedSetAttr(0, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: policy}, 0); err != nil {
				t.Error(err)
				return
			}
			f := AskForSlice()
			attr, err := unix.SchedGetAttr(0, 0)
			if err != nil || attr.Policy != policy || f.Used != (attr.Runtime == uint64(slice)) || f.Used && f.Reason != "" || !f.Used && f.Reason == "" {
				t.Errorf("policy %d: the thread's attributes are %+v, error %v; found %+v", policy, attr, err, f)
			}
			if policy == unix.SCHED_IDLE && f.Used {
				t.Error("the slice was set for a thread with the policy SCHED_IDLE")
			}
		}()
		<-done
	}
}
