package wire

import (
	"bytes"
	"encoding/binary"
)

// ViewError says what is wrong with the body of a message. SQLSTATE 08P01.
// It never quotes the body (I9).
type ViewError struct {
	Message string // the name of the message in the specification
	Cause   string
}

func (e *ViewError) Error() string { return "view " + e.Message + ": " + e.Cause }

// cursor reads the fields of a body in order. What went wrong first is kept;
// after that every field reads as empty.
type cursor struct {
	rest  []byte
	wrong string
}

func (c *cursor) fail(cause string) {
	if c.wrong == "" {
		c.wrong = cause
	}
	c.rest = nil
}

// end is called once all fields are read, and returns what was wrong; nothing may be left over.
func (c *cursor) end(message string) error {
	if c.wrong == "" && len(c.rest) > 0 {
		c.wrong = "bytes left over"
	}
	if c.wrong == "" {
		return nil
	}
	return &ViewError{Message: message, Cause: c.wrong}
}

func (c *cursor) take(n int) []byte {
	if n < 0 || n > len(c.rest) {
		c.fail("cut short")
		return nil
	}
	taken := c.rest[:n:n]
	c.rest = c.rest[n:]
	return taken
}

func (c *cursor) octet() byte {
	if len(c.rest) < 1 {
		c.fail("cut short")
		return 0
	}
	return c.take(1)[0]
}

func (c *cursor) uint16() uint16 {
	if len(c.rest) < 2 {
		c.fail("cut short")
		return 0
	}
	return binary.BigEndian.Uint16(c.take(2))
}

func (c *cursor) uint32() uint32 {
	if len(c.rest) < 4 {
		c.fail("cut short")
		return 0
	}
	return binary.BigEndian.Uint32(c.take(4))
}

// text reads up to a zero byte.
func (c *cursor) text() []byte {
	n := bytes.IndexByte(c.rest, 0)
	if n < 0 {
		c.fail("text without its end")
		return nil
	}
	return c.take(n + 1)[:n:n]
}

// value reads a length and that many bytes; nil is NULL.
func (c *cursor) value() []byte {
	n := int32(c.uint32())
	if n == -1 {
		return nil
	}
	return c.take(int(n))
}

// one reads a byte that must be one of allowed.
func (c *cursor) one(allowed string) byte {
	b := c.octet()
	if c.wrong == "" && bytes.IndexByte([]byte(allowed), b) < 0 {
		c.fail("invalid type byte")
	}
	return b
}
