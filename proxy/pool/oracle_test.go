package pool

import (
	"cmp"
	"slices"
	"time"
)

// oracle is an Allocator as simple as possible: it walks the whole queue at every event. Allocator is compared
// with it.
type oracle struct {
	book
	now     time.Time
	paused  map[string]bool // databases of which no session gets a server; AllDatabases for all
	waiting []Ticket        // in order
	spares  []oracleSpare
	order   uint64
	leaving map[Key]int // number of evictions under way
}

// oracleSpare is an idle server that a worker has reported.
type oracleSpare struct {
	key    Key
	worker int
}

// newOracle makes one without servers.
func newOracle(limits Limits) *oracle {
	return &oracle{book: newBook(limits), leaving: map[Key]int{}, paused: map[string]bool{}}
}

// Tick sets the time. A session that has waited long enough may use the reserve.
func (h *oracle) Tick(now time.Time) []Action {
	h.now = now
	return h.serve()
}

// Pause keeps servers of the database from all sessions, until Resume.
func (h *oracle) Pause(database string) { h.paused[database] = true }

// Resume ends a Pause; Resume of all databases ends every Pause.
func (h *oracle) Resume(database string) []Action {
	if database == AllDatabases {
		clear(h.paused)
	}
	delete(h.paused, database)
	return h.serve()
}

// Paused says whether servers of the database are kept back.
func (h *oracle) Paused(database string) bool { return h.paused[database] || h.paused[AllDatabases] }

// CountDatabase is the number of servers of the database that are open or being opened.
func (h *oracle) CountDatabase(database string) int {
	if database == AllDatabases {
		return h.open
	}
	return h.bases[database]
}

// SetLimits changes the limits. If there is more room now, waiting sessions are served at once.
func (h *oracle) SetLimits(limits Limits) []Action {
	h.limits = limits
	return h.serve()
}

// Waiting is the number of tickets that wait.
func (h *oracle) Waiting() int { return len(h.waiting) }

// Count is the number of servers of the key that are open or being opened.
func (h *oracle) Count(key Key) int { return h.keys[key] }

// Total is the number of all servers that are open or being opened.
func (h *oracle) Total() int { return h.open }

// Ask puts a ticket into the queue, and serves the tickets that it can.
func (h *oracle) Ask(t Ticket) []Action {
	h.order++
	t.order = h.order
	h.waiting = append(h.waiting, t)
	return h.serve()
}

// AskAgain puts back a ticket whose Move found no server left, in its old place.
func (h *oracle) AskAgain(t Ticket) []Action {
	at, _ := slices.BinarySearchFunc(h.waiting, t, func(a, b Ticket) int { return cmp.Compare(a.order, b.order) })
	h.waiting = slices.Insert(h.waiting, at, t)
	return h.serve()
}

// Withdraw removes the ticket of a session that no longer waits. If a grant is already under way, its worker
// finds out.
func (h *oracle) Withdraw(worker int, session uint32) {
	h.waiting = slices.DeleteFunc(h.waiting, func(t Ticket) bool {
		return t.Worker == worker && t.Session == session
	})
	h.settle()
}

// Spare reports an idle server on a worker's list.
func (h *oracle) Spare(key Key, worker int) []Action {
	if len(h.waiting) == 0 {
		return nil
	}
	h.spares = append(h.spares, oracleSpare{key, worker})
	return h.serve()
}

// Gone reports that a server was closed, or could not be opened.
func (h *oracle) Gone(key Key) []Action {
	h.count(key, -1)
	if h.leaving[key] > 0 {
		h.leaving[key]--
		if h.leaving[key] == 0 {
			delete(h.leaving, key)
		}
	}
	return h.serve()
}

// Kept reports that an Evict found nothing to close.
func (h *oracle) Kept(key Key) []Action {
	if h.leaving[key]--; h.leaving[key] <= 0 {
		delete(h.leaving, key)
	}
	return h.serve()
}

// Shrink allows the closing of an idle server of the key, unless fewer than minimum would be left. Gone or Kept
// must follow.
func (h *oracle) Shrink(key Key, minimum int) bool {
	if h.keys[key]-h.leaving[key] <= minimum {
		return false
	}
	h.leaving[key]++
	return true
}

// Reserve counts a server that is opened for no session, for a minimum size. It returns false if a limit forbids
// that, or if a session waits.
func (h *oracle) Reserve(key Key) bool {
	if len(h.waiting) > 0 || h.Paused(key.Target().Database) || !h.room(key, 0) {
		return false
	}
	h.count(key, +1)
	return true
}

// serve goes through the queue, beginning with the longest waiter, and does for each ticket what can be done.
func (h *oracle) serve() (actions []Action) {
	var still []Ticket
	for _, t := range h.waiting {
		switch {
		case h.Paused(t.Key.Target().Database):
			still = append(still, t)
		case h.takeSpare(t, &actions):
		case h.room(t.Key, h.extra(&t)):
			h.count(t.Key, +1)
			actions = append(actions, Action{Open, t.Worker, t})
		default:
			h.evictFor(t, len(still), &actions)
			still = append(still, t)
		}
	}
	h.waiting = still
	h.settle()
	return actions
}

// extra is the part of the reserve that a ticket may use.
func (h *oracle) extra(t *Ticket) int {
	if h.limits.Reserve > 0 && h.now.Sub(t.Since) >= h.limits.ReserveAfter {
		return h.limits.Reserve
	}
	return 0
}

// settle forgets the spares when no session waits, because workers then serve themselves.
func (h *oracle) settle() {
	if len(h.waiting) == 0 {
		h.spares = nil
	}
}

// takeSpare moves a reported server to the ticket, preferably one of its own worker.
func (h *oracle) takeSpare(t Ticket, actions *[]Action) bool {
	best := -1
	for i, s := range h.spares {
		if s.key == t.Key && (best < 0 || s.worker == t.Worker) {
			best = i
		}
	}
	if best < 0 {
		return false
	}
	*actions = append(*actions, Action{Move, h.spares[best].worker, t})
	h.spares = slices.Delete(h.spares, best, best+1)
	return true
}

// evictFor closes one idle server of another key whose place t needs, unless as many are leaving as there are
// waiters up to t.
func (h *oracle) evictFor(t Ticket, before int, actions *[]Action) {
	leaving := 0
	for _, n := range h.leaving {
		leaving += n
	}
	if leaving > before {
		return
	}
	for i, s := range h.spares {
		if h.blocks(s.key, t.Key) {
			h.spares = slices.Delete(h.spares, i, i+1)
			h.leaving[s.key]++
			*actions = append(*actions, Action{Evict, s.worker, Ticket{Key: s.key}})
			return
		}
	}
}

func (k Key) pair() pair { return pair{k.Node, k.Target().Database, k.Target().User} }

// book has the counts of servers.
type book struct {
	limits Limits
	open   int
	nodes  map[int]int
	bases  map[string]int
	users  map[string]int
	pairs  map[pair]int
	keys   map[Key]int
}

func newBook(limits Limits) book {
	return book{limits: limits, nodes: map[int]int{}, bases: map[string]int{}, users: map[string]int{},
		pairs: map[pair]int{}, keys: map[Key]int{}}
}

// room says that one more server of the key is within every limit. extra is what the pair may have beyond its own
// limit.
func (l *book) room(key Key, extra int) bool {
	return !oracleFull(l.nodes[key.Node], l.limits.Node) && !oracleFull(l.bases[key.Target().Database], l.limits.Database) &&
		!oracleFull(l.users[key.Target().User], l.limits.User) && !l.pairFull(key, extra)
}

func (l *book) pairFull(key Key, extra int) bool {
	return l.limits.Pair > 0 && l.pairs[key.pair()] >= l.limits.Pair+extra
}

// blocks says that closing a server of key a would lift a limit for key b.
func (l *book) blocks(a, b Key) bool {
	return a.Node == b.Node && oracleFull(l.nodes[b.Node], l.limits.Node) ||
		a.Target().Database == b.Target().Database && oracleFull(l.bases[b.Target().Database], l.limits.Database) ||
		a.Target().User == b.Target().User && oracleFull(l.users[b.Target().User], l.limits.User) ||
		a.pair() == b.pair() && l.pairFull(b, 0)
}

func oracleFull(n, limit int) bool { return limit > 0 && n >= limit }

// count adds n servers of the key.
func (l *book) count(key Key, n int) {
	l.open += n
	add(l.nodes, key.Node, n)
	add(l.bases, key.Target().Database, n)
	add(l.users, key.Target().User, n)
	add(l.pairs, key.pair(), n)
	add(l.keys, key, n)
	if l.keys[key] < 0 {
		panic("pool: a server of " + key.Target().Database + " was closed twice")
	}
}

// add changes a counter and forgets it at zero.
func add[K comparable](counts map[K]int, key K, n int) {
	if counts[key] += n; counts[key] == 0 {
		delete(counts, key)
	}
}
