package pool

import (
	"cmp"
	"slices"
)

// Limits bound the servers that are open or being opened, over all workers.
// 0 is no limit.
type Limits struct {
	Node     int // per node
	Database int // per database, on all nodes
	User     int // per user, on all nodes
}

// Ticket is a session's place in the queue.
type Ticket struct {
	Key     Key
	Worker  int    // where the session lives
	Session uint32 // who asks; 0: nobody, the server is for the shelf
	order   uint64
}

// Deed is what a Home wants done.
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

// Home counts servers and queues those who wait for one. It is owned by one
// worker; others send it messages. While nobody waits, workers serve
// themselves from their shelves and ask only for leave to open. While
// somebody does, every checkout comes here and every idle server is reported
// (Spare), so that the longest waiter is served first.
type Home struct {
	limits  Limits
	open    int
	nodes   map[int]int
	bases   map[string]int
	users   map[string]int
	keys    map[Key]int
	waiting []Ticket // by order
	spares  []spare
	order   uint64
	leaving map[Key]int // evictions under way
}

// spare is an idle server that a worker has reported.
type spare struct {
	key    Key
	worker int
}

// NewHome makes one without servers.
func NewHome(limits Limits) *Home {
	return &Home{limits: limits, nodes: map[int]int{}, bases: map[string]int{}, users: map[string]int{},
		keys: map[Key]int{}, leaving: map[Key]int{}}
}

// SetLimits changes the limits; more room serves waiters at once.
func (h *Home) SetLimits(limits Limits) []Action {
	h.limits = limits
	return h.serve()
}

// Waiting is how many wait.
func (h *Home) Waiting() int { return len(h.waiting) }

// Count is how many servers of the key are open or being opened.
func (h *Home) Count(key Key) int { return h.keys[key] }

// Total is how many servers are open or being opened in all.
func (h *Home) Total() int { return h.open }

// Ask puts a ticket into the queue and serves whom it can.
func (h *Home) Ask(t Ticket) []Action {
	h.order++
	t.order = h.order
	h.waiting = append(h.waiting, t)
	return h.serve()
}

// AskAgain puts back a ticket whose Move found no server left, in its old place.
func (h *Home) AskAgain(t Ticket) []Action {
	at, _ := slices.BinarySearchFunc(h.waiting, t, func(a, b Ticket) int { return cmp.Compare(a.order, b.order) })
	h.waiting = slices.Insert(h.waiting, at, t)
	return h.serve()
}

// Withdraw removes the ticket of a session that no longer waits. A grant that
// is already under way finds out at its worker.
func (h *Home) Withdraw(worker int, session uint32) {
	h.waiting = slices.DeleteFunc(h.waiting, func(t Ticket) bool {
		return t.Worker == worker && t.Session == session
	})
	h.settle()
}

// Spare reports an idle server on a worker's shelf.
func (h *Home) Spare(key Key, worker int) []Action {
	if len(h.waiting) == 0 {
		return nil
	}
	h.spares = append(h.spares, spare{key, worker})
	return h.serve()
}

// Gone reports that a server was closed, or could not be opened.
func (h *Home) Gone(key Key) []Action {
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
func (h *Home) Kept(key Key) []Action {
	if h.leaving[key]--; h.leaving[key] <= 0 {
		delete(h.leaving, key)
	}
	return h.serve()
}

// Reserve counts a server opened for nobody in particular, for a minimum
// size; false when a limit forbids it or somebody waits.
func (h *Home) Reserve(key Key) bool {
	if len(h.waiting) > 0 || !h.room(key) {
		return false
	}
	h.count(key, +1)
	return true
}

// serve goes through the queue, longest waiter first, and does for each what
// can be done.
func (h *Home) serve() (actions []Action) {
	var still []Ticket
	for _, t := range h.waiting {
		switch {
		case h.takeSpare(t, &actions):
		case h.room(t.Key):
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

// settle forgets the spares once nobody waits: workers serve themselves again.
func (h *Home) settle() {
	if len(h.waiting) == 0 {
		h.spares = nil
	}
}

// takeSpare moves a reported server to the ticket, one of its own worker first.
func (h *Home) takeSpare(t Ticket, actions *[]Action) bool {
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

// evictFor closes one idle server of another key that holds a place t needs,
// unless as many are leaving already as there are waiters before and with t.
func (h *Home) evictFor(t Ticket, before int, actions *[]Action) {
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

// blocks says that closing a server of key a would lift a limit for key b.
func (h *Home) blocks(a, b Key) bool {
	l := h.limits
	return a.Node == b.Node && full(h.nodes[b.Node], l.Node) ||
		a.Database == b.Database && full(h.bases[b.Database], l.Database) ||
		a.User == b.User && full(h.users[b.User], l.User)
}

// room says that one more server of the key is within every limit.
func (h *Home) room(key Key) bool {
	l := h.limits
	return !full(h.nodes[key.Node], l.Node) && !full(h.bases[key.Database], l.Database) && !full(h.users[key.User], l.User)
}

func full(n, limit int) bool { return limit > 0 && n >= limit }

// count adds n servers of the key.
func (h *Home) count(key Key, n int) {
	h.open += n
	add(h.nodes, key.Node, n)
	add(h.bases, key.Database, n)
	add(h.users, key.User, n)
	add(h.keys, key, n)
	if h.keys[key] < 0 {
		panic("pool: a server of " + key.Database + " was closed twice")
	}
}

// add changes a counter and forgets it at zero.
func add[K comparable](counts map[K]int, key K, n int) {
	if counts[key] += n; counts[key] == 0 {
		delete(counts, key)
	}
}
