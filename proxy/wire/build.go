package wire

import "encoding/binary"

// Param is a run-time parameter: of a start-up packet or a ParameterStatus.
type Param struct{ Name, Value string }

// begin starts a message; finish fills in its length once the body is there.
func begin(dst []byte, tag byte) (out []byte, at int) {
	return append(dst, tag, 0, 0, 0, 0), len(dst) + 1
}

func finish(dst []byte, at int) []byte {
	binary.BigEndian.PutUint32(dst[at:], uint32(len(dst)-at))
	return dst
}
