package auth

import (
	"encoding/binary"
	"fmt"
	"io"

	"pgherd/proxy/wire"
)

// talk exchanges messages with a client that is being authenticated, one at a time.
type talk struct{ conn io.ReadWriter }

func (t talk) tell(message []byte) error {
	if _, err := t.conn.Write(message); err != nil {
		return fmt.Errorf("write authentication: %w", err)
	}
	return nil
}

// hear waits for the client's answer and returns its body.
func (t talk) hear() ([]byte, error) {
	kind, body, err := readMessage(t.conn, wire.RequestKind, 0)
	if err != nil {
		return nil, err
	}
	if kind != wire.Password {
		return nil, violation("expected password response, got "+kind.String(), "")
	}
	return body, nil
}

// ask is tell, then hear.
func (t talk) ask(message []byte) ([]byte, error) {
	if err := t.tell(message); err != nil {
		return nil, err
	}
	return t.hear()
}

// readMessage reads exactly one message, because what follows belongs to whoever has
// the connection next. longest limits the body where the protocol does not; 0 leaves it
// to the protocol.
func readMessage(r io.Reader, kindOf func(byte) wire.Kind, longest int) (wire.Kind, []byte, error) {
	var header [wire.HeaderLen]byte
	if _, err := io.ReadFull(r, header[:]); err != nil {
		return wire.Unknown, nil, fmt.Errorf("read message: %w", err)
	}
	kind := kindOf(header[0])
	n := int(int32(binary.BigEndian.Uint32(header[1:]))) - 4
	shortest, limit := kind.BodyLimits()
	if longest > 0 {
		limit = min(limit, longest)
	}
	if kind == wire.Unknown || n < shortest || n > limit {
		return wire.Unknown, nil, violation("invalid message while authenticating",
			fmt.Sprintf("type byte %d, length %d", header[0], n+4))
	}
	body := make([]byte, n)
	if _, err := io.ReadFull(r, body); err != nil {
		return wire.Unknown, nil, fmt.Errorf("read %v: %w", kind, NoEOF(err))
	}
	return kind, body, nil
}

// NoEOF keeps io.EOF for connections that end between messages.
func NoEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// ReadReply reads exactly one message of a server that has accepted the log-in.
func ReadReply(r io.Reader) (wire.Kind, []byte, error) {
	return readMessage(r, wire.ReplyKind, longestReply)
}
