package catalog

import (
	"sync"
	"sync/atomic"
	"time"

	"pgherd/proxy/query"
)

// Shared keeps the latest Snapshot of each database, for all sessions of the
// process. Its methods, and an Entry's, may be called by any goroutine.
type Shared struct {
	mu      sync.Mutex
	entries map[string]*Entry
}

// NewShared makes a Shared that knows nothing yet.
func NewShared() *Shared { return &Shared{entries: map[string]*Entry{}} }

// Entry returns the Entry of a database; a session asks for it once.
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

// Entry is what is known of one database, and whether that may have changed since.
//
// Definitions that go through pgherd are announced before their author is told of their
// success: Begin before the statement is sent with which they may take effect, Changed
// once they may have taken effect, End when none of them can any more.
//
// A statement that was analysed at one Tick and has run by another may have met
// definitions that its analysis does not know. It is analysed again, by an answer to a
// question that was asked afterwards. What may change is announced by name if the text
// of a definition shows it, so that other statements need not wait. If the same thing
// changes twice between two answers, it may have been something in between that no
// answer shows.
type Entry struct {
	latest   atomic.Pointer[answer]
	flights  flights
	begun    atomic.Uint64 // calls of Begin
	open     atomic.Int64  // those whose End has not been called
	changes  atomic.Uint64 // calls of Changed
	made     atomic.Uint64 // calls of Refresh
	readMade atomic.Uint64 // how many there were when the snapshot was asked for
	asks     atomic.Uint64 // questions so far
	asking   atomic.Bool   // one of them has no answer yet
	mu       sync.Mutex    // held while an answer is stored
	failures int           // in a row
	read     atomic.Uint64 // how many there were when the snapshot was asked for
	answered atomic.Uint64 // which of the questions that was
	known    atomic.Bool   // somebody has asked, with or without an answer
	drawing  atomic.Bool   // its sessions read the numbers that they have drawn from sequences
	holding  atomic.Bool   // it has code that may leave what outlasts DISCARD ALL
	due      atomic.Int64  // when to ask again, in nanoseconds of Unix time
	rests    atomic.Int64  // not before then, unless somebody needs the answer
}

// answer is a Snapshot, and which flights it knows.
type answer struct {
	snapshot *Snapshot
	asOf     uint64 // it knows all up to here
	begun    uint64 // it knows none after here
}

// Ticket is a question's place among the others; Store needs it.
type Ticket struct {
	changes, ask, asOf, begun uint64
	made                      uint64
	at                        time.Time
	rests                     time.Time
}

// Answered notes when the answer has come. The longer it took, the longer nobody asks
// again who does not need to, so that many definitions in a row do not cost a question
// each.
func (t Ticket) Answered(now time.Time) Ticket {
	t.rests = now.Add(restFactor * now.Sub(t.at))
	return t
}

// restFactor is how many times as long as a question has taken the next one waits.
const restFactor = 20

// Known says that the database has been asked. The Snapshot is then all that can be
// known, even if it is nil because there was no answer.
func (e *Entry) Known() bool { return e.known.Load() }

// Snapshot is the latest answer.
func (e *Entry) Snapshot() *Snapshot {
	s, _ := e.Present()
	return s
}

// Present is the latest answer, and the flight up to which it knows all.
func (e *Entry) Present() (s *Snapshot, asOf uint64) {
	if a := e.latest.Load(); a != nil {
		return a.snapshot, a.asOf
	}
	return nil, 0
}

// Begin notes that a definition may take effect from now on, unseen until its server
// says so. objects are those whose behaviour it changes; without any, it is anything's.
// n is the number of the definition.
func (e *Entry) Begin(objects []string) (n uint64) {
	e.open.Add(1)
	n = e.flights.begin(objects)
	e.begun.Add(1)
	return n
}

// Concerning counts the definitions after a number that may have changed what a script
// does before the latest answer, or until now if no answer knows all of them yet,
// except the caller's own.
func (e *Entry) Concerning(script *query.Script, asOf uint64, own []uint64) int {
	a := e.latest.Load()
	if a == nil {
		return flightsLimit
	}
	upTo := a.begun
	if e.Stale() {
		_, upTo = e.flights.asOf()
	}
	return e.flights.concerning(a.snapshot, script, asOf, upTo, own)
}

// Changed notes that a definition may have taken effect. The next session that comes
// asks again.
func (e *Entry) Changed() {
	e.changes.Add(1)
	e.due.Store(e.rests.Load())
}

// Refresh lets the database be asked before long. A definition changes nothing that
// statements do, but something is not known yet of its relations, and a session that reads
// one may need to know it.
func (e *Entry) Refresh(now time.Time) {
	if !e.Partial() {
		e.due.Store(max(e.rests.Load(), now.Add(settles).UnixNano()))
	}
	e.made.Add(1)
}

// settles is how long after the first of several such definitions the database is asked.
const settles = 2 * time.Second

// Partial says that there may be relations that the Snapshot does not know.
func (e *Entry) Partial() bool { return e.made.Load() != e.readMade.Load() }

// End notes that what began will not take effect any more, or has taken effect and was
// announced.
func (e *Entry) End(n uint64) {
	e.flights.end(n)
	e.open.Add(-1)
}

// Tick changes whenever a definition may have taken effect, or may from now on.
func (e *Entry) Tick() uint64 { return e.begun.Load() + e.changes.Load() }

// Stale says that a statement may meet definitions that the Snapshot does not know.
func (e *Entry) Stale() bool { return e.changes.Load() != e.read.Load() || e.open.Load() > 0 }

// Ask begins a question.
func (e *Entry) Ask(now time.Time) Ticket {
	asOf, begun := e.flights.asOf()
	return Ticket{made: e.made.Load(), changes: e.changes.Load(), ask: e.asks.Add(1), asOf: asOf, begun: begun, at: now}
}

// Claim tells one caller, once a period has passed, to ask the database; if needed is
// true, as soon as nobody else is asking.
func (e *Entry) Claim(now time.Time, period time.Duration, needed bool) (t Ticket, mine bool) {
	due := e.due.Load()
	switch {
	case now.UnixNano() >= due:
		mine = e.due.CompareAndSwap(due, now.Add(period).UnixNano())
		e.asking.Store(e.asking.Load() || mine)
	case needed:
		mine = e.asking.CompareAndSwap(false, true)
	}
	if mine {
		t = e.Ask(now)
	}
	return t, mine
}

// Asks counts the questions so far. Answered says that a question has an answer that
// was asked after so many.
func (e *Entry) Asks() uint64              { return e.asks.Load() }
func (e *Entry) Answered(asks uint64) bool { return e.answered.Load() > asks }

// Due says that it is time to ask.
func (e *Entry) Due(now time.Time) bool { return now.UnixNano() >= e.due.Load() }

// Store keeps an answer, unless a newer one is kept. If the catalog has changed since
// the question, the next session that comes asks again.
func (e *Entry) Store(t Ticket, s *Snapshot) {
	e.asking.Store(false)
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.known.Load() && t.ask < e.answered.Load() {
		return
	}
	e.failures = 0
	e.latest.Store(&answer{s, t.asOf, t.begun})
	e.flights.renew(s, t.asOf)
	if s.Peeks() {
		e.Draw()
	}
	e.read.Store(t.changes)
	e.readMade.Store(t.made)
	e.answered.Store(t.ask)
	e.known.Store(true)
	if !t.rests.IsZero() {
		e.rests.Store(t.rests.UnixNano())
	}
	if e.changes.Load() != t.changes {
		e.due.Store(e.rests.Load())
	}
}

// Replayed notes that the answer was a standby's, which may lag behind. The next session that
// comes to the primary asks again.
func (e *Entry) Replayed() { e.due.Store(0) }

// Failed notes that there was no answer; the next session that comes asks again. After
// too many failures in a row nothing is known of the database, and that counts as an
// answer.
func (e *Entry) Failed(t Ticket) {
	e.asking.Store(false)
	e.mu.Lock()
	e.failures++
	lost := e.failures >= failuresLimit
	e.mu.Unlock()
	if lost {
		e.Store(t, nil)
	} else {
		e.due.Store(0)
	}
}

// Unanswered notes that the session that asked, or its server, has ended before the
// answer; the next session that comes asks again. What is known of the database stays.
// If nothing is known, this counts as Failed, so that questions end.
func (e *Entry) Unanswered(t Ticket) {
	if !e.Known() {
		e.Failed(t)
		return
	}
	e.asking.Store(false)
	e.due.Store(0)
}

// failuresLimit is how many questions in a row may fail.
const failuresLimit = 3

// Draw notes that currval or lastval is used in this database, perhaps unseen.
func (e *Entry) Draw() { e.drawing.Store(true) }

// Drawing says that Draw was called.
func (e *Entry) Drawing() bool { return e.drawing.Load() }

// Hold notes that the database has code that may leave what outlasts DISCARD ALL.
func (e *Entry) Hold() { e.holding.Store(true) }

// Holds says that Hold was called.
func (e *Entry) Holds() bool { return e.holding.Load() }
