package proxy

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"syscall"

	"pgherd/bpf/observe"
	"pgherd/proxy/config"
	"pgherd/proxy/status"
)

// network is what the kernel tells of connections. The zero network tells nothing.
type network struct {
	observer *observe.Observer // nil: pgherd may not use BPF, or is not to
	feature  status.Feature

	lock    sync.Mutex                // guards what follows
	learned map[netip.AddrPort]dialed // nodes, by the addresses at which they were dialed
}

// dialed is a node as it is configured.
type dialed struct {
	node int
	host string
	port int
}

// learnedLimit is how many addresses of nodes are known at a time. It is that of the kernel's map;
// names that have new addresses each time could fill any number.
const learnedLimit = 1024

// watch begins to watch connections, if the configuration does not forbid it. It is an error to be
// forbidden by the system what the configuration demands. Sockets that were made before are not
// seen.
func (w *network) watch(c *config.Config) (err error) {
	w.feature = status.Feature{Name: observe.Name, MinVersion: observe.MinVersion}
	if c.Engine.BPF == "off" {
		w.feature.Reason = "bpf = off"
		return nil
	}
	if w.observer, err = observe.Start(observe.Settings{Port: c.Listen.Port}); err == nil {
		w.feature.Used = true
		return nil
	}
	w.observer = nil
	w.feature.Reason = err.Error()
	if c.Engine.BPF == "on" {
		return c.Blame("bpf", fmt.Errorf("bpf is on: %w; pgherd needs CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN, and a cgroup2 that it may write to. With bpf = auto it does without", err))
	}
	return nil
}

// tell has signs told by the number of their node.
func (w *network) tell(to func(node int, what observe.Kind)) {
	if w.observer == nil {
		return
	}
	w.observer.Tell(func(s observe.Sign) {
		if n, known := w.node(s.Node); known {
			to(n, s.Kind)
		}
	})
}

// close stops watching; it may be called twice.
func (w *network) close() error {
	if w.observer == nil {
		return nil
	}
	return w.observer.Close()
}

// dialing makes what is called for a socket that is to connect to a node.
func (w *network) dialing(c *config.Config, node int, host string, port int) func(network, address string, raw syscall.RawConn) error {
	set := setUserTimeout(c.TCP.UserTimeout)
	return func(network, address string, raw syscall.RawConn) error {
		if at, err := netip.ParseAddrPort(address); err == nil { // otherwise it is a Unix socket's
			w.learn(at, dialed{node, host, port})
		}
		return set(network, address, raw)
	}
}

// learn notes that a node is dialed at an address.
func (w *network) learn(at netip.AddrPort, d dialed) {
	at = netip.AddrPortFrom(at.Addr().Unmap().WithZone(""), at.Port())
	w.lock.Lock()
	defer w.lock.Unlock()
	if w.learned == nil || len(w.learned) >= learnedLimit {
		w.learned = map[netip.AddrPort]dialed{}
	}
	w.learned[at] = d
}

// forget drops the addresses of nodes that are configured no more, or elsewhere.
func (w *network) forget(c *config.Config) {
	w.lock.Lock()
	defer w.lock.Unlock()
	maps.DeleteFunc(w.learned, func(_ netip.AddrPort, d dialed) bool {
		return !slices.ContainsFunc(c.Nodes, func(n config.Node) bool { return d == dialed{n.Index, n.Host, n.Port} })
	})
}

// node is the node that was dialed at an address.
func (w *network) node(at netip.AddrPort) (int, bool) {
	w.lock.Lock()
	defer w.lock.Unlock()
	d, known := w.learned[at]
	return d.node, known
}

// sign wakes the probe of a node because the kernel tells of trouble with it. It does no more.
func (p *Proxy) sign(node int, what observe.Kind) {
	p.log.Debug("the network tells of trouble with a node", "node", node, "sign", what.String())
	p.prober.Sign(node)
}

// Network tells what SHOW POOL_NETWORK does; nil: nothing is watched.
func (p *Proxy) Network(context.Context) (*status.Network, error) {
	if p.network.observer == nil {
		return nil, nil
	}
	t, err := p.network.observer.Traffic()
	if err != nil {
		return nil, err
	}
	return p.network.sum(t, p.config.Load()), nil
}

// sum is the traffic of each node, over all of its addresses, and of each client address.
func (w *network) sum(t *observe.Traffic, c *config.Config) *status.Network {
	of := map[int]observe.Counts{}
	for at, counts := range t.Nodes {
		if n, known := w.node(at); known {
			of[n] = of[n].Add(counts)
		}
	}
	s := &status.Network{}
	for _, n := range c.Nodes {
		s.Nodes = append(s.Nodes, connectionsOf(of[n.Index], n.Index, n.Host, n.Port))
	}
	for at, counts := range t.Clients {
		s.Clients = append(s.Clients, connectionsOf(counts, -1, at.String(), 0))
	}
	slices.SortFunc(s.Clients, func(a, b status.Connections) int {
		return cmp.Or(cmp.Compare(b.Received+b.Sent, a.Received+a.Sent), cmp.Compare(a.Host, b.Host))
	})
	return s
}

func connectionsOf(c observe.Counts, node int, host string, port int) status.Connections {
	return status.Connections{Node: node, Host: host, Port: port, Live: c.Live, Opened: c.Opened, Closed: c.Closed, Failed: c.Failed,
		Aborted: c.Aborted, Received: c.Received, Sent: c.Sent, RTT: c.RTT, Retransmits: c.Retransmits, Timeouts: c.Timeouts}
}
