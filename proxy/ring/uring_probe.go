package ring

import (
	"errors"

	abi "github.com/iceber/iouring-go/syscall"
)

// probe finds out what is used of the kernel beyond what the engine cannot do without.
func (u *uring) probe() error {
	u.features = []Feature{
		{Name: "io_uring", Used: true, MinVersion: minURing},
		{Name: "single issuer", Used: true, MinVersion: "6.0"},
		{Name: "deferred task work", Used: true, MinVersion: "6.1"},
		{Name: "multishot receive", Used: true, MinVersion: "6.0"},
		{Name: "buffer ring", Used: true, MinVersion: "5.19"},
	}
	u.handle = u.fd
	index, err := u.registerSelf()
	if err == nil {
		u.handle, u.mode = index, enterRegisteredRing
	}
	u.feature("registered ring", "5.18", err)
	return u.probeLimit()
}

func (u *uring) feature(name, since string, missing error) {
	f := Feature{Name: name, Used: missing == nil, MinVersion: since}
	if missing != nil {
		f.Reason = missing.Error()
	}
	u.features = append(u.features, f)
}

// probeLimit asks for a limited multishot receive from no file at all: a kernel that knows the limit finds
// the file wrong, an older one the request.
func (u *uring) probeLimit() error {
	e := u.entry()
	prepareMultishot(e, -1, 1)
	e.SetUserData(uint64(opProbe))
	if err := u.enter(0, 0, true); err != nil {
		return err
	}
	u.reap()
	var missing error
	if !u.limits {
		missing = errNoLimit
	}
	u.feature("receive limit", "6.17", missing)
	return nil
}

var errNoLimit = errors.New("kernel does not know it; one socket may take all buffers given to the kernel in a turn")

// prepareMultishot asks for bytes in shared buffers until stopped, and until about limit bytes when > 0.
func prepareMultishot(e *sqe, fd, limit int) {
	e.PrepOperation(abi.IORING_OP_RECV, int32(fd), 0, 0, 0)
	e.SetFlags(abi.IOSQE_FLAGS_BUFFER_SELECT)
	e.SetBufGroup(bufferGroup)
	e.SetIoprio(recvMultishot)
	e.SetSpliceFdIn(int32(limit)) // io_uring.h calls this union member optlen
}
