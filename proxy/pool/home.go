package pool

import (
	"cmp"
	"slices"
	"time"
)

// Ticket is a session's place in the queue.
type Ticket struct {
	Key     Key
	Worker  int       // where the session lives
	Session uint32    // who asks; 0: nobody, the server is for the shelf
	Since   time.Time // it waits
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
	ledger
	now     time.Time
	paused  map[string]bool // databases nobody gets a server of; AllDatabases for all
	waiting []Ticket        // by order
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
	return &Home{ledger: newLedger(limits), leaving: map[Key]int{}, paused: map[string]bool{}}
}

// Tick tells the time. Whoever has waited long enough gets of the reserve.
func (h *Home) Tick(now time.Time) []Action {
	h.now = now
	return h.serve()
}

// AllDatabases stands for every database.
const AllDatabases = ""

// Pause has nobody get a server of the database, until Resume.
func (h *Home) Pause(database string) { h.paused[database] = true }

// Resume ends a Pause; that of all databases ends every one.
func (h *Home) Resume(database string) []Action {
	if database == AllDatabases {
		clear(h.paused)
	}
	delete(h.paused, database)
	return h.serve()
}

// Paused says whether servers of the database are kept back.
func (h *Home) Paused(database string) bool { return h.paused[database] || h.paused[AllDatabases] }

// CountDatabase is how many servers of the database are open or being opened.
func (h *Home) CountDatabase(database string) int {
	if database == AllDatabases {
		return h.open
	}
	return h.bases[database]
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

// Shrink allows the closing of an idle server of the key, unless that would
// leave fewer than minimum. Gone or Kept is to follow.
func (h *Home) Shrink(key Key, minimum int) bool {
	if h.keys[key]-h.leaving[key] <= minimum {
		return false
	}
	h.leaving[key]++
	return true
}

// Reserve counts a server opened for nobody in particular, for a minimum
// size; false when a limit forbids it or somebody waits.
func (h *Home) Reserve(key Key) bool {
	if len(h.waiting) > 0 || h.Paused(key.Database) || !h.room(key, 0) {
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
		case h.Paused(t.Key.Database):
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

// extra is what a ticket may have of the reserve.
func (h *Home) extra(t *Ticket) int {
	if h.limits.Reserve > 0 && h.now.Sub(t.Since) >= h.limits.ReserveAfter {
		return h.limits.Reserve
	}
	return 0
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
