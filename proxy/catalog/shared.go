package catalog

import (
	"sync"
	"sync/atomic"
	"time"
)

// Shared keeps the latest Snapshot of each database, for all sessions of the
// process. Its methods, and an Entry's, may be called by any goroutine.
type Shared struct {
	mu      sync.Mutex
	entries map[string]*Entry
}

// NewShared knows nothing yet.
func NewShared() *Shared { return &Shared{entries: map[string]*Entry{}} }

// Entry is the one of a database; a session asks for it once.
func (s *Shared) Entry(database string) *Entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.entries[database]
	if e == nil {
		e = new(Entry)
		s.entries[database] = e
	}
	return e
}

// Entry is what is known of one database.
type Entry struct {
	snapshot atomic.Pointer[Snapshot]
	changes  atomic.Uint64 // definitions that have gone through pgherd
	mu       sync.Mutex    // for who stores
	failures int           // in a row
	read     atomic.Uint64 // changes, when the snapshot was asked for
	known    atomic.Bool   // somebody has asked, and there was an answer or none
	drawing  atomic.Bool   // its sessions ask for what they have drawn from sequences
	due      atomic.Int64  // in nanoseconds of Unix time: when to ask again
}

// Known says that the database has been asked: the Snapshot is what there is to
// know, be it nil because there was no answer.
func (e *Entry) Known() bool { return e.known.Load() }

// Snapshot is the latest answer.
func (e *Entry) Snapshot() *Snapshot { return e.snapshot.Load() }

// Claim tells one caller, once a period has passed, to ask the database. The
// ticket is for Store.
func (e *Entry) Claim(now time.Time, period time.Duration) (ticket uint64, mine bool) {
	due := e.due.Load()
	if now.UnixNano() < due {
		return 0, false
	}
	ticket = e.changes.Load()
	return ticket, e.due.CompareAndSwap(due, now.Add(period).UnixNano())
}

// Due says that it is time to ask.
func (e *Entry) Due(now time.Time) bool { return now.UnixNano() >= e.due.Load() }

// Store keeps an answer, unless a newer one is kept. If the catalog has changed
// since it was claimed, whoever comes next asks again.
func (e *Entry) Store(ticket uint64, s *Snapshot) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.known.Load() && ticket < e.read.Load() {
		return
	}
	e.failures = 0
	e.snapshot.Store(s)
	e.read.Store(ticket)
	e.known.Store(true)
	if e.Stale() {
		e.due.Store(0)
	}
}

// Failed notes that there was no answer: whoever comes next asks again. After
// too many in a row nothing is known of the database, and that counts as an
// answer.
func (e *Entry) Failed(ticket uint64) {
	e.mu.Lock()
	e.failures++
	lost := e.failures >= failuresLimit
	e.mu.Unlock()
	if lost {
		e.Store(ticket, nil)
	} else {
		e.due.Store(0)
	}
}

// failuresLimit is how many questions in a row may fail.
const failuresLimit = 3

// Stale says that a definition has changed since the Snapshot was asked for.
func (e *Entry) Stale() bool { return e.changes.Load() != e.read.Load() }

// Changed has whoever comes next ask again: a definition has changed.
func (e *Entry) Changed() {
	e.changes.Add(1)
	e.due.Store(0)
}

// Draw notes that currval or lastval is in use in this database.
func (e *Entry) Draw() { e.drawing.Store(true) }

// Drawing says that it is.
func (e *Entry) Drawing() bool { return e.drawing.Load() }

// Changes counts calls of Changed.
func (e *Entry) Changes() uint64 { return e.changes.Load() }
