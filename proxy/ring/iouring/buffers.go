package iouring

import (
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// bufferEntry is struct io_uring_buf. The tail of the ring is the last field of the first entry.
type bufferEntry struct {
	addr uint64
	len  uint32
	last uint32 // bid, and above it resv: in entry 0 the tail (little-endian, as amd64 and arm64 are)
}

// Buffers hands buffers to the kernel, which takes them in order.
type Buffers struct {
	entries []bufferEntry
	memory  []byte
	base    uint64
	size    int
	tail    uint16
	first   uint32 // bid in entry 0
}

// NewBuffers makes the ring of the buffers that lie in memory one behind the other, each of that size.
func NewBuffers(memory []byte, size int) (*Buffers, error) {
	n := len(memory) / size
	mem, err := unix.Mmap(-1, 0, n*int(unsafe.Sizeof(bufferEntry{})), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_SHARED)
	if err != nil {
		return nil, err
	}
	return &Buffers{
		entries: unsafe.Slice((*bufferEntry)(unsafe.Pointer(&mem[0])), n),
		memory:  mem,
		base:    uint64(uintptr(unsafe.Pointer(&memory[0]))),
		size:    size,
	}, nil
}

// Put adds buffer n; the kernel sees it after Publish.
func (r *Buffers) Put(n int) {
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

// Publish stores the tail after the entries; there is no 16-bit atomic, so it stores entry 0's bid with it.
func (r *Buffers) Publish() {
	atomic.StoreUint32(&r.entries[0].last, r.first|uint32(r.tail)<<16)
}

func (r *Buffers) registration() bufferRegistration {
	return bufferRegistration{addr: uint64(uintptr(unsafe.Pointer(&r.entries[0]))), entries: uint32(len(r.entries)), group: bufferGroup}
}

// Unmap gives the memory of the ring back, not that of the buffers.
func (r *Buffers) Unmap() { _ = unix.Munmap(r.memory) }
