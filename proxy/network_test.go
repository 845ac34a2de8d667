package proxy

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"pgherd/bpf/observe"
	"pgherd/proxy/config"
	"pgherd/proxy/status"
)

// TestNetworkSums adds up the addresses of a node's name, and leaves out what is no node.
func TestNetworkSums(t *testing.T) {
	c := &config.Config{Nodes: []config.Node{{Index: 0, Host: "db0", Port: 5432}, {Index: 2, Host: "/run/postgresql", Port: 5433}, {Index: 3, Host: "10.0.0.3", Port: 5434}}}
	var w network
	dial := func(index int, address string) {
		n := c.Nodes[index]
		if err := w.dialing(c, n.Index, n.Host, n.Port)("tcp4", address, nil); err != nil {
			t.Fatal(err)
		}
	}
	dial(0, "10.0.0.1:5432")
	dial(0, "[fe80::1%eth0]:5432")
	dial(1, "/run/postgresql/.s.PGSQL.5433")
	dial(2, "10.0.0.3:5434")
	at := netip.MustParseAddrPort
	sums := w.sum(&observe.Traffic{
		Nodes: map[netip.AddrPort]observe.Counts{
			at("10.0.0.1:5432"):    {Opened: 1, Closed: 1, Failed: 7, Received: 100, RTT: time.Millisecond},
			at("[fe80::1]:5432"):   {Opened: 2, Sent: 10, Aborted: 4, Retransmits: 5, Timeouts: 6},
			at("10.0.0.3:5434"):    {Opened: 3},
			at("10.0.0.1:389"):     {Opened: 1000}, // LDAP
			at("10.0.0.9:5432"):    {Opened: 1000},
			at("10.0.0.1:5434"):    {Opened: 1000},
			at("[fe80::1]:5434"):   {Opened: 1000},
			at("[::1]:5432"):       {Opened: 1000},
			at("127.0.0.1:5432"):   {Opened: 1000},
			at("10.0.0.100:54321"): {Opened: 1000},
		},
		Clients: map[netip.Addr]observe.Counts{
			netip.MustParseAddr("10.1.0.2"): {Received: 5, Opened: 1},
			netip.MustParseAddr("10.1.0.1"): {Sent: 5},
			netip.MustParseAddr("::1"):      {Received: 3, Sent: 3},
		},
	}, c)
	want := status.Network{
		Nodes: []status.Connections{
			{Node: 0, Host: "db0", Port: 5432, Opened: 3, Closed: 1, Failed: 7, Aborted: 4, Received: 100, Sent: 10, RTT: time.Millisecond, Retransmits: 5, Timeouts: 6},
			{Node: 2, Host: "/run/postgresql", Port: 5433},
			{Node: 3, Host: "10.0.0.3", Port: 5434, Opened: 3},
		},
		Clients: []status.Connections{{Node: -1, Host: "::1", Received: 3, Sent: 3}, {Node: -1, Host: "10.1.0.1", Sent: 5}, {Node: -1, Host: "10.1.0.2", Received: 5, Opened: 1}},
	}
	if fmt.Sprint(*sums) != fmt.Sprint(want) {
		t.Errorf("%+v, want %+v", *sums, want)
	}
	w.forget(&config.Config{Nodes: []config.Node{{Index: 0, Host: "db0", Port: 5432}, {Index: 3, Host: "10.0.0.4", Port: 5434}}})
	for address, want := range map[string]bool{"10.0.0.1:5432": true, "10.0.0.3:5434": false} {
		if _, known := w.node(at(address)); known != want {
			t.Errorf("after a reload %s is known: %v, want %v", address, known, want)
		}
	}
}

// TestNetworkForgetsBeforeItOverflows keeps the last address, which is that in use.
func TestNetworkForgetsBeforeItOverflows(t *testing.T) {
	var w network
	address := func(i int) netip.AddrPort {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 5432)
	}
	for i := range 3 * learnedLimit {
		w.learn(address(i), dialed{node: i})
		if n, known := w.node(address(i)); !known || n != i || len(w.learned) > learnedLimit {
			t.Fatalf("address %d: node %d %v of %d", i, n, known, len(w.learned))
		}
	}
}

// TestNetworkOff says so, and watches nothing.
func TestNetworkOff(t *testing.T) {
	var w network
	if err := w.watch(&config.Config{Engine: config.Engine{BPF: "off"}}); err != nil || w.observer != nil {
		t.Errorf("%v, %v", w.observer, err)
	}
	if w.feature != (status.Feature{Name: "observe (sockops)", Reason: "bpf = off", MinVersion: "5.9"}) || w.close() != nil {
		t.Errorf("%+v", w.feature)
	}
}
