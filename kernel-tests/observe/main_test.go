// Package observe loads the program of bpf/observe into the kernel, makes connections in this
// machine and over a link that is then cut, and compares what is counted and told with what was
// done. It also runs pgherd with and without the permission to use BPF, in front of a real node.
//
// Where this process may not use BPF, the tests want pgherd to say so and to serve clients all the
// same. Waits have generous deadlines; none is a measurement, except in the benchmark.
package observe

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"pgherd/bpf"
)

// permitted says, without asking what is tested, whether this process may use BPF: it has the
// capabilities, and may make cgroups. Where a filter of system calls is in force, as in containers,
// only a try tells.
func permitted(t testing.TB) bool {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(status), "CapEff:")
	effective, err := strconv.ParseUint(strings.Fields(after)[0], 16, 64)
	if err != nil {
		t.Fatal(err)
	}
	const netAdmin, sysAdmin, perfmon, bpfBit = 12, 21, 38, 39
	has := func(bits ...int) bool {
		for _, bit := range bits {
			if effective>>bit&1 == 0 {
				return false
			}
		}
		return true
	}
	capable := has(netAdmin, bpfBit, perfmon) || has(netAdmin, sysAdmin)
	filtered := bytes.Contains(status, []byte("Seccomp:\t2"))
	return capable && cgroupsPermitted(t) && !(filtered && bpf.Require(bpf.Sockops, bpf.RingBuffer) != nil)
}

func cgroupsPermitted(t testing.TB) bool {
	t.Helper()
	mount, err := exec.Command("findmnt", "-n", "-t", "cgroup2", "-o", "TARGET", "--first-only").Output()
	if err != nil {
		return false
	}
	try := filepath.Join(strings.TrimSpace(string(mount)), fmt.Sprint("permitted", os.Getpid()))
	if os.Mkdir(try, 0o755) != nil {
		return false
	}
	if err := os.Remove(try); err != nil {
		t.Fatal(err)
	}
	return true
}

// membership is the cgroup of this process.
func membership(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		t.Fatal(err)
	}
	_, path, _ := bytes.Cut(text, []byte("0::"))
	return strings.TrimSpace(string(path))
}
