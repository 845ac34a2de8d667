package proxy

import (
	"cmp"
	"context"
	"os"
	"slices"
	"time"

	"pgherd/proxy/metrics"
	"pgherd/proxy/nodes"
	"pgherd/proxy/session"
	"pgherd/proxy/status"
	"pgherd/proxy/wire"
	"pgherd/proxy/worker"
	"pgherd/proxy/worker/registry"
)

// State collects what SHOW tells, from every worker.
func (p *Proxy) State(ctx context.Context) (*status.State, error) {
	views, err := p.workers.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	s := &status.State{Version: p.version, Now: time.Now(), Started: p.started, PID: os.Getpid(), Nodes: p.workers.Nodes(), Events: p.events.Last()}
	if r, known := p.recovery.State(); known {
		s.Recovery = &status.Recovery{Node: r.Node, By: r.By, Step: string(r.Step), Percent: r.Percent, Began: r.Began, Ended: r.Ended,
			FailedStep: string(r.In), Why: r.Why}
	}
	s.Patroni = p.patroniStatus()
	s.Watchdog = p.watchdog()
	s.Memory, s.MemoryLimit = p.memory.Used(), p.config.Load().Limits.ClientsMemory
	s.ClientMemoryLimit = p.config.Load().Limits.ClientMemory
	s.DelayByTime = p.config.Load().Balance.DelayTime > 0
	s.Sent = make([]metrics.Statements, nodes.MaxIndex+1)
	for _, v := range views {
		addWorker(s, &v)
		for node := range v.Sent {
			s.Sent[node].Merge(&v.Sent[node])
		}
	}
	if primary := s.Nodes.Primary(); primary != nil && !balances(p.config.Load()) {
		for i := range s.Clients {
			s.Clients[i].ReadNode = primary.Index
		}
	}
	s.Features = p.features(views, s.Watchdog)
	addPools(s, views, func(database string) bool {
		_, paused := p.workers.Paused(database)
		return paused
	})
	slices.SortFunc(s.Clients, func(a, b status.Client) int { return cmp.Compare(a.PID, b.PID) })
	return s, nil
}

// watchdog is what is known of the peers; nil: this pgherd is alone.
func (p *Proxy) watchdog() *status.Watchdog {
	if p.cluster == nil {
		return nil
	}
	return p.cluster.Status()
}

// features are what is used of the kernel, and why not more.
func (p *Proxy) features(views []worker.View, w *status.Watchdog) (all []status.Feature) {
	if len(views) > 0 {
		for _, f := range views[0].Features {
			all = append(all, status.Feature(f))
		}
	}
	all = append(all, p.network.feature)
	if w != nil && w.Enforced != nil {
		all = append(all, *w.Enforced)
	}
	return all
}

// The workers carry out admin's commands.

func (p *Proxy) Pause(ctx context.Context, database, by string) error {
	return p.workers.Pause(ctx, database, by)
}
func (p *Proxy) Resume(ctx context.Context, database string) error {
	return p.workers.Resume(ctx, database)
}
func (p *Proxy) Reconnect(database string) { p.workers.Reconnect(database) }
func (p *Proxy) Kill(ctx context.Context, database, by string) error {
	return p.workers.Kill(ctx, database, by)
}

func (p *Proxy) Paused(database string) *wire.Fault {
	if why, paused := p.workers.Paused(database); paused {
		return why.Fault(database)
	}
	return nil
}

func addWorker(s *status.State, v *worker.View) {
	w := status.Worker{Index: v.Index, Thread: v.Thread, Logins: v.Logins, Clients: len(v.Sessions), Servers: len(v.Idle)}
	for i := range v.Sessions {
		c := describeClient(&v.Sessions[i], v.Index)
		if view := v.Sessions[i].Server; view != nil {
			held := describeServer(view, v.Index)
			c.Server, held.Client = &held, &c
			held.Idle = time.Time{}
			s.Servers = append(s.Servers, held)
			w.Servers++
		}
		s.Clients = append(s.Clients, c)
	}
	for _, idle := range v.Idle {
		s.Servers = append(s.Servers, describeServer(idle, v.Index))
	}
	s.Workers = append(s.Workers, w)
}

func describeClient(v *session.View, worker int) status.Client {
	return status.Client{
		PID: v.PID, Worker: worker, User: v.Target.User, Database: v.Target.Database, Application: v.Application,
		Host: v.Host, Port: v.Port, TLS: v.TLS, State: v.State.String(), Since: v.Since, LoggedIn: v.LoggedIn, Waited: v.Waited,
		Mode: v.Mode.String(), Pinned: v.Pinned, ReadNode: v.Reads, Memory: v.Memory,
	}
}

func describeServer(v *session.ServerView, worker int) status.Server {
	return status.Server{
		Worker: worker, Node: v.Key.Node, User: v.Key.Target().User, Database: v.Key.Target().Database, PID: v.PID,
		Opened: v.Opened, Idle: v.Idle, Uses: v.Uses,
	}
}

// addPools sums up, for each pool, what the workers have counted and who is in it now.
func addPools(s *status.State, views []worker.View, paused func(database string) bool) {
	pools := map[registry.PoolName]*status.Pool{}
	find := func(n registry.PoolName) *status.Pool {
		if pools[n] == nil {
			pools[n] = &status.Pool{Node: n.Node, Database: n.Database, User: n.User, Paused: paused(n.Database)}
		}
		return pools[n]
	}
	for i := range views {
		for name, h := range views[i].Waits {
			find(name).Waits.Merge(&h)
		}
		for name, n := range views[i].Pins {
			find(name).Pins += n
		}
	}
	for _, v := range s.Servers {
		p := find(registry.PoolName{Node: v.Node, Database: v.Database, User: v.User})
		if v.Client != nil {
			p.ServersActive++
		} else {
			p.ServersIdle++
		}
	}
	waitingAt := -1
	if primary := s.Nodes.Primary(); primary != nil {
		waitingAt = primary.Index
	}
	for _, c := range s.Clients {
		if c.State == session.WaitServer.String() {
			find(registry.PoolName{Node: waitingAt, Database: c.Database, User: c.User}).ClientsWaiting++
		}
	}
	for _, p := range pools {
		s.Pools = append(s.Pools, *p)
	}
	slices.SortFunc(s.Pools, func(a, b status.Pool) int {
		return cmp.Or(cmp.Compare(a.Database, b.Database), cmp.Compare(a.User, b.User), cmp.Compare(a.Node, b.Node))
	})
}
