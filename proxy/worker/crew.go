package worker

import (
	"context"
	"sync/atomic"
	"time"

	"pgherd/proxy/nodes"
	"pgherd/proxy/pool"
)

// Crew is all workers of a process. Worker 0 is home to the pools: it owns the
// counts and the queue, and everybody sends it messages. Read without a message
// are: whether anybody waits, one atomic load a checkout, what is believed of the
// nodes, and where each one is, immutable values.
type Crew struct {
	workers   []*Worker
	allocator *pool.Allocator // worker 0's
	waiting   atomic.Int32
	nodes     atomic.Pointer[nodes.View]
	templates templates
	// admissions are what log-ins stand on; see admissions.go.
	admissions admissions
	// paused are databases, with why; it is never changed once stored: see pause.go.
	paused    atomic.Pointer[map[string]pool.Pause]
	holds     []*held                                      // worker 0's
	replayed  [nodes.MaxIndex + 1]atomic.Pointer[position] // by node; nil: never asked
	loads     [nodes.MaxIndex + 1]load
	processes processes
	numbers   numbers
	began     time.Time
	lastWrite atomic.Int64 // of any session, in nanoseconds since began; 0: there was none
	life      context.Context
	end       context.CancelFunc
}

// pressed says that somebody waits for a server.
func (c *Crew) pressed() bool { return c.waiting.Load() > 0 }

// allocate does something with the allocator on its thread, carries out what it
// decides, and calls for idle servers when the first one begins to wait.
func (c *Crew) allocate(decide func() []pool.Action) {
	c.workers[0].Post(func() { c.settle(decide) })
}

// settle is allocate, on the allocator's thread.
func (c *Crew) settle(decide func() []pool.Action) {
	before := c.allocator.Waiting()
	for _, a := range decide() {
		w := c.workers[a.Worker]
		w.Post(func() { w.carryOut(a) })
	}
	after := c.allocator.Waiting()
	c.waiting.Store(int32(after))
	if before == 0 && after > 0 {
		c.reportIdle()
	}
}

// tick tells the allocator the time, for those who may have of the reserve now. It
// runs on worker 0.
func (c *Crew) tick(now time.Time) {
	c.freeLate(now)
	c.settle(func() []pool.Action { return c.allocator.Tick(now) })
}

// reportIdle has every worker report its idle servers.
func (c *Crew) reportIdle() {
	c.each(func(w *Worker) {
		for _, s := range w.idle.All() {
			c.spare(s.Key, w.index)
		}
	})
}

func (c *Crew) ask(t pool.Ticket) { c.allocate(func() []pool.Action { return c.allocator.Ask(t) }) }

func (c *Crew) askAgain(t pool.Ticket) {
	c.allocate(func() []pool.Action { return c.allocator.AskAgain(t) })
}

func (c *Crew) gone(key pool.Key) { c.allocate(func() []pool.Action { return c.allocator.Gone(key) }) }

// leaves: a server was closed.
func (c *Crew) leaves(s *pool.Server) {
	if s.Closed != nil {
		s.Closed()
	}
	c.processes.closed(s)
	c.gone(s.Key)
}

func (c *Crew) kept(key pool.Key) { c.allocate(func() []pool.Action { return c.allocator.Kept(key) }) }

func (c *Crew) spare(key pool.Key, worker int) {
	c.allocate(func() []pool.Action { return c.allocator.Spare(key, worker) })
}

func (c *Crew) withdraw(worker int, session uint32) {
	c.allocate(func() []pool.Action { c.allocator.Withdraw(worker, session); return nil })
}

// shrink closes an idle server of the key on w, unless the minimum needs it.
func (c *Crew) shrink(key pool.Key, w *Worker) {
	c.workers[0].Post(func() {
		if c.allocator.Shrink(key, c.minimum(key)) {
			w.Post(func() { w.evict(key) })
		}
	})
}

// minimum is how many servers of a pool are kept: those of users whose
// credentials are stored, so that a server can be opened without a client.
func (c *Crew) minimum(key pool.Key) int {
	w := c.workers[0]
	if w.set.MinPool == 0 || !kept(key) {
		return 0
	}
	if _, ok := w.env.Connect.Secret(key.Target().User); !ok {
		return 0
	}
	return w.set.MinPool
}

// refill opens servers where a pool has fewer than its minimum, one a pool at
// a time. It runs on worker 0.
func (c *Crew) refill() {
	if c.workers[0].set.MinPool == 0 {
		return
	}
	for i, key := range c.templates.keys() {
		if c.allocator.Count(key) < c.minimum(key) && c.allocator.Reserve(key) {
			w := c.workers[i%len(c.workers)]
			w.Post(func() { w.openServer(pool.Ticket{Key: key, Worker: w.index}) })
		}
	}
}

// Publish makes a view of the nodes the one that sessions see. A node that
// changed its role may say other things at log-in: the templates are dropped.
func (c *Crew) Publish(view *nodes.View) {
	for i := range view.Nodes {
		if n := &view.Nodes[i]; !n.ReplayedAt.IsZero() {
			c.NoteReplayed(n.Index, n.Replayed, n.ReplayedAt)
		}
	}
	before := c.nodes.Swap(view)
	if before != nil && !sameRoles(before, view) {
		c.templates.forget()
	}
}

func sameRoles(a, b *nodes.View) bool {
	if len(a.Nodes) != len(b.Nodes) {
		return false
	}
	for i := range a.Nodes {
		if a.Nodes[i].Role != b.Nodes[i].Role || a.Nodes[i].Index != b.Nodes[i].Index {
			return false
		}
	}
	return true
}

// Nodes is what is believed of the nodes now.
func (c *Crew) Nodes() *nodes.View { return c.nodes.Load() }
