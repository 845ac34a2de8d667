// Package inside has tests that kernels run which are booted for it, beside those of other packages:
// whether all is there that pgherd can use.
package inside

import (
	"errors"
	"runtime"
	"testing"

	"pgherd/bpf"
	"pgherd/bpf/observe"
	"pgherd/proxy/ring"
)

// TestRingUsesAll checks that the ring uses all that it can; a part that the kernel lacks is skipped.
func TestRingUsesAll(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	l, err := ring.New(ring.Settings{})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, f := range l.Features() {
		t.Run(f.Name, func(t *testing.T) {
			if !f.Used {
				t.Skipf("use %s (Linux %s): %s", f.Name, f.MinVersion, f.Reason)
			}
		})
	}
}

// TestBPF checks that what programs need is there.
func TestBPF(t *testing.T) {
	skipIf(t, bpf.Permitted())
	for _, f := range []bpf.Feature{bpf.Sockops, bpf.RingBuffer, bpf.TCX} {
		t.Run(f.Name, func(t *testing.T) { skipIf(t, bpf.Require(f)) })
	}
	t.Run(observe.Name, func(t *testing.T) {
		o, err := observe.Start(observe.Settings{Port: 9999})
		skipIf(t, err)
		if err := o.Close(); err != nil {
			t.Error(err)
		}
	})
}

// skipIf skips a test for what is missing, and says what that is, and since when kernels have it.
func skipIf(t *testing.T, err error) {
	t.Helper()
	if _, missing := errors.AsType[*bpf.Unavailable](err); missing {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
}
