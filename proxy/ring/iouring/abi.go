package iouring

import abi "github.com/iceber/iouring-go/syscall"

// What the kernel's io_uring.h has and the ABI package lacks. The first kernel that knows it is in brackets.
const (
	setupSingleIssuer uint32 = 1 << 12 // [6.0]
	setupDeferTaskrun uint32 = 1 << 13 // [6.1]

	featureExtArg uint32 = 1 << 8 // [5.11]

	enterExtArg         uint32 = 1 << 3 // [5.11]
	enterRegisteredRing uint32 = 1 << 4 // [5.18]

	registerRingFDs    uint8  = 20     // [5.18]
	unregisterRingFDs  uint8  = 21     // [5.18]
	registerBufferRing uint8  = 22     // [5.19]
	sqTaskrun          uint32 = 1 << 2 // [5.19]
	RecvPollFirst      uint16 = 1 << 0 // [5.19]
	recvMultishot      uint16 = 1 << 1 // [6.0]
	FlagBuffer         uint32 = 1 << 0 // [5.7]
	FlagMore           uint32 = 1 << 1 // [5.13]
	BufferShift               = 16
	bufferGroup        uint16 = 0
)

// Entry is a submission, which the caller fills.
type Entry = abi.SubmissionQueueEntry64

type completion = abi.CompletionQueueEvent16

// geteventsArg is struct io_uring_getevents_arg.
type geteventsArg struct {
	sigmask     uint64
	sigmaskSize uint32
	minWait     uint32
	limit       uint64 // address of a timespec
}

// bufferRegistration is struct io_uring_buf_reg.
type bufferRegistration struct {
	addr    uint64
	entries uint32
	group   uint16
	flags   uint16
	_       [3]uint64
}

// resourceUpdate is struct io_uring_rsrc_update.
type resourceUpdate struct {
	offset uint32
	_      uint32
	data   uint64
}

// PrepareMultishot asks for bytes in shared buffers until the receive is stopped and, if limit is positive,
// until about that many have come.
func PrepareMultishot(e *Entry, fd, limit int) {
	e.PrepOperation(abi.IORING_OP_RECV, int32(fd), 0, 0, 0)
	e.SetFlags(abi.IOSQE_FLAGS_BUFFER_SELECT)
	e.SetBufGroup(bufferGroup)
	e.SetIoprio(recvMultishot)
	e.SetSpliceFdIn(int32(limit)) // io_uring.h calls this union member optlen
}
