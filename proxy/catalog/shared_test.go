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
	e.Store(old, first) // better than nothing
	e.Changed()
	e.Store(old, second)
	if e.Snapshot() != first {
		t.Error("an answer from before the change was kept")
	}
	fresh, _ := e.Claim(now, time.Second)
	e.Store(fresh, second)
	if e.Snapshot() != second {
		t.Error("the answer was not kept")
	}
}

func TestOneEntryPerDatabase(t *testing.T) {
	s := NewShared()
	first, again, other := s.Entry("a"), s.Entry("a"), s.Entry("b")
	if first != again || first == other {
		t.Error("entries are mixed up")
	}
}
