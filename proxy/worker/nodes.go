package worker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"pgherd/proxy/metrics"
	"pgherd/proxy/nodes"
	"pgherd/proxy/pool"
	"pgherd/proxy/route"
	"pgherd/proxy/wire"
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
		if n != primary && !n.Reads() {
			continue
		}
		l := &w.workers.loads[n.Index]
		c := route.Candidate{Index: n.Index, Role: n.Role, Weight: n.Weight, Bytes: n.DelayBytes, Delay: n.Delay,
			Active: int(l.active.Load()), Latency: time.Duration(l.latency.Load())}
		c.Replayed, _ = t.Replayed(n.Index)
		if n == primary && (n.Unanswered() || !t.Licensed()) {
			c.Weight = 0 // reads need not wait for it
		}
		all = append(all, c)
	}
	w.candidates = all
	return all
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

// Fence has every worker close the servers of a node that were opened in an epoch before
// this one, whoever has them, and returns once all have. None of them gets a byte from then
// on, and those that are still being opened are given up (I8).
func (ws *Workers) Fence(ctx context.Context, node int, epoch uint64) error {
	done := make(chan struct{}, len(ws.all))
	ws.fence(node, epoch, func() { done <- struct{}{} })
	for range ws.all {
		select {
		case <-done:
		case <-ctx.Done():
			return fmt.Errorf("fence node %d: %w", node, ctx.Err())
		}
	}
	return nil
}

// fence calls done for each worker that has closed them.
func (ws *Workers) fence(node int, epoch uint64, done func()) {
	fenced := &ws.fenced[node] // changed before the workers look, so that no server is missed
	for before := fenced.Load(); before < epoch && !fenced.CompareAndSwap(before, epoch); before = fenced.Load() {
	}
	for _, w := range ws.all {
		if !w.Post(func() { w.fence(node); done() }) {
			done() // it has closed, and has no server
		}
	}
}

// stale says that a server is of an epoch before its node was fenced.
func (ws *Workers) stale(node int, epoch uint64) bool { return epoch < ws.fenced[node].Load() }

// fence closes what this worker has of a node's servers from before the node was fenced.
func (w *Worker) fence(node int) {
	w.cut(node, func(epoch uint64) bool { return w.workers.stale(node, epoch) })
}

// cut closes what this worker has of a node's servers of some epochs. It runs between two turns
// of the sessions, so none of them writes meanwhile.
func (w *Worker) cut(node int, of func(epoch uint64) bool) {
	for _, s := range w.idle.All() {
		if s.Key.Node == node && of(s.Epoch) {
			w.idle.Remove(s)
			w.discard(s)
		}
	}
	for _, o := range w.opening {
		if o.node == node && of(o.epoch) {
			o.giveUp()
		}
	}
	for _, a := range w.aborting {
		if a.s.Key.Node == node {
			a.s.Endpoint.(endpoint).conn().Abort()
		}
	}
	for _, t := range w.inOrder() {
		for _, s := range []*pool.Server{t.session.Server(), t.session.Parked(), t.granted} {
			if s != nil && s.Key.Node == node && of(s.Epoch) {
				s.Endpoint.(endpoint).conn().Abort()
				w.wake(t)
			}
		}
	}
	w.closeAborted()
}

// Busy is how many sessions have a transaction, or a request, on a server of a node.
func (ws *Workers) Busy(ctx context.Context, node int) (n int, err error) {
	counts := make(chan int, len(ws.all))
	for _, w := range ws.all {
		if !w.Post(func() { counts <- w.busy(node) }) {
			counts <- 0
		}
	}
	for range ws.all {
		select {
		case c := <-counts:
			n += c
		case <-ctx.Done():
			return n, ctx.Err()
		}
	}
	return n, nil
}

func (w *Worker) busy(node int) (n int) {
	for _, t := range w.tasks {
		if t.session.BusyOn(node) {
			n++
		}
	}
	return n
}

// inOrder are the tasks, in an order that is the same for the same tasks.
func (w *Worker) inOrder() []*task {
	return slices.SortedFunc(maps.Values(w.tasks), func(a, b *task) int { return cmp.Compare(a.pid, b.pid) })
}

// turned tells this worker's sessions that there is another View: who waits for a server of
// a node that is not used any more looks for another one, and so does who waits for a
// primary, or for an answer of a standby that is silent.
func (w *Worker) turned(view *nodes.View) {
	for i := range view.Nodes {
		if n := &view.Nodes[i]; silent(n) {
			w.cut(n.Index, func(uint64) bool { return true })
		}
	}
	for _, t := range w.inOrder() {
		if t.want != nil && !used(view, t.want.key.Node) {
			node := t.want.key.Node
			t.Withdraw()
			t.refused = pool.Unused{Node: node}
		}
		w.wake(t)
	}
}

// silent says that a standby is down because it does not answer. A client would wait for it as
// long as its machine keeps the connections; one that is down for another reason ends its requests.
// The servers of a primary are closed by the fence, in its time.
func silent(n *nodes.Node) bool {
	return n.Role == nodes.Standby && n.Status == nodes.Down && n.Probed && !n.Reachable
}

// used says that servers of a node may be wanted.
func used(view *nodes.View, node int) bool {
	n := view.Node(node)
	return n != nil && n.Status != nodes.Down && n.Status != nodes.Quarantine
}

// suspect tells who probes the nodes that one may be gone; why is what was found.
func (w *Worker) suspect(node int, why error) {
	if w.env.Suspect == nil || w.closing {
		return
	}
	f, told := errors.AsType[*wire.Fault](why)
	if told && !strings.HasPrefix(f.Code, "08") && !strings.HasPrefix(f.Code, "57") {
		return // it answers
	}
	w.env.Suspect(node, told && f.Code == "57P01")
}

func (t *task) Suspect(node int, why error) { t.w.suspect(node, why) }

// Forever is a licence that does not end: of a pgherd that has no peers.
const Forever time.Duration = math.MaxInt64

// License lets clients write to the primary until then, by CLOCK_BOOTTIME, and not longer. Any thread may call it. Servers
// stay open past that, and replies are still passed on.
func (ws *Workers) License(until time.Duration) {
	lapsed := ws.started.Load() && ws.licence.Load() < int64(until) && !ws.Licensed()
	if lapsed {
		ws.lapses.Add(1) // before the licence: see Gaps
	}
	ws.licence.Store(int64(until))
	if lapsed { // somebody may wait for it
		ws.Doubt()
		ws.each(func(*Worker) {})
	}
}

// Licensed says that clients may write to the primary now. Any thread may call it.
func (ws *Workers) Licensed() bool {
	until := ws.licence.Load()
	return until == int64(Forever) || int64(ws.all[0].env.BootTime()) < until
}

// lookAtLicence compares the licence with the clock, once in each turn. When it has ended, or was renewed after that, all
// sessions look again what they may do.
func (w *Worker) lookAtLicence() {
	licence := &w.workers.licence
	if licence.Load() == int64(Forever) && !w.unlicensed {
		return
	}
	now := int64(w.env.BootTime()) // read before the licence: a renewal that this does not see finds the licence over, and wakes the worker
	if over := now >= licence.Load(); over != w.unlicensed {
		w.unlicensed = over
		for _, t := range w.inOrder() {
			w.wake(t)
		}
	}
}

func (t *task) Licensed() bool { return !t.w.unlicensed }
