package catalog

import (
	"testing"
	"time"
)

func TestOneAsksEachPeriod(t *testing.T) {
	e := NewShared().Entry("app")
	now := time.Unix(1000, 0)
	if _, mine := e.Claim(now, time.Second, false); !mine {
		t.Error("Claim refuses the first question")
	}
	if _, mine := e.Claim(now.Add(time.Second-1), time.Second, false); mine {
		t.Error("Claim allows another question before the period is over")
	}
	if _, mine := e.Claim(now.Add(time.Second), time.Second, false); !mine {
		t.Error("Claim refuses another question after the period")
	}
	e.Changed()
	if _, mine := e.Claim(now.Add(time.Second), time.Second, false); !mine {
		t.Error("Claim refuses a question after a change")
	}
}

func TestAnswerFromBeforeAChangeIsOld(t *testing.T) {
	e := NewShared().Entry("app")
	now := time.Unix(1000, 0)
	first, second := new(Snapshot), new(Snapshot)
	old, _ := e.Claim(now, time.Second, false)
	e.Changed()
	e.Store(old, first) // an old answer is better than none
	if e.Snapshot() != first || !e.Stale() || !e.Known() {
		t.Error("an old answer is not stored, or does not count as stale")
	}
	fresh, mine := e.Claim(now, time.Second, false)
	if !mine {
		t.Error("Claim refuses another question after an old answer")
	}
	e.Store(fresh, second)
	e.Store(old, first)
	if e.Snapshot() != second || e.Stale() {
		t.Error("an older answer replaces a newer one")
	}
}

func TestFailuresAreAskedAgainAndThenTaken(t *testing.T) {
	e := NewShared().Entry("app")
	now := time.Unix(1000, 0)
	for range failuresLimit {
		ticket, mine := e.Claim(now, time.Second, false)
		if !mine || e.Known() {
			t.Fatal("Claim refuses another question after a failure")
		}
		e.Failed(ticket)
	}
	if !e.Known() || e.Snapshot() != nil {
		t.Error("Claim allows questions without a limit")
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
			t.Fatal("Claim refuses another question after a failure")
		}
		e.Unanswered(ticket)
	}
	if e.Snapshot() != first {
		t.Error("the known answer is forgotten after failures")
	}
}

func TestNothingKnownIsNotAskedForEver(t *testing.T) {
	e := NewShared().Entry("app")
	for range failuresLimit {
		e.Unanswered(e.Ask(time.Unix(1000, 0)))
	}
	if !e.Known() {
		t.Error("Claim allows questions without a limit")
	}
}

func TestOneEntryPerDatabase(t *testing.T) {
	s := NewShared()
	first, again, other := s.Entry("a"), s.Entry("a"), s.Entry("b")
	if first != again || first == other {
		t.Error("databases share an entry")
	}
}

// TestDefinitionUnderWay checks that until the end of a definition is reported a statement needs a newer answer of the
// catalog, whatever was read meanwhile.
func TestDefinitionUnderWay(t *testing.T) {
	e := NewShared().Entry("app")
	now := time.Unix(1000, 0)
	e.Store(e.Ask(now), new(Snapshot))
	before := e.Tick()
	n := e.Begin(nil)
	if e.Tick() == before || !e.Stale() {
		t.Error("the entry does not show that a definition is under way")
	}
	e.Store(e.Ask(now), new(Snapshot)) // the question may have been asked before the definition took effect
	if !e.Stale() {
		t.Error("an answer to a question asked during the definition counts after it")
	}
	during := e.Tick()
	e.Changed()
	e.End(n)
	if e.Tick() == during || !e.Stale() {
		t.Error("the entry does not show that the definition has taken effect")
	}
	fresh, mine := e.Claim(now, time.Second, false)
	e.Store(fresh, new(Snapshot))
	if !mine || e.Stale() {
		t.Error("an answer to a question asked after the definition does not count")
	}
}

// TestWhoNeedsAnAnswerAsks checks that a session that needs an answer asks for it if no other session is asking.
// An answer to a question from before does not count.
func TestWhoNeedsAnAnswerAsks(t *testing.T) {
	e := NewShared().Entry("app")
	now := time.Unix(1000, 0)
	periodic, _ := e.Claim(now, time.Second, false)
	asks := e.Asks()
	if _, mine := e.Claim(now, time.Second, true); mine {
		t.Error("two sessions ask at the same time")
	}
	e.Store(periodic, new(Snapshot))
	if e.Answered(asks) {
		t.Error("an answer to a question from before counts")
	}
	needed, mine := e.Claim(now, time.Second, true)
	e.Store(needed, new(Snapshot))
	if !mine || !e.Answered(asks) {
		t.Error("Claim refuses a session that needs the answer")
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
		t.Error("a database whose answer is too long counts as known, or its statements may do more")
	}
	now = now.Add(settles)
	after, mine := e.Claim(now, time.Second, false)
	e.Store(after.Answered(now.Add(time.Second)), new(Snapshot))
	if !mine || e.Partial() {
		t.Error("Claim refuses, or the answer is not stored")
	}
	if e.Refresh(now); e.Due(now.Add(time.Second)) || !e.Due(now.Add(time.Second*(1+restFactor))) {
		t.Error("a question that took long is allowed again at once, or never")
	}
	if _, mine := e.Claim(now.Add(time.Second), time.Second, true); !mine {
		t.Error("Claim refuses a session that needs the answer")
	}
}
