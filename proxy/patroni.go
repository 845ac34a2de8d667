package proxy

import (
	"crypto/tls"
	"time"

	"pgherd/proxy/config"
	"pgherd/proxy/patroni"
	"pgherd/proxy/status"
)

// askPatroni begins to ask Patroni, or goes on with another configuration.
func (p *Proxy) askPatroni(c *config.Config, trust *tls.Config) {
	if p.patroni == nil {
		return
	}
	s := &patroni.Settings{Period: c.Patroni.Period, Timeout: c.Patroni.Timeout, TLS: trust}
	for _, n := range c.Nodes {
		s.Nodes = append(s.Nodes, patroni.Node{Index: n.Index, URL: n.Patroni.URL, Host: n.Host, Port: n.Port, Member: n.Patroni.Member})
	}
	p.patroni.Configure(s)
}

// reportsLast is how long an answer of Patroni's counts: some questions may get none.
func reportsLast(c *config.Config) time.Duration { return 3*c.Patroni.Period + c.Patroni.Timeout }

// suspect has a node probed now, and Patroni asked who is primary.
func (p *Proxy) suspect(node int, shutdown bool) {
	p.prober.Suspect(node, shutdown)
	if p.patroni != nil {
		p.patroni.Wake()
	}
}

// patroniStatus is what SHOW POOL_PATRONI tells.
func (p *Proxy) patroniStatus() (all []status.Patroni) {
	if p.patroni == nil {
		return nil
	}
	for _, a := range p.patroni.Answers() {
		s := status.Patroni{Node: a.Node, URL: a.URL, Since: a.Since, Last: a.Last,
			Member: a.Member.Name, Role: a.Member.Role, State: a.Member.State, Timeline: int(a.Member.Timeline), Lag: string(a.Member.Lag)}
		if a.Err != nil {
			s.Why = a.Err.Error()
		}
		if r := a.Report; r != nil {
			s.Leader, s.Paused = r.Name, r.Paused
		}
		all = append(all, s)
	}
	return all
}
