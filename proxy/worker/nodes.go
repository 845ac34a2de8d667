package worker

import (
	"sync/atomic"
	"time"

	"pgherd/proxy/metrics"
	"pgherd/proxy/nodes"
	"pgherd/proxy/pool"
	"pgherd/proxy/route"
)

// load is how busy a node is, for all workers: how many sessions hold one of its
// servers, and for how long they do on average, in nanoseconds.
type load struct {
	active  atomic.Int64
	latency atomic.Int64
}

// latencyWeight says that each time is one part in so many of the average.
const latencyWeight = 16

// lends notes that a session has got a server.
func (ws *Workers) lends(s *pool.Server, client uint32, now time.Time) {
	s.Lent = now
	s.Clients.Lent(client)
	ws.loads[s.Key.Node].active.Add(1)
}

// regains notes that the session has given the server up.
func (ws *Workers) regains(s *pool.Server, now time.Time) {
	l := &ws.loads[s.Key.Node]
	l.active.Add(-1)
	before := l.latency.Load()
	l.latency.Store(before + (int64(now.Sub(s.Lent))-before)/latencyWeight) // if two threads do this at once, one time may be lost
}

// Candidates are the nodes to which reads may go now: those that are up, and that have
// the role they are believed to have.
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

// position is what a standby had replayed, or a primary inserted, when it was asked. It
// is never changed once stored.
type position struct {
	lsn uint64
	at  time.Time
}

// NoteReplayed notes what a standby had replayed, or a primary inserted, when it was
// asked; lsn 0 means that nothing is known. An older answer than the one noted is
// ignored. Any thread may call it.
func (ws *Workers) NoteReplayed(node int, lsn uint64, at time.Time) {
	next := &position{lsn, at}
	for {
		before := ws.replayed[node].Load()
		if before != nil && before.at.After(at) || ws.replayed[node].CompareAndSwap(before, next) {
			return
		}
	}
}

// Replayed is what a standby had replayed, or a primary inserted, when it was last
// asked; it is 0 and no time if nothing is known.
func (t *task) Replayed(node int) (lsn uint64, at time.Time) {
	if p := t.w.workers.replayed[node].Load(); p != nil && p.lsn > 0 {
		return p.lsn, p.at
	}
	return 0, time.Time{}
}

// PollPositions says that the session waits for a standby to catch up. It is called again
// while that lasts.
func (t *task) PollPositions() { t.w.env.PollPositions() }

// Count counts what was sent to a node, or what the node said about it.
func (t *task) Count(node int, what metrics.Statement) { t.w.sent[node][what]++ }
