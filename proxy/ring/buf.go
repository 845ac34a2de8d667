package ring

// Buf is a piece of memory, shared (one of the loop's receive buffers, off the Go heap) or private (from
// Get). It is counted by reference, on the loop's thread only.
type Buf struct {
	loop  *Loop
	data  []byte
	fill  int
	refs  int
	index int   // number of a shared buffer, or NoBuffer
	class int   // size class of a private one, or noClass
	from  *Conn // the Conn whose limit it counts against until it is released
}

// Bytes are the bytes in the buffer. They stay the same while a reference is held.
func (b *Buf) Bytes() []byte { return b.data[:b.fill] }

// Room is the free space behind Bytes; a shared buffer has none.
func (b *Buf) Room() []byte {
	if b.index != NoBuffer {
		return nil
	}
	return b.data[b.fill:]
}

// Fill says that n bytes have been written to Room.
func (b *Buf) Fill(n int) {
	if n < 0 || n > len(b.Room()) {
		panic("ring: Buf filled past its room")
	}
	b.fill += n
}

// Hold adds a reference.
func (b *Buf) Hold() {
	if b.refs <= 0 {
		panic("ring: Buf held after its last release")
	}
	b.refs++
}

// Release gives up a reference; with the last one the memory is used anew.
func (b *Buf) Release() {
	b.refs--
	if b.refs < 0 {
		panic("ring: Buf released more often than held")
	}
	if b.refs > 0 {
		return
	}
	if c := b.from; c != nil {
		b.from = nil
		c.hold(-len(b.data))
	}
	b.loop.recycle(b)
}
