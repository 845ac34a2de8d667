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

// Store keeps an answer, unless the catalog has changed since it was claimed.
// nil is no answer.
func (e *Entry) Store(ticket uint64, s *Snapshot) {
	defer e.known.Store(true)
	if s != nil && (e.changes.Load() == ticket || e.snapshot.Load() == nil) {
		e.snapshot.Store(s)
	}
}

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
