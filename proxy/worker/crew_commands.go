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
)

// Start turns every worker on a thread of its own. It returns once all have
// their loop, or with the error of one that cannot.
func (c *Crew) Start(loop func() (*ring.Loop, error)) error {
	ready := make(chan error, len(c.workers))
	for _, w := range c.workers {
		go w.Live(loop, ready)
	}
	var first error
	for range c.workers {
		if err := <-ready; err != nil {
			first = err
		}
	}
	return first
}

// Workers are the crew's, by index.
func (c *Crew) Workers() []*Worker { return c.workers }

// Adopt gives the n-th client since the start to a worker, in turn.
func (c *Crew) Adopt(n uint64, l Login) { c.workers[n%uint64(len(c.workers))].Adopt(l) }

// Stop ends everything at once.
func (c *Crew) Stop() {
	c.end()
	for _, w := range c.workers {
		w.Stop()
	}
}

// Configure replaces the settings; nobody is disconnected.
func (c *Crew) Configure(set *Settings) {
	c.each(func(w *Worker) {
		w.set = set
		for _, t := range w.tasks {
			t.session.Configure(set.Session)
			w.wake(t) // a limit may have come nearer
		}
	})
	c.allocate(func() []pool.Action { return c.allocator.SetLimits(set.Limits) })
}

// Evict ends every session with this error, as soon as it can be told.
func (c *Crew) Evict(why *wire.Fault) {
	c.each(func(w *Worker) {
		for _, t := range w.tasks {
			t.session.Evict(why)
			w.wake(t)
		}
	})
}

// View is what SHOW tells of a worker: plain values.
type View struct {
	Index    int
	Thread   int    // its number
	Logins   uint64 // clients it has had
	Features []ring.Feature
	Counters ring.Counters
	Sessions []session.View
	Idle     []*session.ServerView // in the list of idle servers
	Waits    map[PoolName]metrics.Histogram
	Pins     map[PoolName]uint64  // how often a session began to keep a server
	Sent     []metrics.Statements // by node
}

// Snapshot asks every worker for a view.
func (c *Crew) Snapshot(ctx context.Context) ([]View, error) {
	answers := make(chan View, len(c.workers))
	for _, w := range c.workers {
		w.Post(func() { answers <- w.view() })
	}
	views := make([]View, len(c.workers))
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
	v := View{Index: w.index, Thread: w.thread, Logins: w.logins, Features: slices.Concat(w.loop.Features(), []ring.Feature{w.asked}), Counters: w.loop.Counters(), Waits: w.waits.copy(),
		Pins: maps.Clone(w.pins), Sent: slices.Clone(w.sent[:])}
	for _, t := range w.tasks {
		v.Sessions = append(v.Sessions, t.session.View())
	}
	for _, s := range w.idle.All() {
		v.Idle = append(v.Idle, session.ViewServer(s))
	}
	return v
}

// drainPoll is how often a drain looks whether it is done.
const drainPoll = 50 * time.Millisecond

// Drained waits until no session is left, or the context ends.
func (c *Crew) Drained(ctx context.Context) error {
	for {
		views, err := c.Snapshot(ctx)
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
func (c *Crew) Closed(limit time.Duration) error {
	deadline := time.Now().Add(limit)
	for _, w := range c.workers {
		select {
		case <-w.closed:
		case <-time.After(time.Until(deadline)):
			return fmt.Errorf("close workers: worker %d has not within %v", w.index, limit)
		}
	}
	return nil
}
