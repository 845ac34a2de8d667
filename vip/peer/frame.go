package peer

import (
	"encoding/binary"
	"fmt"
	"io"
)

// WriteFrame writes data behind their length.
func WriteFrame(to io.Writer, data []byte) error {
	_, err := to.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(data))), data...))
	return err
}

// ReadFrame reads what WriteFrame has written, if it is not longer than this.
func ReadFrame(from io.Reader, longest uint32) ([]byte, error) {
	var head [4]byte
	if _, err := io.ReadFull(from, head[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(head[:])
	if n > longest {
		return nil, fmt.Errorf("it has %d bytes, and %d are allowed", n, longest)
	}
	data := make([]byte, n)
	_, err := io.ReadFull(from, data)
	return data, err
}
