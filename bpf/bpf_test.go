package bpf

import (
	"errors"
	"strings"
	"syscall"
	"testing"

	"github.com/cilium/ebpf"
)

const everything = ^uint64(0)

func without(bits ...uint) uint64 {
	set := everything
	for _, bit := range bits {
		set &^= 1 << bit
	}
	return set
}

// TestPermitted names exactly the capabilities that are missing.
func TestPermitted(t *testing.T) {
	const bpf, perfmon, netAdmin, sysAdmin = 39, 38, 12, 21
	for _, row := range []struct {
		effective uint64
		missing   string
	}{
		{everything, ""},
		{1<<bpf | 1<<perfmon | 1<<netAdmin, ""},
		{1<<sysAdmin | 1<<netAdmin, ""},
		{without(bpf, perfmon), ""},
		{without(bpf, sysAdmin), "no CAP_BPF"},
		{without(netAdmin), "no CAP_NET_ADMIN"},
		{without(perfmon, sysAdmin), "no CAP_PERFMON"},
		{0, "no CAP_BPF, no CAP_PERFMON, no CAP_NET_ADMIN"},
	} {
		err := permitted(row.effective)
		if row.missing == "" {
			if err != nil {
				t.Errorf("%#x: %v", row.effective, err)
			}
			continue
		}
		u, _ := errors.AsType[*Unavailable](err)
		if u == nil || u.MinVersion != "5.8" || u.Feature != "BPF" || !strings.HasSuffix(err.Error(), "process has "+row.missing) {
			t.Errorf("%#x: %v, want %s", row.effective, err, row.missing)
		}
	}
}

// TestRequire stops at the first feature that is missing, and says since when there is one.
func TestRequire(t *testing.T) {
	answers := func(err error) Feature { return Feature{"f", "1.2", func() error { return err }} }
	if err := Require(answers(nil), answers(nil)); err != nil {
		t.Error(err)
	}
	old := Require(answers(nil), answers(ebpf.ErrNotSupported), answers(errors.New("not asked any more")))
	if old == nil || old.Error() != "use f (Linux 1.2): the kernel does not support it" {
		t.Error(old)
	}
	if err := Require(answers(syscall.EPERM)); !errors.Is(err, syscall.EPERM) {
		t.Error(err)
	}
}

// TestFind finds the cgroup's folder in what the kernel tells.
func TestFind(t *testing.T) {
	const (
		mixed   = "30 1 0:26 / /sys/fs/cgroup ro - tmpfs tmpfs ro\n31 30 0:27 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n32 30 0:28 / /sys/fs/cgroup/unified rw,relatime shared:9 - cgroup2 cgroup2 rw\n"
		only    = "30 1 0:26 / /sys/fs/cgroup rw shared:4 master:2 - cgroup2 cgroup2 rw\n"
		part    = "30 1 0:26 /docker/1 /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"
		spaced  = "30 1 0:26 / /mnt/a\\040b\\134c rw - cgroup2 cgroup2 rw\n"
		two     = "29 1 0:26 /other /mnt/part rw - cgroup2 cgroup2 rw\n" + only
		nothing = "30 1 0:26 / / rw - ext4 /dev/root rw\n\nbroken - \n"
	)
	for _, row := range []struct{ mounts, membership, want, wrong string }{
		{mixed, "9:cpu:/x\n0::/\n", "/sys/fs/cgroup/unified", ""},
		{only, "0::/system.slice/pgherd.service\n", "/sys/fs/cgroup/system.slice/pgherd.service", ""},
		{part, "0::/docker/1/a\n", "/sys/fs/cgroup/a", ""},
		{part, "0::/docker/1\n", "/sys/fs/cgroup", ""},
		{part, "0::/docker/12\n", "", "is not part of what is mounted"},
		{only, "0::/../outside\n", "", "is not part of what is mounted"},
		{spaced, "0::/x\n", `/mnt/a b\c/x`, ""},
		{two, "0::/y\n", "/sys/fs/cgroup/y", ""},
		{nothing, "0::/\n", "", "it is not mounted"},
		{only, "9:cpu:/x\n", "", "the kernel has none"},
	} {
		got, err := find(row.mounts, row.membership)
		if got != row.want || (err == nil) != (row.wrong == "") || err != nil && !strings.Contains(err.Error(), row.wrong) {
			t.Errorf("%q of %q: %q, %v", row.membership, row.mounts, got, err)
		}
	}
}
