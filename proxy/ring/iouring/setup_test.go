package iouring

import (
	"errors"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func TestMissingErrorNamesFeatureAndVersion(t *testing.T) {
	for errno, want := range map[syscall.Errno]string{
		unix.ENOSYS: "io_uring (Linux 5.1)",
		unix.EPERM:  "kernel.io_uring_disabled",
		unix.EINVAL: "task work (Linux 6.1)",
		unix.ENOMEM: "RLIMIT_MEMLOCK",
	} {
		err := missing(errno)
		var m *MissingError
		if !errors.As(err, &m) || !errors.Is(err, errno) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: got error %v", errno, err)
		}
	}
}
