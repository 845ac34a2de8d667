package observe

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"time"
)

// words are an address as the kernel has it in memory.
func words(address string) (ip [4]uint32) {
	raw := netip.MustParseAddr(address).As16()
	for i := range ip {
		ip[i] = binary.NativeEndian.Uint32(raw[4*i:])
	}
	return ip
}

// TestAddresses are those that an operator knows.
func TestAddresses(t *testing.T) {
	for address, want := range map[string]string{
		"::ffff:10.1.2.3": "10.1.2.3:5432",
		"2001:db8::1":     "[2001:db8::1]:5432",
		"::1":             "[::1]:5432",
	} {
		if got := nodeOf(&observePeer{Ip: words(address), Port: 5432}).String(); got != want {
			t.Errorf("%s: %s, want %s", address, got, want)
		}
	}
}

// TestSums of connections that have ended and of those that live.
func TestSums(t *testing.T) {
	const port = 9999
	tr := &Traffic{Nodes: map[netip.AddrPort]Counts{}, Clients: map[netip.Addr]Counts{}}
	node, client := netip.MustParseAddrPort("10.0.0.1:5432"), netip.MustParseAddr("10.0.0.2")
	tr.Nodes[node] = ended(&observeCounts{Opened: 5, Closed: 3, Failed: 2, Aborted: 1, Received: 100, Sent: 10, Retransmits: 4, Timeouts: 6, Rtt: 900})
	if got := tr.Nodes[node].RTT; got != 900*time.Microsecond {
		t.Errorf("while nothing lives, the round trip is %v", got)
	}
	for _, rtt := range []time.Duration{100, 300} {
		tr.addLive(&socket{local: 40000, remote: node, received: 1000, sent: 1, retransmits: 1, rtt: rtt * time.Microsecond}, port)
	}
	tr.addLive(&socket{local: port, remote: netip.AddrPortFrom(client, 40001), received: 7, sent: 8, rtt: time.Millisecond}, port)
	want := Counts{Live: 2, Opened: 5, Closed: 3, Failed: 2, Aborted: 1, Received: 2100, Sent: 12, Retransmits: 6, Timeouts: 6, RTT: 200 * time.Microsecond, together: 400 * time.Microsecond}
	if got := tr.Nodes[node]; got != want {
		t.Errorf("node: %+v, want %+v", got, want)
	}
	want = Counts{Live: 1, Received: 7, Sent: 8, RTT: time.Millisecond, together: time.Millisecond}
	if got := tr.Clients[client]; got != want || len(tr.Nodes) != 1 || len(tr.Clients) != 1 {
		t.Errorf("clients: %+v, nodes: %+v", tr.Clients, tr.Nodes)
	}
	idle := Counts{Closed: 1, RTT: 3}.Add(Counts{})
	if idle.RTT != 3 {
		t.Errorf("the last round trip is forgotten: %+v", idle)
	}
}

// TestSigns reads what the program writes, and nothing else.
func TestSigns(t *testing.T) {
	raw, err := binary.Append(nil, binary.NativeEndian, observeSign{Node: observePeer{Ip: words("::ffff:10.1.2.3"), Port: 5432}, Kind: 3})
	if err != nil {
		t.Fatal(err)
	}
	s, ok := readSign(raw)
	if want := (Sign{netip.MustParseAddrPort("10.1.2.3:5432"), Timeout}); !ok || s != want || s.Kind.String() != "retransmission timeout" {
		t.Errorf("%+v %v, want %+v", s, ok, want)
	}
	for _, wrong := range [][]byte{nil, raw[1:], append(raw, 0)} {
		if s, ok := readSign(wrong); ok {
			t.Errorf("%d bytes are read as %+v", len(wrong), s)
		}
	}
}

// message is struct inet_diag_msg with attributes.
func message(family byte, remote string, attributes ...[]byte) []byte {
	m := make([]byte, messageBytes)
	m[0] = family
	binary.BigEndian.PutUint16(m[4:], 9999)
	at := netip.MustParseAddrPort(remote)
	binary.BigEndian.PutUint16(m[6:], at.Port())
	copy(m[24:40], at.Addr().AsSlice())
	for _, a := range attributes {
		m = append(m, a...)
	}
	return m
}

func attribute(kind uint16, value []byte) []byte {
	a := binary.NativeEndian.AppendUint16(nil, uint16(attrHeader+len(value)))
	a = append(binary.NativeEndian.AppendUint16(a, kind), value...)
	return append(a, make([]byte, -len(a)&3)...)
}

// TestSocketMessages reads connections, and takes no harm from messages that are cut anywhere.
func TestSocketMessages(t *testing.T) {
	info := make([]byte, infoBytes+8)
	native := binary.NativeEndian
	native.PutUint32(info[infoRTT:], 250)
	native.PutUint32(info[infoRetrans:], 3)
	native.PutUint64(info[infoSent:], 1<<40)
	native.PutUint64(info[infoReceived:], 7)
	group := native.AppendUint64(nil, 4711)
	whole := message(2, "10.0.0.1:5432", attribute(8, []byte{1}), attribute(attrInfo, info), attribute(attrCgroup, group))
	want := socket{local: 9999, remote: netip.MustParseAddrPort("10.0.0.1:5432"), received: 7, sent: 1 << 40, retransmits: 3, rtt: 250 * time.Microsecond, cgroup: 4711}
	if got, ok := readSocket(whole); !ok || got != want {
		t.Errorf("%+v %v, want %+v", got, ok, want)
	}
	mapped, ok := readSocket(message(10, "[::ffff:10.0.0.1]:5432", attribute(attrInfo, info)))
	if !ok || mapped.remote != want.remote {
		t.Errorf("%+v %v", mapped, ok)
	}
	for n := range whole {
		if got, _ := readSocket(whole[:n]); got.cgroup != 0 {
			t.Errorf("cut to %d of %d bytes it is %+v", n, len(whole), got)
		}
	}
	if _, ok := readSocket(message(2, "10.0.0.1:5432", attribute(attrInfo, info[:infoBytes-1]))); ok {
		t.Error("half of a tcp_info is enough")
	}
}
