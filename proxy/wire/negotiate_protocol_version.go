package wire

import "encoding/binary"

// NegotiateProtocolVersionView is a NegotiateProtocolVersion in place.
type NegotiateProtocolVersionView struct {
	Newest  uint32 // protocol version; PostgreSQL sends all of it: 3.0 is 196608
	Options Texts  // those of the start-up packet that are not known
}

// ViewNegotiateProtocolVersion reads the body of a NegotiateProtocolVersion.
func ViewNegotiateProtocolVersion(body []byte) (v NegotiateProtocolVersionView, err error) {
	c := cursor{rest: body}
	v.Newest = c.uint32()
	count := int(int32(c.uint32()))
	if count < 0 || count > len(c.rest) {
		c.fail("invalid count")
		count = 0
	}
	v.Options = Texts{count: count, bytes: c.rest}
	for range count {
		c.text()
	}
	return v, c.end("NegotiateProtocolVersion")
}

// AppendNegotiateProtocolVersion builds a NegotiateProtocolVersion.
func AppendNegotiateProtocolVersion(dst []byte, newest uint32, options Texts) []byte {
	dst, at := begin(dst, 'v')
	dst = binary.BigEndian.AppendUint32(dst, newest)
	dst = binary.BigEndian.AppendUint32(dst, uint32(options.count))
	return finish(append(dst, options.bytes...), at)
}
