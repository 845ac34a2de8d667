package pool

import (
	"maps"
	"time"
)

// Ticket is a session's place in the queue.
type Ticket struct {
	Key     Key
	Worker  int       // the worker of the session
	Session uint32    // the session that asks; 0: none, the server is for the list of idle servers
	Since   time.Time // it waits
	order   uint64
}

// Deed is what an Allocator tells a worker to do.
type Deed uint8

const (
	Open  Deed = iota // open a server for the ticket; it is counted already
	Move              // give an idle server of the ticket's key to the ticket
	Evict             // close an idle server of the key, to make room
)

// Action is a Deed for one worker.
type Action struct {
	Deed   Deed
	Worker int    // who does it
	Ticket Ticket // whom it is for; of an Evict only the Key counts, which says whose place becomes free
}

// Allocator counts servers and queues the sessions that wait for one. One worker owns
// it; others send it messages. While nobody waits, workers serve themselves from their
// lists of idle servers and only ask for permission to open one. While somebody waits,
// every checkout comes here and every idle server is reported (Spare), so that the
// longest waiter is served first.
//
// The rules are these. A server that becomes idle goes to the session that has waited
// longest for one of its pool. A place that becomes free under a limit goes to the
// session that has waited longest among those that no other limit blocks. If the
// longest waiter is blocked by a limit, an idle server of another pool that counts
// under this limit is closed.
//
// The cost is kept low as follows. A pool whose waiters are blocked stands in the gate
// of one limit that is reached, its own before its user's, its database's and its
// node's, and is looked at only when a place under that limit becomes free. The queue
// as a whole is walked only while an idle server takes a place that another pool's
// waiter needs, when an administrator has changed something, and at every Tick.
type Allocator struct {
	// Renewals is the only part that any thread may ask.
	Renewals Renewals
	ledger
	now     time.Time
	paused  map[string]Pause // databases whose clients get no server; AllDatabases for all
	held    map[string]int   // likewise, for one statement: how many Holds there are
	queue   line
	waiters map[who]*waiter
	spares  []spare
	order   uint64
}

// spare is an idle server that a worker has reported.
type spare struct {
	pool   *pool
	worker int
}

// NewAllocator makes one without servers.
func NewAllocator(limits Limits) *Allocator {
	return &Allocator{ledger: newLedger(limits), paused: map[string]Pause{}, held: map[string]int{}, waiters: map[who]*waiter{}}
}

// Tick tells the time. A session that has waited long enough gets a server from the
// reserve.
func (h *Allocator) Tick(now time.Time) []Action {
	h.now = now
	return h.serveAll()
}

// AllDatabases stands for every database.
const AllDatabases = ""

// Pause lets nobody get a server of the database until Resume. A pause that has begun already
// goes on unchanged.
func (h *Allocator) Pause(database string, since time.Time, by string) {
	if _, is := h.paused[database]; !is {
		h.paused[database] = Pause{Since: since, By: by, All: database == AllDatabases}
	}
	h.keepBack()
}

// Resume ends a Pause; Resume of AllDatabases ends all of them.
func (h *Allocator) Resume(database string) []Action {
	if database == AllDatabases {
		clear(h.paused)
	}
	delete(h.paused, database)
	h.keepBack()
	return h.serveAll()
}

// Hold is a Pause for one statement, until Free.
func (h *Allocator) Hold(database string) {
	h.held[database]++
	h.keepBack()
}

// Free ends one Hold.
func (h *Allocator) Free(database string) []Action {
	if h.held[database]--; h.held[database] <= 0 {
		delete(h.held, database)
	}
	h.keepBack()
	return h.serveAll()
}

// KeptBack returns the databases whose clients get no server, with the reason, in a map of
// its own. For those that are only held, the holder knows since when.
func (h *Allocator) KeptBack() map[string]Pause {
	all := maps.Clone(h.paused)
	for database := range h.held {
		all[database] = h.paused[database]
	}
	return all
}

// keepBack tells every pool whether it is paused.
func (h *Allocator) keepBack() {
	for _, p := range h.pools {
		before := p.waiting()
		p.paused = h.Paused(p.key.Target().Database)
		h.await(p, p.waiting()-before)
		h.stand(p, p.at)
	}
}

// Paused says whether clients of the database get no server.
func (h *Allocator) Paused(database string) bool {
	_, one := h.paused[database]
	_, all := h.paused[AllDatabases]
	return one || all || h.held[database] > 0
}

// CountDatabase is how many servers of the database are open or being opened.
func (h *Allocator) CountDatabase(database string) int {
	if database == AllDatabases {
		return h.open
	}
	if t := h.bases[database]; t != nil {
		return t.open
	}
	return 0
}

// SetLimits changes the limits. If there is more room, waiters are served at once.
func (h *Allocator) SetLimits(limits Limits) []Action {
	h.limits = limits
	for _, p := range h.pools {
		for _, t := range p.under {
			h.weigh(t)
		}
	}
	return h.serveAll()
}

// Waiting is how many sessions wait.
func (h *Allocator) Waiting() int { return len(h.queue) }

// Count is how many servers of the key are open or being opened.
func (h *Allocator) Count(key Key) int {
	if p := h.pools[key]; p != nil {
		return p.open
	}
	return 0
}

// Total is how many servers are open or being opened in all.
func (h *Allocator) Total() int { return h.open }

// Ask puts a ticket into the queue and serves everyone whom it can.
func (h *Allocator) Ask(t Ticket) []Action {
	h.order++
	t.order = h.order
	return h.enter(t)
}

// AskAgain puts a ticket whose Move found no server back into its old place. Its
// session must still be waiting: see Withdraw.
func (h *Allocator) AskAgain(t Ticket) []Action { return h.enter(t) }

// enter puts a ticket into its place. A session waits for one server at a time, so
// another ticket of it in the queue becomes void.
func (h *Allocator) enter(t Ticket) []Action {
	h.Withdraw(t.Worker, t.Session)
	p := h.pool(t.Key)
	p.paused = h.Paused(t.Key.Target().Database)
	w := &waiter{t, p}
	h.waiters[t.who()] = w
	h.queue.insert(w)
	at := p.at
	h.stand(p, nil)
	p.line.insert(w)
	if !p.paused {
		h.await(p, +1)
	}
	if p.head() == w {
		at = p.under[ofPair] // serve finds out which limit blocks it
	}
	h.stand(p, at)
	return h.serve(p.under[:ofPair+1])
}

// Withdraw removes the ticket of a session that no longer waits. If a Move is under
// way, the ticket is not in the queue; then the worker of the session, to which the
// Move leads, must not call AskAgain.
func (h *Allocator) Withdraw(worker int, session uint32) {
	if w := h.waiters[who{worker, session}]; w != nil {
		h.remove(w)
		h.settle()
	}
}

// remove takes a waiter out of the queue.
func (h *Allocator) remove(w *waiter) {
	p, at := w.pool, w.pool.at
	h.stand(p, nil)
	delete(h.waiters, w.who())
	h.queue.remove(w)
	p.line.remove(w)
	if !p.paused {
		h.await(p, -1)
	}
	h.stand(p, at)
	h.forget(p)
}

// stand puts a pool into the gate of a tally. A pool stands in no gate (nil) if nothing
// blocks it or it has no waiter to serve.
func (h *Allocator) stand(p *pool, at *tally) {
	if p.at != nil {
		p.at.gate.remove(p)
	}
	if p.waiting() == 0 {
		at = nil
	}
	if p.at = at; at != nil {
		at.gate.insert(p)
	}
}

// Spare reports an idle server in a worker's list.
func (h *Allocator) Spare(key Key, worker int) []Action {
	if len(h.queue) == 0 {
		return nil
	}
	p := h.pool(key)
	if p.waiting() > 0 && h.rubbing == 0 && !p.contested() { // the usual case: nobody else could use it
		w := p.head()
		h.remove(w)
		h.settle()
		return []Action{{Move, worker, w.Ticket}}
	}
	h.spares = append(h.spares, spare{p, worker})
	h.offer(p, +1)
	return h.serve(nil)
}

// Gone reports that a server was closed, or could not be opened.
func (h *Allocator) Gone(key Key) []Action {
	p := h.pool(key)
	h.count(p, -1)
	h.stay(p)
	actions := h.serve(p.under[:])
	h.forget(p)
	return actions
}

// Kept reports that an Evict found no server to close.
func (h *Allocator) Kept(key Key) []Action {
	p := h.pool(key)
	h.stay(p)
	actions := h.serve(nil)
	h.forget(p)
	return actions
}

// stay ends an eviction, if any is under way.
func (h *Allocator) stay(p *pool) {
	if p.leaving > 0 {
		h.leave(p, -1)
	}
}

// Shrink permits the closing of an idle server of the key, unless fewer than minimum
// would be left. Gone or Kept follows.
func (h *Allocator) Shrink(key Key, minimum int) bool {
	p := h.pools[key]
	if p == nil || p.open-p.leaving <= minimum {
		return false
	}
	h.leave(p, +1)
	return true
}

// Reserve counts a server that is opened for a minimum size and not for a session. It
// is false if a limit forbids the server or somebody waits.
func (h *Allocator) Reserve(key Key) bool {
	if len(h.queue) > 0 || h.Paused(key.Target().Database) {
		return false
	}
	p := h.pool(key)
	defer h.forget(p)
	if h.shut(p, 0) != nil {
		return false
	}
	h.count(p, +1)
	return true
}
