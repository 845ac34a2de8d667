// Package health asks each node how it is, on goroutines of its own, over connections that
// it keeps, and tells what it saw. A Prober decides nothing; where nobody else does, a
// Follower makes of what was seen a nodes.View, which follows what the nodes say.
package health

import (
	"cmp"
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"pgherd/proxy/failover"
	"pgherd/proxy/nodes"
	"pgherd/proxy/nodesql"
)

// Finding is what one probe of a node found, and what those before it did. A Prober keeps
// what a node told in its last answer while it does not answer.
type Finding struct {
	Reachable bool
	Role      nodes.Role
	Last      Identity           // what it said that it is
	At        time.Time          // when it was asked; the Prober says
	Connected time.Time          // when the connection was begun over which it has answered
	LSN       uint64             // inserted (primary) or replayed (standby)
	Standbys  map[string]Standby // a primary's, by application name and by address

	Synchronous string   // synchronous_standby_names, of a primary
	Streaming   []string // the application names of those who stream from it
	Received    uint64   // of a standby: received, or restored from an archive
	Receiver    Receiver // of a standby; of a primary only the name that it would have as one
	Course      Course   // the Prober keeps it
}

// Course is what the probes of a node have found in a row.
type Course struct {
	Verdict        failover.Verdict
	Times          int       // probes with this verdict
	Since          time.Time // of the first of them
	Known          time.Time // when the last of them ended
	Shutdown       bool      // its clients were told that it shuts down, and it has not answered since
	StreamingSince time.Time // since when it streams, or does not
	streams        bool
}

// Receiver is how a standby receives WAL.
type Receiver struct {
	Streaming bool
	Host      string // that it receives from; "" if it does not, or may not be asked
	Port      int
	Conninfo  string // that it is told to use (I9: it may hold a password)
	Name      string // by which it is known to whom it receives from
}

// Identity is a node's own account of what it is.
type Identity struct {
	Role     nodes.Role
	System   uint64 // its system identifier; 0: not known
	Timeline uint32 // the timeline that it writes or follows; 0: not known
}

// Standby is a row of pg_stat_replication.
type Standby struct {
	State, SyncState string
	Delay            time.Duration // of what it replays; 0: it has caught up, or this is not known
}

// Node is a node to be asked.
type Node struct {
	nodes.Node
	ApplicationName string // of a standby, in pg_stat_replication
	AlwaysPrimary   bool
	// What is 0 of these is as in Settings.
	Period, Retry, Timeout time.Duration
}

// Probe asks a node. It returns by the context's deadline.
type Probe func(ctx context.Context, n *nodes.Node) (Finding, error)

// Settings of the probing; values.
type Settings struct {
	Nodes   []Node
	Period  time.Duration // between two probes of a node that answers
	Retry   time.Duration // between two probes of one that gave no answer
	Timeout time.Duration // of one, and of the first of every node
	Probe   Probe         // nil: nodes are not asked, and the first is the primary
	HangUp  func()        // closes what Probe keeps; nil: it keeps nothing
	Call    Call          // opens what a Chaser keeps; nil: there is no chase
}

// Named limits of the probing.
const (
	refusedAgain = 10 * time.Millisecond  // after a first refusal: a listen queue may have been full
	stirred      = 200 * time.Millisecond // while a node starts or shuts down
	downEvery    = time.Second            // at least so often is asked who does not answer
	leastPause   = 5 * time.Millisecond   // between two probes, however often somebody suspects the node
	signPause    = 100 * time.Millisecond // between two probes because of signs from the network, which a probe's own packets may cause
)

// Seen is a node and what is known of it.
type Seen struct {
	Node
	Finding
	Asked  bool // it was asked at all
	Checks nodes.Checks
}

// Prober asks the nodes.
type Prober struct {
	log  *slog.Logger
	tell func([]Seen)
	now  func() time.Time

	telling sync.Mutex // one is told at a time, and the newest last; taken before lock

	lock     sync.Mutex // guards what follows; never held while probing or telling, because a worker waits for it
	settings *Settings
	found    map[int]Finding
	checks   map[int]nodes.Checks
	wakes    map[int]wakes
	cancel   context.CancelFunc
	probing  sync.WaitGroup
}

// wakes are what makes a node be asked before it is due; each holds one.
type wakes struct{ suspected, signs chan struct{} }

func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default: // it is about to be asked, or there is no such node
	}
}

// New makes a prober; Configure starts it. tell is told what is known of all nodes
// whenever one was asked, on any goroutine, one at a time.
func New(log *slog.Logger, now func() time.Time, tell func([]Seen)) *Prober {
	return &Prober{log: log, now: now, tell: tell, found: map[int]Finding{}, checks: map[int]nodes.Checks{}, wakes: map[int]wakes{}}
}

// Configure begins, or goes on, with these settings. Every node is asked once before it
// returns, which takes at most the settings' Timeout.
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
	clear(p.wakes)
	for i := range s.Nodes {
		p.wakes[s.Nodes[i].Index] = wakes{make(chan struct{}, 1), make(chan struct{}, 1)}
	}
	p.settings = s
	p.lock.Unlock()
	if s.Probe != nil {
		var first sync.WaitGroup
		for i := range s.Nodes {
			first.Go(func() { p.ask(ctx, s, &s.Nodes[i], s.Timeout) })
		}
		first.Wait()
		for i := range s.Nodes {
			n, w := &s.Nodes[i], p.wakes[s.Nodes[i].Index]
			p.probing.Go(func() { p.watch(ctx, s, n, w) })
		}
	}
	p.told()
}

// askedAt says that a node has been asked at this address so far.
func (p *Prober) askedAt(n *nodes.Node) bool {
	return p.settings != nil && slices.ContainsFunc(p.settings.Nodes, func(old Node) bool {
		return old.Index == n.Index && old.Host == n.Host && old.Port == n.Port
	})
}

// Close stops the probing.
func (p *Prober) Close() {
	p.lock.Lock()
	cancel, s := p.cancel, p.settings
	p.lock.Unlock()
	if cancel == nil {
		return
	}
	cancel()
	p.probing.Wait()
	if s.HangUp != nil {
		s.HangUp()
	}
}

// Suspect has a node asked now, because somebody found that it may be gone; shutdown: its
// clients were told that an administrator shuts it down. It is cheap, and any thread may
// call it.
func (p *Prober) Suspect(node int, shutdown bool) {
	p.lock.Lock()
	defer p.lock.Unlock()
	if f, asked := p.found[node]; asked && shutdown {
		f.Course.Shutdown = true
		p.found[node] = f
	}
	wake(p.wakes[node].suspected)
}

// Sign has a node asked soon that answered when it was asked last, because the network tells of
// trouble with it. One that has not answered is asked when that is due: signs go on coming while it
// is silent, and must not make it count as down any sooner. It is cheap, and any thread may call it.
func (p *Prober) Sign(node int) {
	p.lock.Lock()
	defer p.lock.Unlock()
	wake(p.wakes[node].signs)
}

// rest waits until a node is to be asked; false: never again.
func (p *Prober) rest(ctx context.Context, s *Settings, n *Node, w wakes) bool {
	course := p.course(n.Index)
	pause := time.NewTimer(s.pause(n, course))
	defer pause.Stop()
	for {
		select {
		case <-pause.C:
			return true
		case <-w.suspected:
			return true
		case <-w.signs:
			if course.answered() {
				pause.Reset(max(0, signPause-p.now().Sub(course.Known)))
			}
		case <-ctx.Done():
			return false
		}
	}
}

// watch asks a node again and again.
func (p *Prober) watch(ctx context.Context, s *Settings, n *Node, w wakes) {
	for p.rest(ctx, s, n, w) {
		p.ask(ctx, s, n, cmp.Or(n.Timeout, s.Timeout))
		if ctx.Err() != nil {
			return
		}
		p.told()
		select {
		case <-time.After(leastPause):
		case <-ctx.Done():
			return
		}
	}
}

func (p *Prober) course(node int) Course {
	p.lock.Lock()
	defer p.lock.Unlock()
	return p.found[node].Course
}

func (c Course) answered() bool {
	return c.Verdict == failover.IsPrimary || c.Verdict == failover.IsStandby
}

// pause is how long until a node is asked again.
func (s *Settings) pause(n *Node, c Course) time.Duration {
	period, retry := cmp.Or(n.Period, s.Period), cmp.Or(n.Retry, s.Retry)
	down := min(period, downEvery)
	switch c.Verdict {
	case failover.IsPrimary, failover.IsStandby:
		return period
	case failover.Refused:
		if c.Times == 1 {
			return min(down, refusedAgain)
		}
		return down
	case failover.Silent:
		return max(retry, leastPause)
	case failover.Starting, failover.ShuttingDown:
		return min(down, stirred)
	}
	return down
}

// ask probes a node once and notes what it found.
func (p *Prober) ask(ctx context.Context, s *Settings, n *Node, limit time.Duration) {
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	at := p.now()
	finding, err := s.Probe(limited, &n.Node)
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
	course := before.Course.next(&finding, err, at, p.now())
	if err != nil { // what it said last is not over because it does not answer
		finding = before
		finding.Reachable, finding.Role, finding.At = false, nodes.Unknown, at
	}
	if err == nil {
		finding.Last = finding.Last.after(before.Last, finding.Receiver.Streaming)
	}
	finding.Course = course
	p.found[n.Index] = finding
	if err != nil && (before.Reachable || !asked) {
		p.log.Warn("probe node", "node", n.Index, "verdict", string(finding.Course.Verdict), "error", err)
	}
	if err == nil && asked && !before.Reachable {
		p.log.Info("node answers again", "node", n.Index, "role", finding.Role.String())
	}
}

// next is the course with one more finding.
func (c Course) next(f *Finding, err error, at, ended time.Time) Course {
	verdict := classify(f, err)
	n := Course{Verdict: verdict, Times: 1, Since: at, Known: ended, StreamingSince: at, Shutdown: err != nil && (c.Shutdown || verdict == failover.ShuttingDown || nodesql.ToldToEnd(err))}
	if verdict == c.Verdict {
		n.Times, n.Since = c.Times+1, c.Since
	}
	if streams := f.Receiver.Streaming; err == nil && streams == c.streams {
		n.StreamingSince = c.StreamingSince
	}
	n.streams = f.Receiver.Streaming
	return n
}

// told tells what is known now. Who is told may wait for a disk.
func (p *Prober) told() {
	p.telling.Lock()
	defer p.telling.Unlock()
	p.tell(p.all())
}

// all is what is known of all nodes now.
func (p *Prober) all() []Seen {
	p.lock.Lock()
	defer p.lock.Unlock()
	all := make([]Seen, len(p.settings.Nodes))
	for i, n := range p.settings.Nodes {
		f, asked := p.found[n.Index]
		all[i] = Seen{Node: n, Finding: f, Asked: asked, Checks: p.checks[n.Index]}
	}
	return all
}
