package pool

import (
	"maps"
	"time"
)

// Ticket is a session's place in the queue.
type Ticket struct {
	Key     Key
	Worker  int       // where the session lives
	Session uint32    // who asks; 0: nobody, the server is for the list of idle servers
	Since   time.Time // it waits
	order   uint64
}

// Deed is what an Allocator wants done.
type Deed uint8

const (
	Open  Deed = iota // open a server for the ticket; its place is counted
	Move              // give an idle server of the ticket's key to the ticket
	Evict             // close an idle server of the key, to make room
)

// Action is a deed for one worker.
type Action struct {
	Deed   Deed
	Worker int    // who does it
	Ticket Ticket // for whom; of an Evict only the Key counts: whose place is freed
}

// Allocator counts servers and queues those who wait for one. It is owned by one
// worker; others send it messages. While nobody waits, workers serve
// themselves from their shelves and ask only for leave to open. While
// somebody does, every checkout comes here and every idle server is reported
// (Spare), so that the longest waiter is served first.
//
// The rule: a server that becomes idle goes to whoever has waited longest for
// one of its pool. A place that becomes free under a limit goes to whoever has
// waited longest of those whom no other limit holds up. Who waits longest and
// is held up by a limit has an idle server of another pool closed that takes a
// place under it.
//
// What it costs: a pool whose waiters are held up stands in the gate of one
// limit that is reached, its own before its user's, its database's and its
// node's, and is looked at when a place under that limit becomes free, not
// before. The queue as a whole is walked only while an idle server takes a
// place that another pool's waiter needs, when an administrator has changed
// something, and at every Tick.
type Allocator struct {
	// Renewals is the one part that any thread may ask.
	Renewals Renewals
	ledger
	now     time.Time
	paused  map[string]Pause // databases nobody gets a server of; AllDatabases for all
	held    map[string]int   // likewise, for a moment: by how many
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

// Tick tells the time. Whoever has waited long enough gets of the reserve.
func (h *Allocator) Tick(now time.Time) []Action {
	h.now = now
	return h.serveAll()
}

// AllDatabases stands for every database.
const AllDatabases = ""

// Pause has nobody get a server of the database, until Resume. A pause that is there goes on.
func (h *Allocator) Pause(database string, since time.Time, by string) {
	if _, is := h.paused[database]; !is {
		h.paused[database] = Pause{Since: since, By: by, All: database == AllDatabases}
	}
	h.keepBack()
}

// Resume ends a Pause; that of all databases ends every one.
func (h *Allocator) Resume(database string) []Action {
	if database == AllDatabases {
		clear(h.paused)
	}
	delete(h.paused, database)
	h.keepBack()
	return h.serveAll()
}

// Hold is Pause for the sake of one statement, until Free.
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

// KeptBack are the databases of which nobody gets a server, with why, in a map of its own. Of
// those that are only held, their holder knows since when.
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

// Paused says whether servers of the database are kept back.
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

// SetLimits changes the limits; more room serves waiters at once.
func (h *Allocator) SetLimits(limits Limits) []Action {
	h.limits = limits
	for _, p := range h.pools {
		for _, t := range p.under {
			h.weigh(t)
		}
	}
	return h.serveAll()
}

// Waiting is how many wait.
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

// Ask puts a ticket into the queue and serves whom it can.
func (h *Allocator) Ask(t Ticket) []Action {
	h.order++
	t.order = h.order
	return h.enter(t)
}

// AskAgain puts back a ticket whose Move found no server left, in its old
// place. Its session must still wait: see Withdraw.
func (h *Allocator) AskAgain(t Ticket) []Action { return h.enter(t) }

// enter puts a ticket in its place. A session waits for one server: should it
// have another ticket in the queue, that one is void.
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
		at = p.under[ofPair] // whatever holds it up is found out by serve
	}
	h.stand(p, at)
	return h.serve(p.under[:ofPair+1])
}

// Withdraw removes the ticket of a session that no longer waits. If a Move is
// already under way the ticket is not here: then the session's worker, to whom
// it leads, is not to AskAgain.
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

// stand has a pool stand in the gate of a tally; nil is in none, as is a pool
// that has nobody to serve.
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

// Spare reports an idle server on a worker's list.
func (h *Allocator) Spare(key Key, worker int) []Action {
	if len(h.queue) == 0 {
		return nil
	}
	p := h.pool(key)
	if p.waiting() > 0 && h.rubbing == 0 && !p.contested() { // the usual case: no one else could use it
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

// Kept reports that an Evict found nothing to close.
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

// Shrink allows the closing of an idle server of the key, unless that would
// leave fewer than minimum. Gone or Kept is to follow.
func (h *Allocator) Shrink(key Key, minimum int) bool {
	p := h.pools[key]
	if p == nil || p.open-p.leaving <= minimum {
		return false
	}
	h.leave(p, +1)
	return true
}

// Reserve counts a server opened for nobody in particular, for a minimum
// size; false when a limit forbids it or somebody waits.
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
