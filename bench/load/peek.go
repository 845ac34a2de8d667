package load

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"time"
)

// peeker reads messages without waiting for their ends.
type peeker struct {
	in   *bufio.Reader
	used int // bytes of the current body that are read
}

type armed struct{ c *Conn }

func (a armed) Read(p []byte) (int, error) {
	if err := a.c.arm(); err != nil {
		return 0, err
	}
	return a.c.stream.Read(p)
}

func newPeeker(c *Conn) *peeker { return &peeker{in: bufio.NewReaderSize(armed{c}, readBuffer)} }

func (p *peeker) head() (kind byte, length int, err error) {
	head, err := p.in.Peek(5)
	if err != nil {
		return 0, 0, err
	}
	kind, length = head[0], int(binary.BigEndian.Uint32(head[1:]))-4
	if length < 0 {
		return 0, 0, fmt.Errorf("%w %d of kind %q", errLength, length+4, kind)
	}
	p.used = 0
	_, err = p.in.Discard(5)
	return kind, length, err
}

func (p *peeker) take(n int) ([]byte, error) {
	bytes, err := p.in.Peek(n)
	if err != nil {
		return nil, err
	}
	p.used += n
	_, err = p.in.Discard(n)
	return bytes, err
}

// rowStamp reads a row's second column, after an empty first one, and says when it came.
func (p *peeker) rowStamp() (now, made time.Time, err error) {
	head, err := p.take(2 + 4 + 4) // columns, first length, second length
	if err != nil {
		return now, made, err
	}
	if empty := fieldLength(head[2:]); empty != 0 {
		return now, made, fmt.Errorf("read a row's moment: its first column has %d bytes", empty)
	}
	length := fieldLength(head[6:])
	if length < 1 || length > 64 {
		return now, made, fmt.Errorf("read a row's moment: its second column has %d bytes", length)
	}
	text, err := p.take(length)
	now = time.Now()
	if err != nil {
		return now, made, err
	}
	made, err = parseStamp(string(text))
	return now, made, err
}

// skip reads the rest of a body of this length.
func (p *peeker) skip(length int) error {
	_, err := p.in.Discard(length - p.used)
	return err
}
