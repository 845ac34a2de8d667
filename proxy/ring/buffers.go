package ring

import (
	"fmt"
	"math/bits"

	"golang.org/x/sys/unix"
)

const (
	minClass  = 10 // 1 KB, the smallest private buffer
	maxClass  = 19 // 512 KB, the largest that is kept for reuse
	noClass   = -1
	keepBytes = 2 << 20 // free private memory kept per size class

	firstWindow = 64 // shared buffers that the engine has at first
)

// buffers is the memory of a loop: shared buffers, and free lists of private ones.
//
// The engine fills shared buffers in the order in which it got them. If it had all of them, each receive
// would touch the one that is coldest in the cache. So it has only a window of them, the most recently
// used first, and the window grows when it proves too small.
type buffers struct {
	memory   []byte
	shared   []Buf
	spare    []int // shared buffers that nobody has, a stack
	provided int   // how many shared buffers the engine has
	window   int   // how many the engine is to have
	free     [maxClass + 1][]*Buf
	retired  bool
	quiet    bool // the kernel does not use the memory any more
}

func (m *buffers) mapShared(set Settings) error {
	mem, err := unix.Mmap(-1, 0, set.Buffers*set.BufferSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return fmt.Errorf("map %d receive buffers of %d bytes: %w", set.Buffers, set.BufferSize, err)
	}
	m.memory = mem
	m.shared = make([]Buf, set.Buffers)
	m.window = min(firstWindow, set.Buffers)
	for i := range m.shared {
		at := i * set.BufferSize
		m.shared[i].data = mem[at : at+set.BufferSize : at+set.BufferSize]
		m.shared[i].index = i
		m.spare = append(m.spare, set.Buffers-1-i)
	}
	return nil
}

// unused counts the shared buffers that a receive could fill.
func (m *buffers) unused() int { return m.provided + len(m.spare) }

// provide fills up the engine's window.
func (m *buffers) provide(e Engine) {
	for m.provided < m.window && len(m.spare) > 0 {
		n := m.spare[len(m.spare)-1]
		m.spare = m.spare[:len(m.spare)-1]
		m.provided++
		e.Provide(n)
	}
}

// exhausted is told that the engine ran out of shared buffers.
func (m *buffers) exhausted() { m.window = min(2*m.window, len(m.shared)) }

// claim takes shared buffer n from the engine, which has filled it.
func (l *Loop) claim(n int) *Buf {
	b := &l.shared[n]
	if b.refs != 0 {
		panic("ring: engine gave away a buffer twice")
	}
	l.provided--
	b.loop, b.refs, b.fill = l, 1, 0
	return b
}

// recycle takes a buffer whose last reference is gone.
func (l *Loop) recycle(b *Buf) {
	b.fill = 0
	switch {
	case b.index != NoBuffer:
		l.spare = append(l.spare, b.index)
		l.unmapIfLast()
	case b.class != noClass && !l.retired && (len(l.free[b.class])+1)<<b.class <= keepBytes:
		l.free[b.class] = append(l.free[b.class], b)
	}
}

// Get returns an empty private buffer with room for at least n bytes and one reference.
func (l *Loop) Get(n int) *Buf {
	class := max(minClass, bits.Len(uint(max(n, 1)-1)))
	if class > maxClass {
		return &Buf{loop: l, data: make([]byte, n), refs: 1, index: NoBuffer, class: noClass}
	}
	if k := len(l.free[class]); k > 0 {
		b := l.free[class][k-1]
		l.free[class] = l.free[class][:k-1]
		b.refs = 1
		return b
	}
	return &Buf{loop: l, data: make([]byte, 1<<class), refs: 1, index: NoBuffer, class: class}
}

// Memory is the memory of all shared buffers, one behind the other, and the size of one.
func (l *Loop) Memory() (memory []byte, size int) { return l.memory, l.set.BufferSize }

// retire gives the memory up once the last shared buffer has come back. Memory that the kernel may still
// write to (not quiet) is never unmapped.
func (l *Loop) retire(quiet bool) {
	l.retired, l.quiet = true, quiet
	clear(l.free[:])
	l.unmapIfLast()
}

func (l *Loop) unmapIfLast() {
	if l.retired && l.quiet && l.unused() == len(l.shared) {
		l.unmap()
	}
}

func (m *buffers) unmap() {
	if m.memory != nil {
		_ = unix.Munmap(m.memory) // cannot fail for a mapping of ours
		m.memory = nil
	}
}
