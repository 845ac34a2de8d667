package observe

import (
	"encoding/binary"
	"fmt"
	"net/netip"
)

// Kind is what a Sign is.
type Kind uint32

// The signs, with the numbers that they have in observe.c.
const (
	Failed     Kind = 1 // a connection could not be opened
	Aborted    Kind = 2 // a connection ended without a goodbye: reset, given up, or closed here with data unread
	Timeout    Kind = 3 // no acknowledgement came in time
	Retransmit Kind = 4 // a packet was sent again, for whatever reason
)

func (k Kind) String() string {
	switch k {
	case Failed:
		return "connect failed"
	case Aborted:
		return "connection aborted"
	case Timeout:
		return "retransmission timeout"
	case Retransmit:
		return "retransmit"
	}
	return fmt.Sprintf("sign %d", uint32(k))
}

// Sign is a sign that a node may be in trouble.
type Sign struct {
	Node netip.AddrPort
	Kind Kind
}

// readSign reads what the program has written.
func readSign(raw []byte) (Sign, bool) {
	var s observeSign
	if n, err := binary.Decode(raw, binary.NativeEndian, &s); err != nil || n != len(raw) {
		return Sign{}, false
	}
	return Sign{Node: nodeOf(&s.Node), Kind: Kind(s.Kind)}, true
}
