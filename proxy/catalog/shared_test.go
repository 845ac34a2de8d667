package catalog

import (
	"testing"
	"time"
)

func TestOneAsksEachPeriod(t *testing.T) {
	e := NewShared().Entry("app")
	now := time.Unix(1000, 0)
	if _, mine := e.Claim(now, time.Second); !mine {
		t.Error("nobody asks first")
	}
	if _, mine := e.Claim(now.Add(time.Second-1), time.Second); mine {
		t.Error("asked again too soon")
	}
	if _, mine := e.Claim(now.Add(time.Second), time.Second); !mine {
		t.Error("not asked again")
	}
	e.Changed()
	if _, mine := e.Claim(now.Add(time.Second), time.Second); !mine {
		t.Error("a change is not asked for")
	}
}

func TestAnswerFromBeforeAChangeIsOld(t *testing.T) {
	e := NewShared().Entry("app")
	now := time.Unix(1000, 0)
	first, second := new(Snapshot), new(Snapshot)
	old, _ := e.Claim(now, time.Second)
	e.Changed()
	e.Store(old, first) // better than nothing
	if e.Snapshot() != first || !e.Stale() || !e.Known() {
		t.Error("it is not known, or not known to be old")
	}
	fresh, mine := e.Claim(now, time.Second)
	if !mine {
		t.Error("nobody asks again")
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
		ticket, mine := e.Claim(now, time.Second)
		if !mine || e.Known() {
			t.Fatal("it is not asked again")
		}
		e.Failed(ticket)
	}
	if !e.Known() || e.Snapshot() != nil {
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
