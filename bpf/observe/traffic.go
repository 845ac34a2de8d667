package observe

import (
	"encoding/binary"
	"net/netip"
	"time"

	"github.com/cilium/ebpf"
)

// Counts are what came of the connections with one remote side.
type Counts struct {
	Live           uint64 // now
	Opened, Closed uint64
	Failed         uint64        // not opened at all
	Aborted        uint64        // of the closed: without a goodbye
	Received, Sent uint64        // bytes; those sent are acknowledged
	Retransmits    uint64        // segments
	Timeouts       uint64        // of retransmission
	RTT            time.Duration // smoothed: the mean of those that live, or that of the last that ended
	together       time.Duration // the RTTs of those that live
}

// Traffic is what came of all connections, by the remote side.
type Traffic struct {
	Nodes   map[netip.AddrPort]Counts
	Clients map[netip.Addr]Counts
}

// Add is the sum of both. Its RTT is the mean over the connections that live, if there are any.
func (c Counts) Add(other Counts) Counts {
	sum := Counts{Live: c.Live + other.Live, Opened: c.Opened + other.Opened, Closed: c.Closed + other.Closed,
		Failed: c.Failed + other.Failed, Aborted: c.Aborted + other.Aborted, Received: c.Received + other.Received, Sent: c.Sent + other.Sent,
		Retransmits: c.Retransmits + other.Retransmits, Timeouts: c.Timeouts + other.Timeouts, together: c.together + other.together}
	switch {
	case sum.Live > 0:
		sum.RTT = sum.together / time.Duration(sum.Live)
	case other.RTT > 0:
		sum.RTT = other.RTT
	default:
		sum.RTT = c.RTT
	}
	return sum
}

// addEnded adds what the program has counted.
func (t *Traffic) addEnded(maps *observeMaps) error {
	err := each(maps.Nodes, func(p *observePeer, c Counts) { t.Nodes[nodeOf(p)] = t.Nodes[nodeOf(p)].Add(c) })
	if err != nil {
		return err
	}
	return each(maps.Clients, func(p *observePeer, c Counts) {
		at := nodeOf(p).Addr()
		t.Clients[at] = t.Clients[at].Add(c)
	})
}

func each(m *ebpf.Map, add func(*observePeer, Counts)) error {
	var p observePeer
	var c observeCounts
	all := m.Iterate()
	for all.Next(&p, &c) {
		add(&p, ended(&c))
	}
	return all.Err()
}

func ended(c *observeCounts) Counts {
	return Counts{Opened: c.Opened, Closed: c.Closed, Failed: c.Failed, Aborted: c.Aborted, Received: c.Received, Sent: c.Sent,
		Retransmits: c.Retransmits, Timeouts: c.Timeouts, RTT: time.Duration(c.Rtt) * time.Microsecond}
}

// addLive adds a connection that has not ended yet.
func (t *Traffic) addLive(s *socket, port uint16) {
	c := Counts{Live: 1, Received: s.received, Sent: s.sent, Retransmits: uint64(s.retransmits), RTT: s.rtt, together: s.rtt}
	if s.local == port {
		t.Clients[s.remote.Addr()] = t.Clients[s.remote.Addr()].Add(c)
		return
	}
	t.Nodes[s.remote] = t.Nodes[s.remote].Add(c)
}

// nodeOf reads an address that is in network order, in numbers that are not.
func nodeOf(p *observePeer) netip.AddrPort {
	var ip [16]byte
	for i, word := range p.Ip {
		binary.NativeEndian.PutUint32(ip[4*i:], word)
	}
	return netip.AddrPortFrom(netip.AddrFrom16(ip).Unmap(), uint16(p.Port))
}
