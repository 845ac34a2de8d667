package vip

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"

	"pgherd/vip/lease"
	"pgherd/vip/licence"
)

// What a message on the lane is about: its first byte.
const (
	ofLease   = 1
	ofLicence = 2
)

// leaseMessage is a message about the lease of an address, as it is sent.
type leaseMessage struct {
	About       uint8
	Address     [16]byte
	Kind        uint8
	Incarnation uint64
	Number      uint64
	List        uint64
	To          int32
	Left        int64
}

func appendLease(b []byte, ip netip.Addr, m lease.Message) []byte {
	return appendMessage(b, leaseMessage{ofLease, ip.As16(), uint8(m.Kind), m.Round.Incarnation, m.Round.Number, m.List, int32(m.To), int64(m.Left)})
}

func readLease(b []byte) (ip netip.Addr, m lease.Message, err error) {
	var w leaseMessage
	if err := read(b, &w); err != nil {
		return ip, m, err
	}
	m = lease.Message{Kind: lease.Kind(w.Kind), Round: lease.Round{Incarnation: w.Incarnation, Number: w.Number}, List: w.List, To: lease.Member(w.To), Left: time.Duration(w.Left)}
	return netip.AddrFrom16(w.Address).Unmap(), m, nil
}

// licenceMessage is a message about licences, as it is sent.
type licenceMessage struct {
	About  uint8
	Kind   uint8
	Number uint64
	Term   uint64
	Fenced uint64
	For    int64
}

func appendLicence(b []byte, m licence.Message) []byte {
	return appendMessage(b, licenceMessage{ofLicence, uint8(m.Kind), m.Number, m.Term, m.Fenced, int64(m.For)})
}

func readLicence(b []byte) (m licence.Message, err error) {
	var w licenceMessage
	err = read(b, &w)
	return licence.Message{Kind: licence.Kind(w.Kind), Number: w.Number, Term: w.Term, Fenced: w.Fenced, For: time.Duration(w.For)}, err
}

func appendMessage(b []byte, w any) []byte {
	b, err := binary.Append(b, binary.BigEndian, w)
	if err != nil {
		panic(fmt.Sprintf("vip: write a message: %v", err)) // its fields are of fixed size
	}
	return b
}

func read(b []byte, w any) error {
	if n, err := binary.Decode(b, binary.BigEndian, w); err != nil || n != len(b) {
		return fmt.Errorf("read a message of %d bytes: %w", len(b), err)
	}
	return nil
}
