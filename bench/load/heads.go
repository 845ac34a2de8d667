package load

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// heads follows a stream of messages through buffers that cut it anywhere. It looks at
// the kind and the length of each, and keeps the body only of those that are short and
// needed.
type heads struct {
	head [5]byte
	have int // bytes of the head that have come
	left int // bytes of the body that are still to come
	body []byte
}

// longestKept is enough for ERROR and for the messages of a log-in. Longer bodies are
// cut.
const longestKept = 4096

var errLength = errors.New("read message: impossible length")

func kept(kind byte) bool { return kind == 'E' || kind == 'R' }

// walk calls whole for every message that ends within bytes, in order.
func (h *heads) walk(bytes []byte, whole func(kind byte, body []byte) error) error {
	for len(bytes) > 0 {
		if h.have < len(h.head) {
			n := copy(h.head[h.have:], bytes)
			h.have += n
			bytes = bytes[n:]
			if h.have < len(h.head) {
				return nil
			}
			length := binary.BigEndian.Uint32(h.head[1:])
			if length < 4 || length > 1<<30+4 {
				return fmt.Errorf("%w %d of kind %q", errLength, length, h.head[0])
			}
			h.left = int(length) - 4
			h.body = h.body[:0]
		}
		n := min(h.left, len(bytes))
		if kept(h.head[0]) && len(h.body) < longestKept {
			h.body = append(h.body, bytes[:n]...)
		}
		h.left -= n
		bytes = bytes[n:]
		if h.left == 0 {
			h.have = 0
			if err := whole(h.head[0], h.body); err != nil {
				return err
			}
		}
	}
	return nil
}

// until reads messages up to and including the first of kind stop, and returns how many
// bytes came. An ERROR ends it too.
func (c *Conn) until(stop byte) (int64, error) {
	var received int64
	for done := false; !done; {
		bytes, err := c.read()
		if err != nil {
			return received, err
		}
		received += int64(len(bytes))
		err = c.heads.walk(bytes, func(kind byte, body []byte) error {
			done = done || kind == stop
			if kind == 'E' {
				return serverError(body)
			}
			return nil
		})
		if err != nil {
			return received, err
		}
	}
	return received, nil
}

// serverError is an ERROR's message field (M).
func serverError(body []byte) error {
	for len(body) > 1 {
		field, rest, _ := cut(body[1:])
		if body[0] == 'M' {
			return fmt.Errorf("server says: %s", field)
		}
		body = rest
	}
	return errors.New("server says: an error without a message")
}

// cut splits at the first zero byte.
func cut(bytes []byte) (text string, rest []byte, found bool) {
	for i, b := range bytes {
		if b == 0 {
			return string(bytes[:i]), bytes[i+1:], true
		}
	}
	return string(bytes), nil, false
}
