package wire

import (
	"encoding/binary"
	"fmt"
)

// Message is a message, or a piece of one that is long or still arriving.
type Message struct {
	Kind        Kind
	Bytes       []byte // the header is part of the first piece
	First, Last bool   // both: Bytes is the whole message
	Copied      bool   // Bytes belong to the Cutter until its next call, not to the stream
}

// Body is a whole message without its header.
func (m *Message) Body() []byte { return m.Bytes[HeaderLen:] }

// Cutter cuts one direction of a connection into messages. It never copies a
// body that sessions do not look into. What it keeps itself (a header that has
// arrived in two parts, a small message that sessions look into) is at most
// HeaderLen+WholeLimit bytes.
type Cutter struct {
	kinds *[256]Kind
	kept  []byte // the beginning of a message whose rest has not arrived
	kind  Kind   // of the message that passes in pieces
	left  int    // bytes of it still to come
}

// CutRequests cuts what a client sends.
func CutRequests() Cutter { return Cutter{kinds: &requests} }

// CutReplies cuts what a server sends.
func CutReplies() Cutter { return Cutter{kinds: &replies} }

// Between says that the stream stands between two messages.
func (c *Cutter) Between() bool { return c.left == 0 && len(c.kept) == 0 }

// ViolationError says that what arrived violates the protocol. Its SQLSTATE is 08P01.
type ViolationError struct {
	Tag    byte
	Kind   Kind // Unknown if the type byte is
	Length int  // as the message tells it
}

func (e *ViolationError) Error() string {
	if e.Kind == Unknown {
		return fmt.Sprintf("invalid frontend message type %d", e.Tag)
	}
	return fmt.Sprintf("invalid length %d of %v message", e.Length, e.Kind)
}

// Next takes the next message, or piece of one, off p and returns it with the
// rest of p. A message without Bytes means that p is used up; the beginning of
// a message at its end is kept for the next call. After an error the stream cannot be used.
func (c *Cutter) Next(p []byte) (Message, []byte, error) {
	if c.left > 0 {
		return c.piece(p)
	}
	if len(c.kept) > 0 {
		return c.resume(p)
	}
	if len(p) < HeaderLen {
		c.kept = append(c.kept, p...)
		return Message{}, nil, nil
	}
	kind, n, err := c.header(p)
	if err != nil {
		return Message{}, nil, err
	}
	if n <= len(p) {
		return Message{Kind: kind, Bytes: p[:n], First: true, Last: true}, p[n:], nil
	}
	if len(p) < c.firstPiece(kind, n) {
		c.kept = append(c.kept, p...)
		return Message{}, nil, nil
	}
	c.kind, c.left = kind, n-len(p)
	return Message{Kind: kind, Bytes: p, First: true}, nil, nil
}

// Run is how many bytes p begins with that are whole messages of one kind.
func (c *Cutter) Run(p []byte, kind Kind) (n int) {
	if !c.Between() {
		return 0
	}
	m := &meanings[kind]
	for len(p)-n >= HeaderLen && p[n] == m.tag {
		length := int(int32(binary.BigEndian.Uint32(p[n+1:])))
		if length-4 < m.min || length-4 > m.max || n+1+length > len(p) {
			break
		}
		n += 1 + length
	}
	return n
}

// header reads a header: the kind, and the length of the message with it.
func (c *Cutter) header(p []byte) (Kind, int, error) {
	kind := c.kinds[p[0]]
	n := int(int32(binary.BigEndian.Uint32(p[1:])))
	m := &meanings[kind]
	if kind == Unknown || n-4 < m.min || n-4 > m.max {
		return Unknown, 0, &ViolationError{Tag: p[0], Kind: kind, Length: n}
	}
	return kind, n + 1, nil
}

// firstPiece is how many bytes of a message of n bytes have to be there before
// any of them are delivered: all of them if sessions look into messages of this
// kind and it is not too long, else its beginning.
func (c *Cutter) firstPiece(kind Kind, n int) int {
	switch {
	case !kind.Whole():
		return HeaderLen
	case n <= HeaderLen+WholeLimit:
		return n
	default:
		return HeaderLen + FirstLimit
	}
}

// piece goes on with a message that passes in pieces.
func (c *Cutter) piece(p []byte) (Message, []byte, error) {
	n := min(c.left, len(p))
	c.left -= n
	return Message{Kind: c.kind, Bytes: p[:n], Last: c.left == 0 && n > 0}, p[n:], nil
}

// resume goes on with a message whose beginning was kept.
func (c *Cutter) resume(p []byte) (Message, []byte, error) {
	p = c.keep(p, HeaderLen)
	if len(c.kept) < HeaderLen {
		return Message{}, nil, nil
	}
	kind, n, err := c.header(c.kept)
	if err != nil {
		c.forget()
		return Message{}, nil, err
	}
	if first := c.firstPiece(kind, n); first < n {
		if p = c.keep(p, first); len(c.kept) < first {
			return Message{}, nil, nil
		}
		m := Message{Kind: kind, Bytes: c.kept, First: true, Last: n == len(c.kept), Copied: true}
		c.kind, c.left = kind, n-len(c.kept)
		c.forget()
		return m, p, nil
	}
	p = c.keep(p, n)
	if len(c.kept) < n {
		return Message{}, nil, nil
	}
	m := Message{Kind: kind, Bytes: c.kept, First: true, Last: true, Copied: true}
	c.forget()
	return m, p, nil
}

// keep moves bytes from p until n are kept.
func (c *Cutter) keep(p []byte, n int) []byte {
	n = max(0, min(n-len(c.kept), len(p)))
	c.kept = append(c.kept, p[:n]...)
	return p[n:]
}

// keptCapacity is what a Cutter may hold on to between messages.
const keptCapacity = 512

// forget empties what was kept. The bytes stay readable until the next call.
func (c *Cutter) forget() {
	if cap(c.kept) > keptCapacity {
		c.kept = nil
		return
	}
	c.kept = c.kept[:0]
}
