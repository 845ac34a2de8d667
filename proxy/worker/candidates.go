package worker

import (
	"sync/atomic"
	"time"

	"pgherd/proxy/nodes"
	"pgherd/proxy/pool"
	"pgherd/proxy/route"
)

// load is how busy a node is for all workers: sessions that hold one of its
// servers, and the average time, in nanoseconds, for which they do.
type load struct {
	active  atomic.Int64
	latency atomic.Int64
}

// latencyWeight: each time counts for one part in so many of the average.
const latencyWeight = 16

// lends: a session has got a server.
func (ws *Workers) lends(s *pool.Server, client uint32, now time.Time) {
	s.Lent = now
	s.Clients.Lent(client)
	ws.loads[s.Key.Node].active.Add(1)
}

// regains: it has given the server up.
func (ws *Workers) regains(s *pool.Server, now time.Time) {
	l := &ws.loads[s.Key.Node]
	l.active.Add(-1)
	before := l.latency.Load()
	l.latency.Store(before + (int64(now.Sub(s.Lent))-before)/latencyWeight) // of two at once, one may be lost
}

// Candidates are the nodes that reads may go to now: those that are up and are
// what they are believed to be.
func (t *task) Candidates() []route.Candidate {
	w := t.w
	view := w.workers.nodes.Load()
	primary := view.Primary()
	all := w.candidates[:0]
	for i := range view.Nodes {
		n := &view.Nodes[i]
		if n != primary && !reads(n) {
			continue
		}
		l := &w.workers.loads[n.Index]
		c := route.Candidate{Index: n.Index, Role: n.Role, Weight: n.Weight, Bytes: n.DelayBytes, Delay: n.Delay,
			Active: int(l.active.Load()), Latency: time.Duration(l.latency.Load())}
		c.Replayed, _ = t.Replayed(n.Index)
		all = append(all, c)
	}
	w.candidates = all
	return all
}

// reads says that a standby can be read from, as far as is known.
func reads(n *nodes.Node) bool {
	return n.Role == nodes.Standby && n.Status != nodes.Down && n.Status != nodes.Quarantine &&
		(!n.Probed || n.Reachable && n.Found == nodes.Standby)
}

// Written is the primary's position, and when it was asked for.
func (t *task) Written() (lsn uint64, began time.Time) {
	if primary := t.Nodes().Primary(); primary != nil {
		return t.Replayed(primary.Index)
	}
	return 0, time.Time{}
}

func (t *task) Wrote() {
	ws, now := t.w.workers, int64(t.w.now.Sub(t.w.workers.began))
	for before := ws.lastWrite.Load(); before < now && !ws.lastWrite.CompareAndSwap(before, now); before = ws.lastWrite.Load() {
	}
}

func (t *task) LastWrite() time.Time {
	if d := t.w.workers.lastWrite.Load(); d > 0 {
		return t.w.workers.began.Add(time.Duration(d))
	}
	return time.Time{}
}

func (t *task) Chance() float64 { return t.w.env.Chance() }
