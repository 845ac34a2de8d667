// Package bpf tells what this process may use of the kernel's BPF, and why not more. It also
// finds and joins the cgroup that a program may be attached to. Each program has a folder of its
// own beneath this one, with its C beside the Go that loads it.
//
// Whoever loads a program asks Permitted, Require and Join first, and in this order. What fails is
// an *Unavailable, so that it can be shown to an operator: without BPF pgherd does the same, with
// less to see and later suspicions (I6).
package bpf

import (
	"errors"
	"fmt"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/features"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// Unavailable is why something of the kernel cannot be used.
type Unavailable struct {
	Feature    string
	MinVersion string // the first kernel that has it
	Err        error
}

func (u *Unavailable) Error() string {
	return fmt.Sprintf("use %s (Linux %s): %v", u.Feature, u.MinVersion, u.Err)
}

func (u *Unavailable) Unwrap() error { return u.Err }

// capability is one of capabilities(7).
type capability struct {
	name    string
	bit     uint
	inAdmin bool // CAP_SYS_ADMIN includes it
}

// needed are the capabilities for loading and attaching programs. Without CAP_PERFMON the verifier
// refuses arithmetic on pointers, which a compiler is free to use anywhere.
var needed = []capability{
	{"CAP_BPF", unix.CAP_BPF, true},
	{"CAP_PERFMON", unix.CAP_PERFMON, true},
	{"CAP_NET_ADMIN", unix.CAP_NET_ADMIN, false},
}

// capabilitiesSince is the first kernel that has CAP_BPF.
const capabilitiesSince = "5.8"

// Permitted says why this process may not load programs; nil: nothing is known against it. The
// kernel's own error blames a limit of memory.
func Permitted() error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var sets [2]unix.CapUserData
	if err := unix.Capget(&header, &sets[0]); err != nil {
		return &Unavailable{"capabilities", capabilitiesSince, err}
	}
	return permitted(uint64(sets[0].Effective) | uint64(sets[1].Effective)<<32)
}

func permitted(effective uint64) error {
	has := func(bit uint) bool { return effective&(1<<bit) != 0 }
	var missing []string
	for _, c := range needed {
		if !has(c.bit) && !(c.inAdmin && has(unix.CAP_SYS_ADMIN)) {
			missing = append(missing, c.name)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return &Unavailable{"BPF", capabilitiesSince, fmt.Errorf("pgherd's process has no %s", strings.Join(missing, ", no "))}
}

// Feature is something that the kernel can do since some version.
type Feature struct {
	Name  string
	Since string
	probe func() error
}

// What programs need.
var (
	Sockops    = Feature{"sockops programs", "4.13", func() error { return features.HaveProgramType(ebpf.SockOps) }}
	RingBuffer = Feature{"BPF ring buffers", "5.8", func() error { return features.HaveMapType(ebpf.RingBuf) }}
	TCX        = Feature{"tcx", "6.6", haveTCX}
)

// loopback is the index of lo, which every network namespace has.
const loopback = 1

// haveTCX asks which programs are on a hook of tcx: a kernel without it does not know the hook.
func haveTCX() error {
	_, err := link.QueryPrograms(link.QueryOptions{Target: loopback, Attach: ebpf.AttachTCXEgress})
	if errors.Is(err, unix.EINVAL) {
		return ebpf.ErrNotSupported
	}
	return err
}

// Require says which of the features the kernel lacks, or does not let this process use; nil: it
// has them all.
func Require(all ...Feature) error {
	for _, f := range all {
		if err := f.missing(f.probe()); err != nil {
			return err
		}
	}
	return nil
}

// missing is what a probe's error means.
func (f Feature) missing(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, ebpf.ErrNotSupported):
		return &Unavailable{f.Name, f.Since, errors.New("the kernel does not support it")}
	}
	return &Unavailable{f.Name, f.Since, err}
}
