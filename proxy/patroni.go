package proxy

import (
	"context"
	"crypto/tls"
	"time"

	"pgherd/proxy/config"
	"pgherd/proxy/failover"
	"pgherd/proxy/nodes"
	"pgherd/proxy/patroni"
	"pgherd/proxy/status"
	"pgherd/proxy/wire"
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

// patroniDecides refuses an order that is Patroni's to carry out; nil: pgherd does that itself.
func (p *Proxy) patroniDecides(instead string) error {
	if p.patroni == nil {
		return nil
	}
	return &wire.Fault{Severity: "ERROR", Code: "55000", Message: "Patroni decides who is primary, as failover_mode is patroni", Hint: "Use " + instead + "."}
}

// observing are the acts where Patroni promotes: pgherd parts with servers, and changes nothing on
// nodes.
type observing struct{ acts }

func (observing) Revoke(context.Context, *nodes.Node) (a failover.Answer, err error) {
	return a, errObserving
}

func (observing) Promote(context.Context, *nodes.Node, uint32) (is failover.Promoted, sync string, err error) {
	return is, "", errObserving
}

func (observing) Follow(context.Context, *nodes.Node, *nodes.Node) error { return errObserving }

func (observing) HandOver(context.Context, *nodes.Node, *nodes.Node) error { return errObserving }

var errObserving = &wire.Fault{Severity: "ERROR", Code: "55000", Message: "that is Patroni's to do"}

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
