// Package health asks each node how it is, on goroutines of its own, and
// publishes what is believed of the herd as a nodes.View.
package health

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"pgherd/proxy/nodes"
)

// Finding is what one probe of a node found.
type Finding struct {
	Reachable bool
	Role      nodes.Role
	Last      Identity           // what it said when it last answered; the Prober keeps it
	At        time.Time          // when it was asked; the Prober says
	LSN       uint64             // inserted (primary) or replayed (standby)
	Standbys  map[string]Standby // a primary's, by application name and by address
}

// Identity is what a node says that it is, of what.
type Identity struct {
	Role     nodes.Role
	System   uint64 // its system identifier; 0: not known
	Timeline uint32 // that it writes, or follows; 0: not known
}

// Standby is a row of pg_stat_replication.
type Standby struct {
	State, SyncState string
	Delay            time.Duration // of what it replays; 0: caught up, or not known
}

// Node is a node to be asked.
type Node struct {
	nodes.Node
	ApplicationName string // of a standby, in pg_stat_replication
	AlwaysPrimary   bool
}

// Probe asks a node. It returns by the context's deadline.
type Probe func(ctx context.Context, n *nodes.Node) (Finding, error)

// Settings of the probing; values.
type Settings struct {
	Nodes   []Node
	Period  time.Duration // between two probes of a node
	Timeout time.Duration // of one
	Probe   Probe         // nil: nodes are not asked, and the first is the primary
	Call    Call          // opens what a Chaser keeps; nil: there is no chase
}

// Prober asks the nodes and publishes Views.
type Prober struct {
	log     *slog.Logger
	publish func(*nodes.View)
	now     func() time.Time

	lock     sync.Mutex // over what follows; never held while probing
	settings *Settings
	found    map[int]Finding
	checks   map[int]nodes.Checks
	before   *nodes.View
	cancel   context.CancelFunc
	probing  sync.WaitGroup
}

// New makes a prober; Configure starts it.
func New(log *slog.Logger, now func() time.Time, publish func(*nodes.View)) *Prober {
	return &Prober{log: log, now: now, publish: publish, found: map[int]Finding{}, checks: map[int]nodes.Checks{}}
}

// Configure begins, or goes on, with these settings. Every node is asked once
// before it returns, for at most the settings' Timeout.
func (p *Prober) Configure(s *Settings) {
	p.Close()
	ctx, cancel := context.WithCancel(context.Background())
	p.lock.Lock()
	p.cancel = cancel
	another := func(index int) bool {
		return !slices.ContainsFunc(s.Nodes, func(n Node) bool { return n.Index == index && p.askedAt(&n.Node) })
	}
	maps.DeleteFunc(p.found, func(index int, _ Finding) bool { return another(index) })
	maps.DeleteFunc(p.checks, func(index int, _ nodes.Checks) bool { return another(index) })
	p.settings = s
	p.lock.Unlock()
	if s.Probe != nil {
		var first sync.WaitGroup
		for i := range s.Nodes {
			first.Go(func() { p.ask(ctx, &s.Nodes[i]) })
		}
		first.Wait()
		for i := range s.Nodes {
			p.probing.Go(func() { p.watch(ctx, &s.Nodes[i]) })
		}
	}
	p.tell()
}

// askedAt says that a node was asked at this address so far.
func (p *Prober) askedAt(n *nodes.Node) bool {
	return p.settings != nil && slices.ContainsFunc(p.settings.Nodes, func(old Node) bool {
		return old.Index == n.Index && old.Host == n.Host && old.Port == n.Port
	})
}

// Close stops the probing.
func (p *Prober) Close() {
	p.lock.Lock()
	cancel := p.cancel
	p.lock.Unlock()
	if cancel != nil {
		cancel()
		p.probing.Wait()
	}
}

// watch asks a node again and again.
func (p *Prober) watch(ctx context.Context, n *Node) {
	tick := time.NewTicker(p.settings.Period)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if ctx.Err() != nil { // both have come
				return
			}
			p.ask(ctx, n)
			p.tell()
		case <-ctx.Done():
			return
		}
	}
}

// ask probes a node once and notes what it found.
func (p *Prober) ask(ctx context.Context, n *Node) {
	limited, cancel := context.WithTimeout(ctx, p.settings.Timeout)
	defer cancel()
	at := p.now()
	finding, err := p.settings.Probe(limited, &n.Node)
	finding.At = at
	if ctx.Err() != nil {
		return
	}
	p.lock.Lock()
	defer p.lock.Unlock()
	checks := p.checks[n.Index]
	checks.Add(at, p.now(), err)
	p.checks[n.Index] = checks
	before, asked := p.found[n.Index]
	if err != nil { // a claim is not over because its node does not answer
		finding.Last = before.Last
	}
	p.found[n.Index] = finding
	if err != nil && (before.Reachable || !asked) {
		p.log.Warn("probe node", "node", n.Index, "error", err)
	}
	if err == nil && asked && !before.Reachable {
		p.log.Info("node answers again", "node", n.Index, "role", finding.Role.String())
	}
}

// tell publishes what is believed now.
func (p *Prober) tell() {
	p.lock.Lock()
	defer p.lock.Unlock()
	view := Believe(p.settings.Nodes, p.found, p.before, p.now())
	for i := range view.Nodes {
		view.Nodes[i].Checks = p.checks[view.Nodes[i].Index]
	}
	p.logChanges(view)
	p.before = view
	p.publish(view)
}
