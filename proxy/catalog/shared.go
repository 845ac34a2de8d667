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

// Entry is what is known of one database, and whether that may have changed since.
//
// Definitions that go through pgherd are told before their author hears of their
// success: Begin before the statement is sent with which they may take effect, Changed
// once they may have, End when none of it can any more. A statement that was judged
// at one Tick and has run by another may have met definitions that its judgement does
// not know: it is judged again, by an answer to a question that was asked afterwards.
//
// What may change is told by name where the text of a definition has it, so that other
// statements need not wait. Two changes of the same thing between two answers may have
// had in between what no answer shows.
type Entry struct {
	latest   atomic.Pointer[answer]
	flights  flights
	begun    atomic.Uint64 // calls of Begin
	open     atomic.Int64  // those without their End
	changes  atomic.Uint64 // calls of Changed
	made     atomic.Uint64 // calls of Refresh
	readMade atomic.Uint64 // as many, when the snapshot was asked for
	asks     atomic.Uint64 // questions so far
	asking   atomic.Bool   // one of them is not answered
	mu       sync.Mutex    // for who stores
	failures int           // in a row
	read     atomic.Uint64 // changes, when the snapshot was asked for
	answered atomic.Uint64 // which of the asks that was
	known    atomic.Bool   // somebody has asked, and there was an answer or none
	drawing  atomic.Bool   // its sessions ask for what they have drawn from sequences
	holding  atomic.Bool   // it has code that may leave what outlasts DISCARD ALL
	due      atomic.Int64  // in nanoseconds of Unix time: when to ask again
	rests    atomic.Int64  // not before then, unless somebody needs the answer
}

// answer is a Snapshot, and of which flights it knows.
type answer struct {
	snapshot *Snapshot
	asOf     uint64 // all up to here
	begun    uint64 // none after here
}

// Ticket is a question's place among the others, for Store.
type Ticket struct {
	changes, ask, asOf, begun uint64
	made                      uint64
	at                        time.Time
	rests                     time.Time
}

// Answered notes when the answer has come: the longer it took, the longer nobody asks
// again who does not need to, so that many definitions in a row do not cost a question
// each.
func (t Ticket) Answered(now time.Time) Ticket {
	t.rests = now.Add(restFactor * now.Sub(t.at))
	return t
}

// restFactor is how many times as long as a question has taken the next one waits.
const restFactor = 20

// Known says that the database has been asked: the Snapshot is what there is to
// know, be it nil because there was no answer.
func (e *Entry) Known() bool { return e.known.Load() }

// Snapshot is the latest answer.
func (e *Entry) Snapshot() *Snapshot {
	s, _ := e.Present()
	return s
}

// Present is the latest answer, and up to which flight it knows all.
func (e *Entry) Present() (s *Snapshot, asOf uint64) {
	if a := e.latest.Load(); a != nil {
		return a.snapshot, a.asOf
	}
	return nil, 0
}

// Begin notes that a definition may take effect from now on, unseen until its server
// tells. objects are what it changes the doings of; none: anything. n is its number.
func (e *Entry) Begin(objects []string) (n uint64) {
	e.open.Add(1)
	n = e.flights.begin(objects)
	e.begun.Add(1)
	return n
}

// Concerning counts the definitions beyond those that were known as of a number that
// may have changed what a script does before the latest answer, or before now if there
// is none to all of them yet; without those of one's own.
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

// Changed notes that a definition may have taken effect. Whoever comes next asks
// again.
func (e *Entry) Changed() {
	e.changes.Add(1)
	e.due.Store(e.rests.Load())
}

// Refresh has the database asked before long: a definition changes nothing that statements
// do, but what is known of its relations is not all. Who reads one may need to know more.
func (e *Entry) Refresh(now time.Time) {
	if !e.Partial() {
		e.due.Store(max(e.rests.Load(), now.Add(settles).UnixNano()))
	}
	e.made.Add(1)
}

// settles is how long after the first of several such definitions the database is asked.
const settles = 2 * time.Second

// Partial says that there may be relations which the Snapshot does not know.
func (e *Entry) Partial() bool { return e.made.Load() != e.readMade.Load() }

// End notes that what began will not take effect any more, or has and was told.
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

// Claim tells one caller, once a period has passed, to ask the database; needed, as
// soon as nobody else is asking.
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

// Asks counts the questions so far, and Answered says that there is an answer to one
// that was asked later than so many.
func (e *Entry) Asks() uint64              { return e.asks.Load() }
func (e *Entry) Answered(asks uint64) bool { return e.answered.Load() > asks }

// Due says that it is time to ask.
func (e *Entry) Due(now time.Time) bool { return now.UnixNano() >= e.due.Load() }

// Store keeps an answer, unless a newer one is kept. If the catalog has changed
// since it was asked for, whoever comes next asks again.
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

// Failed notes that there was no answer: whoever comes next asks again. After
// too many in a row nothing is known of the database, and that counts as an
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
// answer: whoever comes next asks again. That says nothing of the database, so what is
// known of it stays; where nothing is, it has Failed, and nobody asks for ever.
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

// Draw notes that currval or lastval is in use in this database, be it unseen.
func (e *Entry) Draw() { e.drawing.Store(true) }

// Drawing says that it is.
func (e *Entry) Drawing() bool { return e.drawing.Load() }

// Hold notes that the database holds code that may leave what outlasts DISCARD ALL.
func (e *Entry) Hold() { e.holding.Store(true) }

// Holds says that it does.
func (e *Entry) Holds() bool { return e.holding.Load() }
