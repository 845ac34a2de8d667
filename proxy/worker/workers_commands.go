package worker

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"pgherd/proxy/metrics"
	"pgherd/proxy/pool"
	"pgherd/proxy/ring"
	"pgherd/proxy/session"
	"pgherd/proxy/wire"
	"pgherd/proxy/worker/registry"
)

// Start runs every worker on a thread of its own. It returns once all have their loop,
// or with the error of one that cannot have it.
func (ws *Workers) Start(loop func() (*ring.Loop, error)) error {
	ready := make(chan error, len(ws.all))
	for _, w := range ws.all {
		go w.Live(loop, ready)
	}
	var first error
	for range ws.all {
		if err := <-ready; err != nil {
			first = err
		}
	}
	ws.started.Store(first == nil)
	return first
}

// Adopt hands the n-th client since the start to a worker, in turn.
func (ws *Workers) Adopt(n uint64, l Login) { ws.all[n%uint64(len(ws.all))].Adopt(l) }

// Stop ends everything at once.
func (ws *Workers) Stop() {
	ws.end()
	for _, w := range ws.all {
		w.Stop()
	}
}

// Configure replaces the settings without disconnecting anybody.
func (ws *Workers) Configure(set *Settings) {
	ws.each(func(w *Worker) {
		w.set = set
		for _, t := range w.tasks {
			t.session.Configure(set.Session)
			w.wake(t) // a limit may be nearer now
		}
	})
	ws.allocate(func() []pool.Action { return ws.allocator.SetLimits(set.Limits) })
}

// Evict ends every session with this error, as soon as the client can be told.
func (ws *Workers) Evict(why *wire.Fault) {
	ws.each(func(w *Worker) {
		for _, t := range w.tasks {
			t.session.Evict(why)
			w.wake(t)
		}
	})
}

// View is what SHOW tells of a worker, as plain values.
type View struct {
	Index    int
	Thread   int    // its number
	Logins   uint64 // clients it has had
	Features []ring.Feature
	Counters ring.Counters
	Sessions []session.View
	Idle     []*session.ServerView // in the list of idle servers
	Waits    map[registry.PoolName]metrics.Histogram
	Pins     map[registry.PoolName]uint64 // how often a session began to keep a server
	Sent     []metrics.Statements         // by node
}

// Snapshot asks every worker for a view.
func (ws *Workers) Snapshot(ctx context.Context) ([]View, error) {
	answers := make(chan View, len(ws.all))
	for _, w := range ws.all {
		w.Post(func() { answers <- w.view() })
	}
	views := make([]View, len(ws.all))
	for i := range views {
		select {
		case v := <-answers:
			views[v.Index] = v
		case <-ctx.Done():
			return nil, fmt.Errorf("ask workers: %d of %d answered: %w", i, len(views), ctx.Err())
		}
	}
	return views, nil
}

func (w *Worker) view() View {
	v := View{Index: w.index, Thread: w.thread, Logins: w.logins, Features: slices.Concat(w.loop.Features(), []ring.Feature{w.asked}), Counters: w.loop.Counters(), Waits: w.waits.Copy(),
		Pins: maps.Clone(w.pins), Sent: slices.Clone(w.sent[:])}
	for _, t := range w.tasks {
		v.Sessions = append(v.Sessions, t.session.View())
	}
	for _, s := range w.idle.All() {
		v.Idle = append(v.Idle, session.ViewServer(s))
	}
	return v
}

// drainPoll is how often a drain checks whether it is done.
const drainPoll = 50 * time.Millisecond

// Drained waits until no session is left, or the context ends.
func (ws *Workers) Drained(ctx context.Context) error {
	for {
		views, err := ws.Snapshot(ctx)
		if err != nil {
			return err
		}
		left := 0
		for _, v := range views {
			left += len(v.Sessions)
		}
		if left == 0 {
			return nil
		}
		select {
		case <-time.After(drainPoll):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Closed waits until every worker has closed.
func (ws *Workers) Closed(limit time.Duration) error {
	deadline := time.Now().Add(limit)
	for _, w := range ws.all {
		select {
		case <-w.closed:
		case <-time.After(time.Until(deadline)):
			return fmt.Errorf("close workers: worker %d is not closed after %v", w.index, limit)
		}
	}
	return nil
}
