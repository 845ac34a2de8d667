// Package iouring is what a thread shares with the kernel's io_uring: the two queues, the ring of buffers,
// and the system calls on them.
//
// Contract: it knows nothing of sockets, Conns or loops. A Ring belongs to the thread that opened it. Its owner
// sees to it that what an Entry points to stays untouched until the completion.
package iouring

import (
	"errors"
	"fmt"
	"unsafe"

	abi "github.com/iceber/iouring-go/syscall"
	"golang.org/x/sys/unix"
)

const (
	sqEntries = 256 // more are submitted in several system calls
	// Completions is how many the queue holds; what does not fit waits in the kernel.
	Completions = 4096
)

// Ring is the queues shared with the kernel, and how they are entered.
type Ring struct {
	// Err is why the ring is lost; nil while it is not.
	Err error
	// Enters counts the system calls that submit or wait.
	Enters uint64

	fd                    int
	rings, entries        []byte
	sqHead, sqTail, flags *uint32
	sqMask                uint32
	sqes                  []Entry
	cqHead, cqTail        *uint32
	cqMask                uint32
	cqes                  []completion

	next   uint32 // tail of the submission queue, not yet shown to the kernel
	handle int    // ring descriptor as io_uring_enter wants it
	mode   uint32 // flags of every io_uring_enter
	arg    geteventsArg
	limit  unix.Timespec
}

// Open makes a ring for the calling thread. A *MissingError says which feature the kernel lacks.
func Open() (*Ring, error) {
	p := abi.IOURingParams{
		CQEntries: Completions,
		Flags: abi.IORING_SETUP_CQSIZE | abi.IORING_SETUP_SUBMIT_ALL | abi.IORING_SETUP_COOP_TASKRUN |
			abi.IORING_SETUP_TASKRUN_FLAG | setupSingleIssuer | setupDeferTaskrun,
	}
	fd, err := abi.IOURingSetup(sqEntries, &p)
	if err != nil {
		return nil, missing(err)
	}
	const needed = abi.IORING_FEAT_SINGLE_MMAP | abi.IORING_FEAT_NODROP | abi.IORING_FEAT_SUBMIT_STABLE | featureExtArg
	if p.Features&needed != needed {
		_ = unix.Close(fd)
		return nil, &MissingError{"timed wait", "5.11", fmt.Errorf("ring offers features %#x", p.Features)}
	}
	r := &Ring{fd: fd, handle: fd}
	if err := r.map_(&p); err != nil {
		r.Close()
		return nil, fmt.Errorf("map io_uring: %w", err)
	}
	r.next = *r.sqTail
	return r, nil
}

// MinKernel is the first kernel with everything that a Ring needs.
const MinKernel = "6.1"

// MissingError says that io_uring cannot be used for want of a feature.
type MissingError struct {
	Feature    string
	MinVersion string // the first kernel that has it
	Cause      error
}

func (e *MissingError) Error() string {
	return fmt.Sprintf("use io_uring: %s (Linux %s): %v", e.Feature, e.MinVersion, e.Cause)
}

func (e *MissingError) Unwrap() error { return e.Cause }

// missing says which feature the kernel lacks if io_uring_setup fails.
func missing(err error) error {
	m := &MissingError{Feature: "io_uring", MinVersion: "5.1", Cause: err}
	switch {
	case errors.Is(err, unix.EINVAL):
		m.Feature, m.MinVersion = "single issuer with deferred task work", MinKernel
	case errors.Is(err, unix.EPERM):
		m.Feature = "permission for io_uring: see kernel.io_uring_disabled and seccomp"
	case errors.Is(err, unix.ENOMEM):
		m.Feature = "memory for io_uring: see RLIMIT_MEMLOCK"
	}
	return m
}

func (r *Ring) map_(p *abi.IOURingParams) (err error) {
	size := max(p.SQOffset.Array+p.SQEntries*4, p.CQOffset.Cqes+p.CQEntries*uint32(unsafe.Sizeof(completion{})))
	if r.rings, err = mapRing(r.fd, abi.IORING_OFF_SQ_RING, int(size)); err != nil {
		return err
	}
	if r.entries, err = mapRing(r.fd, abi.IORING_OFF_SQES, int(p.SQEntries)*int(unsafe.Sizeof(Entry{}))); err != nil {
		return err
	}
	word := func(at uint32) *uint32 { return (*uint32)(unsafe.Pointer(&r.rings[at])) }
	r.sqHead, r.sqTail, r.flags = word(p.SQOffset.Head), word(p.SQOffset.Tail), word(p.SQOffset.Flags)
	r.sqMask = p.SQEntries - 1
	r.sqes = unsafe.Slice((*Entry)(unsafe.Pointer(&r.entries[0])), p.SQEntries)
	order := unsafe.Slice(word(p.SQOffset.Array), p.SQEntries)
	for i := range order {
		order[i] = uint32(i)
	}
	r.cqHead, r.cqTail, r.cqMask = word(p.CQOffset.Head), word(p.CQOffset.Tail), p.CQEntries-1
	r.cqes = unsafe.Slice((*completion)(unsafe.Pointer(&r.rings[p.CQOffset.Cqes])), p.CQEntries)
	return nil
}

func mapRing(fd int, at uint64, size int) ([]byte, error) {
	return unix.Mmap(fd, int64(at), size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_POPULATE)
}

// Close gives the ring back to the kernel.
func (r *Ring) Close() {
	if r.handle != r.fd {
		r.unregisterSelf()
	}
	for _, m := range [][]byte{r.rings, r.entries} {
		if m != nil {
			_ = unix.Munmap(m)
		}
	}
	_ = unix.Close(r.fd)
}

// RegisterBuffers makes the shared buffers known to the kernel.
func (r *Ring) RegisterBuffers(b *Buffers) error {
	reg := b.registration()
	if err := abi.IOURingRegister(r.fd, registerBufferRing, unsafe.Pointer(&reg), 1); err != nil {
		return &MissingError{"buffer ring", "5.19", err}
	}
	return nil
}

// RegisterSelf makes the ring known to its thread, which saves the kernel a look-up for each enter.
func (r *Ring) RegisterSelf() error {
	up := resourceUpdate{offset: ^uint32(0), data: uint64(r.fd)}
	if err := abi.IOURingRegister(r.fd, registerRingFDs, unsafe.Pointer(&up), 1); err != nil {
		return err
	}
	r.handle, r.mode = int(up.offset), enterRegisteredRing
	return nil
}

// unregisterSelf undoes that; the registration would keep the ring alive as long as the thread.
func (r *Ring) unregisterSelf() {
	up := resourceUpdate{offset: uint32(r.handle)}
	_ = abi.IOURingRegister(r.fd, unregisterRingFDs, unsafe.Pointer(&up), 1)
}
