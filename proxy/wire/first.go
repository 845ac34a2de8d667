package wire

import (
	"encoding/binary"
	"fmt"
	"strings"
)

// Protocol versions, and the codes that stand in their place.
const (
	Protocol30  uint32 = 196608 // major version 3 in the upper half, minor 0
	Protocol32  uint32 = 196610
	cancelCode  uint32 = 80877102
	sslCode     uint32 = 80877103
	gssencCode  uint32 = 80877104
	longestBody        = 10_000 // PostgreSQL's MAX_STARTUP_PACKET_LENGTH
)

// TLSRecord is the first byte of a client that begins with TLS at once
// instead of asking by SSLRequest. No first packet begins with this byte: the
// length that it stands for is longer than the limit.
const TLSRecord byte = 0x16

// FirstKind is what the first packet of a connection is. It has no type byte.
type FirstKind uint8

// The kinds of first packets.
const (
	FirstStartup FirstKind = iota + 1
	FirstSSLRequest
	FirstGSSENCRequest
	FirstCancelRequest
)

// String is the packet's name in the specification.
func (k FirstKind) String() string {
	switch k {
	case FirstStartup:
		return "StartupMessage"
	case FirstSSLRequest:
		return "SSLRequest"
	case FirstGSSENCRequest:
		return "GSSENCRequest"
	case FirstCancelRequest:
		return "CancelRequest"
	}
	return "unknown first packet"
}

// First is the first packet of a connection, or the one after an SSLRequest
// or GSSENCRequest.
type First struct {
	Kind     FirstKind
	Protocol uint32  // FirstStartup: 3.x; x may be newer than pgherd knows
	Params   []Param // FirstStartup: run-time parameters as sent, in order
	Options  []Param // FirstStartup: protocol options, whose names begin with "_pq_."
	PID      uint32  // FirstCancelRequest
	Key      Secret  // FirstCancelRequest; a piece of the packet
}

// Value is the value of a parameter. If it is given several times the last
// value counts, as it does for PostgreSQL.
func (f *First) Value(name string) (value string, found bool) {
	for _, p := range f.Params {
		if p.Name == name {
			value, found = p.Value, true
		}
	}
	return value, found
}

// UnsupportedProtocolError says that a client speaks another protocol than
// version 3. SQLSTATE 0A000.
type UnsupportedProtocolError struct{ Protocol uint32 }

func (e *UnsupportedProtocolError) Error() string {
	return fmt.Sprintf("view first packet: unsupported protocol %d.%d", e.Protocol>>16, e.Protocol&0xffff)
}

// FirstLength reads the four bytes that a first packet begins with and
// returns how many follow: 4 to 10,000.
func FirstLength(head [4]byte) (int, error) {
	n := int(int32(binary.BigEndian.Uint32(head[:]))) - 4
	if n < 4 || n > longestBody {
		return 0, &ViewError{Message: "first packet", Cause: "invalid length"}
	}
	return n, nil
}

// ViewFirst reads a first packet, without the four bytes of its length.
func ViewFirst(body []byte) (First, error) {
	if len(body) > longestBody {
		return First{}, &ViewError{Message: "first packet", Cause: "invalid length"}
	}
	c := cursor{rest: body}
	code := c.uint32()
	switch f := (First{}); {
	case code == sslCode:
		f.Kind = FirstSSLRequest
		return f, c.end("SSLRequest")
	case code == gssencCode:
		f.Kind = FirstGSSENCRequest
		return f, c.end("GSSENCRequest")
	case code == cancelCode:
		f.Kind, f.PID, f.Key = FirstCancelRequest, c.uint32(), c.key()
		return f, c.end("CancelRequest")
	case code>>16 == 3:
		f.Kind, f.Protocol = FirstStartup, code
		c.params(&f)
		return f, c.end("StartupMessage")
	case c.wrong != "":
		return f, c.end("first packet")
	}
	return First{}, &UnsupportedProtocolError{Protocol: code}
}

// params reads names and values up to an empty name.
func (c *cursor) params(f *First) {
	for {
		name := c.text()
		if len(name) == 0 {
			return
		}
		p := Param{Name: string(name), Value: string(c.text())}
		if strings.HasPrefix(p.Name, "_pq_.") {
			f.Options = append(f.Options, p)
		} else {
			f.Params = append(f.Params, p)
		}
	}
}

// AppendStartup builds a StartupMessage. It returns an error for what a server
// would read differently: a zero byte, an empty name, a packet that is too long.
func AppendStartup(dst []byte, protocol uint32, params ...Param) ([]byte, error) {
	start := len(dst)
	dst = binary.BigEndian.AppendUint32(append(dst, 0, 0, 0, 0), protocol)
	for _, p := range params {
		if p.Name == "" || strings.Contains(p.Name, "\x00") || strings.Contains(p.Value, "\x00") {
			return dst[:start], fmt.Errorf("build StartupMessage: parameter %q cannot be sent", p.Name)
		}
		dst = appendText(appendText(dst, p.Name), p.Value)
	}
	dst = append(dst, 0)
	if n := len(dst) - start - 4; n > longestBody {
		return dst[:start], fmt.Errorf("build StartupMessage: longer than %d bytes", longestBody)
	}
	return finish(dst, start), nil
}

// AppendSSLRequest builds an SSLRequest.
func AppendSSLRequest(dst []byte) []byte { return appendFirst(dst, sslCode, "") }

// AppendGSSENCRequest builds a GSSENCRequest.
func AppendGSSENCRequest(dst []byte) []byte { return appendFirst(dst, gssencCode, "") }

// AppendCancelRequest builds a CancelRequest.
func AppendCancelRequest(dst []byte, pid uint32, key Secret) []byte {
	return appendFirst(dst, cancelCode, append(binary.BigEndian.AppendUint32(nil, pid), key...))
}

func appendFirst[T Text](dst []byte, code uint32, rest T) []byte {
	start := len(dst)
	dst = binary.BigEndian.AppendUint32(append(dst, 0, 0, 0, 0), code)
	return finish(append(dst, rest...), start)
}
