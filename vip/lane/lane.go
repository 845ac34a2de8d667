// Package lane carries short messages between members by UDP. A message that was changed on its way, or is of somebody
// without the key, is dropped unread; so is one for another member or another cluster. Messages may be lost, late, doubled,
// repeated by a stranger, and in any order: who takes them has to stand that.
package lane

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync/atomic"
)

// LongestMessage is how long a message may be, in bytes: with what is put before it, it fits in any network's packet.
const LongestMessage = 1024

// Before a message stand: the protocol's version, who it is from, who it is for. Behind it stands the proof.
const (
	version   = 1
	header    = 1 + 2 + 2
	proofSize = sha256.Size
	most      = header + LongestMessage + proofSize
)

// Settings of a Lane.
type Settings struct {
	Self    int                    // the number of this member
	Members map[int]netip.AddrPort // of all
	Key     []byte                 // that all members have, of this cluster alone
}

// A Lane has the messages of one member. Send may be called from any goroutine.
type Lane struct {
	set     Settings
	socket  *net.UDPConn
	dropped atomic.Uint64
}

// Listen opens the lane at an address of this host's.
func Listen(at netip.AddrPort, s Settings) (*Lane, error) {
	for number := range s.Members {
		if number < 0 || number > 1<<16-1 {
			return nil, fmt.Errorf("listen for members: %d is not a member's number", number)
		}
	}
	socket, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(at))
	if err != nil {
		return nil, fmt.Errorf("listen for members: %w", err)
	}
	return &Lane{set: s, socket: socket}, nil
}

// Addr is where the lane listens.
func (l *Lane) Addr() netip.AddrPort { return l.socket.LocalAddr().(*net.UDPAddr).AddrPort() }

// Close ends Receive.
func (l *Lane) Close() error { return l.socket.Close() }

// Dropped is how many messages were dropped unread.
func (l *Lane) Dropped() uint64 { return l.dropped.Load() }

// Send sends a message to a member. That it was sent does not say that it arrives.
func (l *Lane) Send(to int, message []byte) error {
	address, known := l.set.Members[to]
	switch {
	case !known:
		return fmt.Errorf("send to member %d: it is not configured", to)
	case len(message) > LongestMessage:
		return fmt.Errorf("send to member %d: the message has %d bytes, and %d are allowed", to, len(message), LongestMessage)
	}
	packet := make([]byte, 0, most)
	packet = append(packet, version)
	packet = binary.BigEndian.AppendUint16(packet, uint16(l.set.Self))
	packet = binary.BigEndian.AppendUint16(packet, uint16(to))
	packet = append(packet, message...)
	if _, err := l.socket.WriteToUDPAddrPort(l.prove(packet), address); err != nil {
		return fmt.Errorf("send to member %d: %w", to, err)
	}
	return nil
}

// prove puts the proof behind a packet.
func (l *Lane) prove(packet []byte) []byte {
	m := hmac.New(sha256.New, l.set.Key)
	m.Write(packet)
	return m.Sum(packet)
}

// Receive calls take with each message, until the lane is closed. The message is valid until take returns.
func (l *Lane) Receive(take func(from int, message []byte)) error {
	packet := make([]byte, most+1)
	for {
		n, _, err := l.socket.ReadFromUDPAddrPort(packet)
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			continue // what the network tells of a packet that was sent, such as that nobody listens there
		}
		if from, message, ok := l.open(packet[:n]); ok {
			take(from, message)
		} else {
			l.dropped.Add(1)
		}
	}
}

// open checks a packet. Where it comes from does not count: a member may have several addresses.
func (l *Lane) open(packet []byte) (from int, message []byte, ok bool) {
	end := len(packet) - proofSize
	if end < header || len(packet) > most || packet[0] != version {
		return 0, nil, false
	}
	if proof := l.prove(packet[:end:end])[end:]; !hmac.Equal(proof, packet[end:]) {
		return 0, nil, false
	}
	from = int(binary.BigEndian.Uint16(packet[1:]))
	to := int(binary.BigEndian.Uint16(packet[3:]))
	_, known := l.set.Members[from]
	return from, packet[header:end], known && to == l.set.Self && from != to
}
