package ring

import (
	"sync/atomic"
	"unsafe"

	abi "github.com/iceber/iouring-go/syscall"
	"golang.org/x/sys/unix"
)

// What the kernel's io_uring.h has and the ABI package has not; in brackets the first kernel that knows it.
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
	recvPollFirst      uint16 = 1 << 0 // [5.19]
	recvMultishot      uint16 = 1 << 1 // [6.0]
	cqeBuffer          uint32 = 1 << 0 // [5.7]
	cqeMore            uint32 = 1 << 1 // [5.13]
	cqeBufferShift            = 16
	bufferGroup        uint16 = 0
)

type (
	sqe = abi.SubmissionQueueEntry64
	cqe = abi.CompletionQueueEvent16
)

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

// bufferEntry is struct io_uring_buf. The tail of the ring is the last field of the first entry.
type bufferEntry struct {
	addr uint64
	len  uint32
	last uint32 // bid, and above it resv: in entry 0 the tail (little-endian, as amd64 and arm64 are)
}

// bufferRing hands buffers to the kernel, which takes them in order.
type bufferRing struct {
	entries []bufferEntry
	memory  []byte
	base    uint64
	size    int
	tail    uint16
	first   uint32 // bid in entry 0
}

func newBufferRing(memory []byte, size int) (*bufferRing, error) {
	n := len(memory) / size
	mem, err := unix.Mmap(-1, 0, n*int(unsafe.Sizeof(bufferEntry{})), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_SHARED)
	if err != nil {
		return nil, err
	}
	return &bufferRing{
		entries: unsafe.Slice((*bufferEntry)(unsafe.Pointer(&mem[0])), n),
		memory:  mem,
		base:    uint64(uintptr(unsafe.Pointer(&memory[0]))),
		size:    size,
	}, nil
}

// put adds buffer n; the kernel sees it after publish.
func (r *bufferRing) put(n int) {
	i := int(r.tail) & (len(r.entries) - 1)
	e := &r.entries[i]
	e.addr = r.base + uint64(n*r.size)
	e.len = uint32(r.size)
	if i == 0 {
		r.first = uint32(n)
	} else {
		e.last = uint32(n)
	}
	r.tail++
}

// publish stores the tail after the entries; there is no 16-bit atomic, so it stores entry 0's bid with it.
func (r *bufferRing) publish() {
	atomic.StoreUint32(&r.entries[0].last, r.first|uint32(r.tail)<<16)
}

func (r *bufferRing) registration() bufferRegistration {
	return bufferRegistration{addr: uint64(uintptr(unsafe.Pointer(&r.entries[0]))), entries: uint32(len(r.entries)), group: bufferGroup}
}

func (r *bufferRing) unmap() { _ = unix.Munmap(r.memory) }
