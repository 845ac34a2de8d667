package main

import (
	"errors"
	"fmt"
	"net"
	"strconv"

	"pgherd/bpf/sentry"
	"pgherd/proxy"
	"pgherd/proxy/config"
	"pgherd/proxy/status"
	"pgherd/vip"
	"pgherd/vip/address"
	"pgherd/vip/peer"
)

// cluster is the pgherds that this one belongs to, as the proxy sees them.
type cluster struct {
	*vip.VIP
	escalation *escalation // nil: of a witness
}

// peersOf are those that this pgherd decides with; nil: it is alone. join notes the cluster, which is to be left once the proxy
// has ended.
func peersOf(c *config.Config, join func(*proxy.Machine) (*cluster, error)) *proxy.Peers {
	if !c.Watchdog.Use {
		return nil
	}
	p := &proxy.Peers{Self: c.Watchdog.Self}
	for _, one := range c.Watchdog.Peers {
		if !c.Watchdog.Witness(one.Index) { // which sees nothing of nodes, and has no clients to fence
			p.Members = append(p.Members, one.Index)
		}
	}
	p.Join = func(m *proxy.Machine) (proxy.Council, error) { return join(m) }
	return p
}

// join makes this pgherd a member of its cluster, by the configuration.
func join(c *config.Config, m *proxy.Machine) (_ *cluster, err error) {
	s := memberOf(c)
	if s.Addresses, err = placed(c.Watchdog.Addresses); err != nil {
		return nil, c.Blame("delegate_ip", err)
	}
	e := newEscalation(m.Log(), c.Watchdog.Escalation, c.Watchdog.DeEscalation)
	s.Log, s.Machine, s.Epoch, s.Licensed = m.Log(), m, m.Epoch, m.License
	s.Turned = func() { e.turn(); m.Turned() }
	joined, err := started(s)
	if err != nil {
		return nil, err
	}
	joined.escalation = e
	e.start(joined.Leads)
	return joined, nil
}

func started(s vip.Settings) (*cluster, error) {
	v, err := vip.Start(s)
	if err != nil {
		return nil, fmt.Errorf("join the other pgherds: %w", err)
	}
	return &cluster{VIP: v}, nil
}

// memberOf is what a member is told by the configuration.
func memberOf(c *config.Config) (s vip.Settings) {
	w := &c.Watchdog
	s = vip.Settings{Clock: sinceBoot, Self: w.Self, Listen: w.Listen, Port: w.Port, Key: string(w.Key), Directory: w.Directory,
		ElectionTimeout: w.Election, Lease: w.Lease, Greeting: greeting(c), Unenforced: c.Engine.BPF == "off"}
	for _, p := range w.Peers {
		s.Members = append(s.Members, vip.Member{Number: p.Index, Host: p.Host, Port: p.Port})
	}
	return s
}

// placed are the virtual addresses, each on the interface where it belongs.
func placed(text string) (all []address.Address, err error) {
	if all, err = address.Parse(text); err != nil || len(all) == 0 {
		return nil, err
	}
	interfaces, err := address.Interfaces()
	if err != nil {
		return nil, err
	}
	for i := range all {
		if all[i], err = address.Place(all[i], interfaces); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// witnesses are their numbers by rising order.
func witnesses(w *config.Watchdog) (text string) {
	for _, p := range w.Peers {
		if w.Witness(p.Index) {
			text += fmt.Sprint(p.Index, " ")
		}
	}
	return text
}

// greeting is what has to be the same on all members: who they are, how they decide, and for how long promises last. The nodes
// are not in it, because a reload may add some on one member after the other.
func greeting(c *config.Config) peer.Greeting {
	w := &c.Watchdog
	g := peer.Greeting{Version: version, Cluster: "pgherd"}
	tell := func(name, value string) { g.Config = append(g.Config, peer.Digest{Name: name, Value: value}) }
	for _, p := range w.Peers {
		tell(fmt.Sprint("peer ", p.Index), net.JoinHostPort(p.Host, strconv.Itoa(p.Port)))
	}
	tell("wd_witnesses", witnesses(w))
	tell("wd_lease", w.Lease.String())
	tell("delegate_ip", w.Addresses)
	tell("failover_mode", c.Failover.Mode)
	votes := c.Failover.Votes
	for name, on := range map[string]bool{"failover_when_quorum_exists": votes.Quorum, "failover_require_consensus": votes.Consensus,
		"enable_consensus_with_half_votes": votes.Half, "allow_multiple_failover_requests_from_node": votes.Repeated} {
		tell(name, strconv.FormatBool(on))
	}
	return g
}

// Close leaves the cluster.
func (c *cluster) Close() error {
	err := c.VIP.Close()
	if c.escalation != nil {
		c.escalation.close()
	}
	return err
}

// Lead has another member lead.
func (c *cluster) Lead(member int) error {
	if !c.Leads() {
		return errors.New("this pgherd does not lead")
	}
	return c.VIP.Lead(member)
}

// Status is what is shown of the cluster.
func (c *cluster) Status() *status.Watchdog {
	is := c.VIP.Status()
	s := &status.Watchdog{Self: is.Self, Leader: is.Leader, Term: is.Term, Licence: is.Licence}
	for _, m := range is.Members {
		s.Peers = append(s.Peers, status.Peer{Number: m.Number, Name: net.JoinHostPort(m.Host, strconv.Itoa(m.Port)), Heard: m.Heard})
	}
	for _, a := range is.Addresses {
		s.Addresses = append(s.Addresses, status.Address{Name: a.Address, Left: a.Left, Promised: a.Promised, PromisedFor: a.For})
	}
	if is.Enforced != "" || is.Why != "" {
		s.Enforced = &status.Feature{Name: sentry.Name, Used: is.Enforced != "", Reason: is.Enforced + is.Why, MinVersion: sentry.MinVersion}
	}
	return s
}
