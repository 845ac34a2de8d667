package catalog

import (
	"testing"
	"time"
)

func TestOneAsksEachPeriod(t *testing.T) {
	e := NewShared().Entry("app")
	now := time.Unix(1000, 0)
	if _, mine := e.Claim(now, time.Second, false); !mine {
		t.Error("no session is to ask first")
	}
	if _, mine := e.Claim(now.Add(time.Second-1), time.Second, false); mine {
		t.Error("asked again too soon")
	}
	if _, mine := e.Claim(now.Add(time.Second), time.Second, false); !mine {
		t.Error("not asked again")
	}
	e.Changed()
	if _, mine := e.Claim(now.Add(time.Second), time.Second, false); !mine {
		t.Error("a change is not asked for")
	}
}

func TestAnswerFromBeforeAChangeIsOld(t *testing.T) {
	e := NewShared().Entry("app")
	now := time.Unix(1000, 0)
	first, second := new(Snapshot), new(Snapshot)
	old, _ := e.Claim(now, time.Second, false)
	e.Changed()
	e.Store(old, first) // better than nothing
	if e.Snapshot() != first || !e.Stale() || !e.Known() {
		t.Error("it is not known, or not known to be old")
	}
	fresh, mine := e.Claim(now, time.Second, false)
	if !mine {
		t.Error("no session is to ask again")
	}
	e.Store(fresh, second)
	e.Store(old, first)
	if e.Snapshot() != second || e.Stale() {
		t.Error("the newer answer was not kept")
	}
}

func TestFailuresAreAskedAgainAndThenTaken(t *testing.T) {
	e := NewShared().Entry("app")
	now := time.Unix(1000, 0)
	for range failuresLimit {
		ticket, mine := e.Claim(now, time.Second, false)
		if !mine || e.Known() {
			t.Fatal("it is not asked again")
		}
		e.Failed(ticket)
	}
	if !e.Known() || e.Snapshot() != nil {
		t.Error("it is asked for ever")
	}
}

// TestEndedSessionsLeaveWhatIsKnown checks that sessions that end while they ask, however many in a
// row, change nothing of what is known of the database.
func TestEndedSessionsLeaveWhatIsKnown(t *testing.T) {
	e := NewShared().Entry("app")
	now, first := time.Unix(1000, 0), new(Snapshot)
	e.Store(e.Ask(now), first)
	for range failuresLimit {
		ticket, mine := e.Claim(now, time.Second, false)
		if !mine {
			t.Fatal("it is not asked again")
		}
		e.Unanswered(ticket)
	}
	if e.Snapshot() != first {
		t.Error("what is known is forgotten")
	}
}

func TestNothingKnownIsNotAskedForEver(t *testing.T) {
	e := NewShared().Entry("app")
	for range failuresLimit {
		e.Unanswered(e.Ask(time.Unix(1000, 0)))
	}
	if !e.Known() {
		t.Error("it is asked for ever")
	}
}

func TestOneEntryPerDatabase(t *testing.T) {
	s := NewShared()
	first, again, other := s.Entry("a"), s.Entry("a"), s.Entry("b")
	if first != again || first == other {
		t.Error("entries are mixed up")
	}
}

// TestDefinitionUnderWay checks that until the end of a definition is reported the catalog's answer
// does not hold for a statement, whatever was read meanwhile.
func TestDefinitionUnderWay(t *testing.T) {
	e := NewShared().Entry("app")
	now := time.Unix(1000, 0)
	e.Store(e.Ask(now), new(Snapshot))
	before := e.Tick()
	n := e.Begin(nil)
	if e.Tick() == before || !e.Stale() {
		t.Error("it does not show that a definition is under way")
	}
	e.Store(e.Ask(now), new(Snapshot)) // it may have been asked before the definition took effect
	if !e.Stale() {
		t.Error("what was read while it was under way counts for afterwards")
	}
	during := e.Tick()
	e.Changed()
	e.End(n)
	if e.Tick() == during || !e.Stale() {
		t.Error("its effect is not told")
	}
	fresh, mine := e.Claim(now, time.Second, false)
	e.Store(fresh, new(Snapshot))
	if !mine || e.Stale() {
		t.Error("what was read afterwards is not enough")
	}
}

// TestWhoNeedsAnAnswerAsks, if nobody else is asking; an answer to a question from
// before is none.
func TestWhoNeedsAnAnswerAsks(t *testing.T) {
	e := NewShared().Entry("app")
	now := time.Unix(1000, 0)
	periodic, _ := e.Claim(now, time.Second, false)
	asks := e.Asks()
	if _, mine := e.Claim(now, time.Second, true); mine {
		t.Error("two ask at once")
	}
	e.Store(periodic, new(Snapshot))
	if e.Answered(asks) {
		t.Error("an answer from before is taken")
	}
	needed, mine := e.Claim(now, time.Second, true)
	e.Store(needed, new(Snapshot))
	if !mine || !e.Answered(asks) {
		t.Error("no session is to ask, though one needs the answer")
	}
}

// TestPartial checks that an answer that was asked for before a table was made does not have the
// table.
func TestPartial(t *testing.T) {
	e := NewShared().Entry("app")
	now := time.Unix(1000, 0)
	before := e.Ask(now)
	e.Refresh(now)
	e.Store(before, new(Snapshot))
	if !e.Partial() || e.Stale() {
		t.Error("all is known, or statements may do more")
	}
	now = now.Add(settles)
	after, mine := e.Claim(now, time.Second, false)
	e.Store(after.Answered(now.Add(time.Second)), new(Snapshot))
	if !mine || e.Partial() {
		t.Error("no session is to ask, or the answer is not stored")
	}
	if e.Refresh(now); e.Due(now.Add(time.Second)) || !e.Due(now.Add(time.Second*(1+restFactor))) {
		t.Error("a question that took long is asked again at once, or never")
	}
	if _, mine := e.Claim(now.Add(time.Second), time.Second, true); !mine {
		t.Error("who needs it does not ask")
	}
}
