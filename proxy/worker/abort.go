package worker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"pgherd/proxy/nodes"
	"pgherd/proxy/pool"
	"pgherd/proxy/ring"
	"pgherd/proxy/wire"
)

// abortLimit is how long a server may take to end after it was told to stop.
const abortLimit = 10 * time.Second

// aborted is a server whose place must not become free before PostgreSQL has ended it.
// It is a server at work whose client has left, and which is told to stop, or an idle
// one of a database that is to be emptied. It is told goodbye, and counts until it has
// ended.
type aborted struct {
	w        *Worker
	s        *pool.Server
	deadline time.Time
}

// abort ends a server that is at work.
func (w *Worker) abort(s *pool.Server) {
	if !w.closing {
		w.env.Go(func() {
			if err := w.env.Connect.Cancel(w.workers.life, s.Key.Node, s.PID, s.CancelKey); err != nil {
				w.env.Log.Warn("cancel the statement of a client that has left", "node", s.Key.Node, "error", err)
			}
		})
	}
	w.dismiss(s)
}

// dismiss says goodbye to a server, which counts until it has ended.
func (w *Worker) dismiss(s *pool.Server) {
	if w.closing {
		w.discard(s)
		return
	}
	a := &aborted{w, s, w.now.Add(abortLimit)}
	s.Endpoint.(endpoint).conn().SetOwner(a)
	s.Endpoint.Write(wire.AppendTerminate(nil))
	w.aborting = append(w.aborting, a)
	a.Ready(nil)
}

// Ready drops what the server still sends, until it has ended.
func (a *aborted) Ready(*ring.Conn) {
	for chunk := a.s.Endpoint.Take(); chunk != nil; chunk = a.s.Endpoint.Take() {
		chunk.Release()
	}
	if a.s.Endpoint.Ended() != nil {
		a.end()
	}
}

// end closes the server, once.
func (a *aborted) end() {
	i := slices.Index(a.w.aborting, a)
	if i < 0 {
		return
	}
	a.w.aborting = slices.Delete(a.w.aborting, i, i+1)
	a.w.discard(a.s)
}

// closeAborted closes the servers that have not ended in time.
func (w *Worker) closeAborted() {
	for _, a := range slices.Clone(w.aborting) {
		if w.closing || !w.now.Before(a.deadline) {
			a.end()
		}
	}
}

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

// fence closes what this worker has of a node's servers. It runs between two turns of the
// sessions, so none of them writes meanwhile.
func (w *Worker) fence(node int) {
	for _, s := range w.idle.All() {
		if s.Key.Node == node && w.workers.stale(node, s.Epoch) {
			w.idle.Remove(s)
			w.discard(s)
		}
	}
	for _, o := range w.opening {
		if o.node == node && w.workers.stale(node, o.epoch) {
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
			if s != nil && s.Key.Node == node && w.workers.stale(node, s.Epoch) {
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
// primary.
func (w *Worker) turned(view *nodes.View) {
	for _, t := range w.inOrder() {
		if t.want != nil && !used(view, t.want.key.Node) {
			node := t.want.key.Node
			t.Withdraw()
			t.refused = pool.Unused{Node: node}
		}
		w.wake(t)
	}
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
