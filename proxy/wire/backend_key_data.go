package wire

import "encoding/binary"

// Lengths of a cancel key, in bytes. Protocol 3.0 knows only the shortest.
const (
	ShortestKey = 4
	LongestKey  = 256
)

// BackendKeyDataView is a BackendKeyData in place.
type BackendKeyDataView struct {
	PID uint32
	Key Secret // ShortestKey to LongestKey bytes
}

// ViewBackendKeyData reads the body of a BackendKeyData.
func ViewBackendKeyData(body []byte) (v BackendKeyDataView, err error) {
	c := cursor{rest: body}
	v.PID = c.uint32()
	v.Key = c.key()
	return v, c.end("BackendKeyData")
}

// key reads a cancel key, which is the rest of the body.
func (c *cursor) key() Secret {
	key := c.take(len(c.rest))
	if len(key) < ShortestKey || len(key) > LongestKey {
		c.fail("invalid length of the key")
	}
	return key
}

// AppendBackendKeyData builds a BackendKeyData.
func AppendBackendKeyData(dst []byte, pid uint32, key Secret) []byte {
	dst, at := begin(dst, 'K')
	return finish(append(binary.BigEndian.AppendUint32(dst, pid), key...), at)
}
