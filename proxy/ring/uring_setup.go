package ring

import (
	"errors"
	"fmt"
	"unsafe"

	abi "github.com/iceber/iouring-go/syscall"
	"golang.org/x/sys/unix"
)

const (
	sqEntries = 256  // more are submitted in several system calls
	cqEntries = 4096 // what does not fit waits in the kernel
)

// queues are the two rings shared with the kernel.
type queues struct {
	fd                    int
	rings, entries        []byte
	sqHead, sqTail, flags *uint32
	sqMask                uint32
	sqes                  []sqe
	cqHead, cqTail        *uint32
	cqMask                uint32
	cqes                  []cqe
}

func openQueues() (*queues, error) {
	p := abi.IOURingParams{
		CQEntries: cqEntries,
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
	q := &queues{fd: fd}
	if err := q.map_(&p); err != nil {
		q.close()
		return nil, fmt.Errorf("map io_uring: %w", err)
	}
	return q, nil
}

// missing says which feature is wanting when io_uring_setup fails.
func missing(err error) error {
	m := &MissingError{Feature: "io_uring", MinVersion: "5.1", Cause: err}
	switch {
	case errors.Is(err, unix.EINVAL):
		m.Feature, m.MinVersion = "single issuer with deferred task work", minURing
	case errors.Is(err, unix.EPERM):
		m.Feature = "permission for io_uring: see kernel.io_uring_disabled and seccomp"
	case errors.Is(err, unix.ENOMEM):
		m.Feature = "memory for io_uring: see RLIMIT_MEMLOCK"
	}
	return m
}

func (q *queues) map_(p *abi.IOURingParams) (err error) {
	size := max(p.SQOffset.Array+p.SQEntries*4, p.CQOffset.Cqes+p.CQEntries*uint32(unsafe.Sizeof(cqe{})))
	if q.rings, err = mapRing(q.fd, abi.IORING_OFF_SQ_RING, int(size)); err != nil {
		return err
	}
	if q.entries, err = mapRing(q.fd, abi.IORING_OFF_SQES, int(p.SQEntries)*int(unsafe.Sizeof(sqe{}))); err != nil {
		return err
	}
	word := func(at uint32) *uint32 { return (*uint32)(unsafe.Pointer(&q.rings[at])) }
	q.sqHead, q.sqTail, q.flags = word(p.SQOffset.Head), word(p.SQOffset.Tail), word(p.SQOffset.Flags)
	q.sqMask = p.SQEntries - 1
	q.sqes = unsafe.Slice((*sqe)(unsafe.Pointer(&q.entries[0])), p.SQEntries)
	order := unsafe.Slice(word(p.SQOffset.Array), p.SQEntries)
	for i := range order {
		order[i] = uint32(i)
	}
	q.cqHead, q.cqTail, q.cqMask = word(p.CQOffset.Head), word(p.CQOffset.Tail), p.CQEntries-1
	q.cqes = unsafe.Slice((*cqe)(unsafe.Pointer(&q.rings[p.CQOffset.Cqes])), p.CQEntries)
	return nil
}

func mapRing(fd int, at uint64, size int) ([]byte, error) {
	return unix.Mmap(fd, int64(at), size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_POPULATE)
}

func (q *queues) close() {
	for _, m := range [][]byte{q.rings, q.entries} {
		if m != nil {
			_ = unix.Munmap(m)
		}
	}
	_ = unix.Close(q.fd)
}

// registerBuffers makes the shared buffers known to the kernel.
func (q *queues) registerBuffers(r *bufferRing) error {
	reg := r.registration()
	if err := abi.IOURingRegister(q.fd, registerBufferRing, unsafe.Pointer(&reg), 1); err != nil {
		return &MissingError{"buffer ring", "5.19", err}
	}
	return nil
}

// registerSelf makes the ring known to its thread, which saves the kernel a look-up per enter.
func (q *queues) registerSelf() (index int, err error) {
	up := resourceUpdate{offset: ^uint32(0), data: uint64(q.fd)}
	if err := abi.IOURingRegister(q.fd, registerRingFDs, unsafe.Pointer(&up), 1); err != nil {
		return -1, err
	}
	return int(up.offset), nil
}

// unregisterSelf undoes that; the registration would keep the ring alive as long as the thread.
func (q *queues) unregisterSelf(index int) {
	up := resourceUpdate{offset: uint32(index)}
	_ = abi.IOURingRegister(q.fd, unregisterRingFDs, unsafe.Pointer(&up), 1)
}
