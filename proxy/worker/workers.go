package worker

import (
	"context"
	"sync/atomic"
	"time"

	"pgherd/proxy/nodes"
	"pgherd/proxy/pool"
	"pgherd/proxy/worker/registry"
)

// Workers are all workers of the process and what they share. Worker 0 owns the
// allocator of all pools, with its counts and its queue; the others send it messages.
// Without a message they read whether anybody waits (one atomic load for each
// checkout), what is believed of the nodes, and how far each node has replayed (both
// are immutable values).
type Workers struct {
	all       []*Worker       // by index
	allocator *pool.Allocator // worker 0's
	waiting   atomic.Int32
	started   atomic.Bool  // the workers have their loops
	licence   atomic.Int64 // until when clients may write to the primary, on the clock of BootTime
	nodes     atomic.Pointer[nodes.View]
	templates registry.Templates
	// admissions are the states that log-ins depend on; see admissions.go.
	admissions registry.Admissions
	gaps       atomic.Uint64 // see Gaps
	lapses     atomic.Uint64 // how often a licence was over before there was another one
	// paused are the databases whose clients get no server, with the reasons; a map is
	// never changed once stored: see pause.go.
	paused    atomic.Pointer[map[string]pool.Pause]
	holds     []*held                                      // worker 0's
	replayed  [nodes.MaxIndex + 1]atomic.Pointer[position] // by node; nil: the node was never asked
	loads     [nodes.MaxIndex + 1]load
	fenced    [nodes.MaxIndex + 1]atomic.Uint64 // by node: the epoch that its servers have to be of, at least
	processes registry.Processes
	numbers   registry.Numbers
	began     time.Time
	lastWrite atomic.Int64 // by any session, in nanoseconds since began; 0: none
	life      context.Context
	end       context.CancelFunc
}

// pressed says that somebody waits for a server.
func (ws *Workers) pressed() bool { return ws.waiting.Load() > 0 }

// allocate calls decide on the allocator's thread and carries out its decisions. When
// the first session begins to wait, it asks all workers for their idle servers.
func (ws *Workers) allocate(decide func() []pool.Action) {
	ws.all[0].Post(func() { ws.settle(decide) })
}

// settle is allocate, on the allocator's thread.
func (ws *Workers) settle(decide func() []pool.Action) {
	before := ws.allocator.Waiting()
	for _, a := range decide() {
		w := ws.all[a.Worker]
		w.Post(func() { w.carryOut(a) })
	}
	after := ws.allocator.Waiting()
	ws.waiting.Store(int32(after))
	if before == 0 && after > 0 {
		ws.reportIdle()
	}
}

// tick tells the allocator the time, for sessions that may use the reserve now. It runs
// on worker 0.
func (ws *Workers) tick(now time.Time) {
	ws.freeLate(now)
	ws.settle(func() []pool.Action { return ws.allocator.Tick(now) })
}

// reportIdle makes every worker report its idle servers.
func (ws *Workers) reportIdle() {
	ws.each(func(w *Worker) {
		for _, s := range w.idle.All() {
			ws.spare(s.Key, w.index)
		}
	})
}

func (ws *Workers) ask(t pool.Ticket) {
	ws.allocate(func() []pool.Action { return ws.allocator.Ask(t) })
}

func (ws *Workers) askAgain(t pool.Ticket) {
	ws.allocate(func() []pool.Action { return ws.allocator.AskAgain(t) })
}

func (ws *Workers) gone(key pool.Key) {
	ws.allocate(func() []pool.Action { return ws.allocator.Gone(key) })
}

// leaves notes that a server was closed.
func (ws *Workers) leaves(s *pool.Server) {
	if s.Closed != nil {
		s.Closed()
	}
	ws.processes.Closed(s)
	ws.gone(s.Key)
}

func (ws *Workers) kept(key pool.Key) {
	ws.allocate(func() []pool.Action { return ws.allocator.Kept(key) })
}

func (ws *Workers) spare(key pool.Key, worker int) {
	ws.allocate(func() []pool.Action { return ws.allocator.Spare(key, worker) })
}

func (ws *Workers) withdraw(worker int, session uint32) {
	ws.allocate(func() []pool.Action { ws.allocator.Withdraw(worker, session); return nil })
}

// shrink closes an idle server of the key on w, unless the minimum needs it.
func (ws *Workers) shrink(key pool.Key, w *Worker) {
	ws.all[0].Post(func() {
		shrinks := ws.allocator.Shrink(key, ws.minimum(key))
		if shrinks {
			w.Post(func() { w.evict(key) })
		}
	})
}

// minimum is how many servers a pool keeps. Only pools of users whose credentials are
// stored have one, because a server can then be opened without a client.
func (ws *Workers) minimum(key pool.Key) int {
	w := ws.all[0]
	if w.set.MinPool == 0 || !kept(key) {
		return 0
	}
	if _, ok := w.env.Connect.Secret(key.Target().User); !ok {
		return 0
	}
	return w.set.MinPool
}

// refill opens servers where a pool has fewer than its minimum, one at a time for each
// pool. It runs on worker 0.
func (ws *Workers) refill() {
	if ws.all[0].set.MinPool == 0 {
		return
	}
	for i, key := range ws.templates.Keys() {
		if ws.allocator.Count(key) < ws.minimum(key) && ws.allocator.Reserve(key) {
			w := ws.all[i%len(ws.all)]
			w.Post(func() { w.openServer(pool.Ticket{Key: key, Worker: w.index}) })
		}
	}
}

// Publish makes a view of the nodes the one that sessions see, and wakes those that wait
// for a node. It drops the templates if a node has changed its role, because such a node
// may say other things at log-in.
func (ws *Workers) Publish(view *nodes.View) {
	for i := range view.Nodes {
		if n := &view.Nodes[i]; !n.ReplayedAt.IsZero() {
			ws.NoteReplayed(n.Index, n.Replayed, n.ReplayedAt)
		}
	}
	headless := view.Headless()
	if headless {
		ws.gap(true)
	}
	before := ws.nodes.Swap(view)
	if !headless {
		ws.gap(false)
	}
	if before == nil {
		return
	}
	if !sameRoles(before, view) {
		ws.templates.Forget()
	}
	if ws.started.Load() && !sameUse(before, view) {
		ws.each(func(w *Worker) { w.turned(view) })
	}
}

// sameUse says that two views want the same nodes used for the same.
func sameUse(a, b *nodes.View) bool {
	if a.Epoch != b.Epoch || a.Draining != b.Draining || !sameRoles(a, b) {
		return false
	}
	for i := range a.Nodes {
		if used(a, a.Nodes[i].Index) != used(b, b.Nodes[i].Index) || silent(&a.Nodes[i]) != silent(&b.Nodes[i]) {
			return false
		}
	}
	return true
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
func (ws *Workers) Nodes() *nodes.View { return ws.nodes.Load() }
