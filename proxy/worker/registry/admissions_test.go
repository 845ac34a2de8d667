package registry

import (
	"fmt"
	"testing"
	"time"

	"pgherd/proxy/pool"
)

var (
	appKey    = pool.Target{Database: "app", User: "app"}.On(0)
	appTarget = appKey.Target()
	morning   = time.Unix(1_000_000_000, 0)
)

// at is when a question begins, in seconds.
func (a *Admissions) at(second int) Asking {
	return Asking{morning.Add(time.Duration(second) * time.Second), a.doubts.Load()}
}

func (a *Admissions) fresh(on *pool.Admission, second int, period time.Duration) bool {
	return a.Proved(appTarget, on, morning.Add(time.Duration(second)*time.Second), period)
}

func TestAdmissionsAreProvedForAWhile(t *testing.T) {
	var a Admissions
	f := pool.Finding{Whose: "1/2", State: "x", Loaded: "7"}
	on, changed := a.Opened(appTarget, f, a.at(0))
	if changed != nil || a.fresh(nil, 0, time.Minute) || !a.fresh(on, 59, time.Minute) || a.fresh(on, 60, time.Minute) || !a.fresh(on, 9999, 0) {
		t.Error("not proved, or for another time")
	}
	a.doubts.Add(1)
	if a.fresh(on, 1, time.Minute) || a.fresh(on, 1, 0) {
		t.Error("still proved, after a statement that may have changed it")
	}
	if newest, changed := a.Asked(appTarget, f, false, a.at(2)); newest != on || changed != nil || !a.fresh(on, 3, time.Minute) {
		t.Error("not proved by an answer")
	}
}

// TestAnAnswerIsAsOldAsItsQuestion: what was asked before a change proves nothing after it.
func TestAnAnswerIsAsOldAsItsQuestion(t *testing.T) {
	var a Admissions
	f := pool.Finding{Whose: "1/2", State: "x"}
	on, _ := a.Opened(appTarget, f, a.at(0))
	early := a.at(1)
	a.doubts.Add(1)
	if a.Asked(appTarget, f, false, early); a.fresh(on, 1, time.Minute) {
		t.Error("proved by a question that was asked before the change")
	}
	later, _ := a.Asked(appTarget, pool.Finding{Whose: "1/2", State: "y"}, false, a.at(2))
	if newest, changed := a.Asked(appTarget, f, false, early); newest != later || changed != nil || later.Over() || !on.Over() {
		t.Error("an old answer counts for more than a newer one")
	}
	if late, changed := a.Opened(appTarget, f, early); !late.Over() || changed != nil || later.Over() {
		t.Error("a server that was let in before the change counts as one after it")
	}
}

func TestWhatChangesIsOver(t *testing.T) {
	f := pool.Finding{Whose: "1/2", State: "x", Loaded: "7"}
	for name, change := range map[string]func(a *Admissions) *pool.Admission{
		"a new server says so": func(a *Admissions) *pool.Admission {
			on, _ := a.Opened(appTarget, pool.Finding{Whose: "1/2", State: "y", Loaded: "7"}, a.at(1))
			return on
		},
		"the name is another role's": func(a *Admissions) *pool.Admission {
			on, _ := a.Opened(appTarget, pool.Finding{Whose: "3/2", State: "x", Loaded: "7"}, a.at(1))
			return on
		},
		"the configuration was read anew": func(a *Admissions) *pool.Admission {
			on, _ := a.Opened(appTarget, pool.Finding{Whose: "1/2", State: "x", Loaded: "8"}, a.at(1))
			return on
		},
		"an old server says so": func(a *Admissions) *pool.Admission {
			on, _ := a.Asked(appTarget, pool.Finding{}, false, a.at(1))
			return on
		},
		"an old server has read it anew": func(a *Admissions) *pool.Admission { on, _ := a.Asked(appTarget, f, true, a.at(1)); return on },
	} {
		var a Admissions
		on, _ := a.Opened(appTarget, f, a.at(0))
		other, _ := a.Opened(pool.Target{User: "another"}, f, a.at(0))
		if next := change(&a); !on.Over() || next.Over() || next == on || other.Over() {
			t.Errorf("%s: over %v, next over %v, another's over %v", name, on.Over(), next.Over(), other.Over())
		}
	}
}

// TestReloadIsNoticedOnce: each process has its own idea of when the configuration was read.
func TestReloadIsNoticedOnce(t *testing.T) {
	var a Admissions
	says := func(loaded string) pool.Finding { return pool.Finding{Whose: "1/2", State: "x", Loaded: loaded} }
	a.Opened(appTarget, says("7"), a.at(0))
	after, _ := a.Asked(appTarget, says("8.1"), true, a.at(1))
	if next, changed := a.Opened(appTarget, says("8"), a.at(2)); next != after || changed != nil {
		t.Error("the first server after the reload ends what was learnt from an older one")
	}
	if next, changed := a.Opened(appTarget, says("9"), a.at(3)); next == after || changed == nil {
		t.Error("the next reload is not noticed")
	}
}

func TestStandbyThatIsBehind(t *testing.T) {
	var a Admissions
	old, now := pool.Finding{Whose: "1/2", State: "x"}, pool.Finding{Whose: "1/2", State: "y"}
	if on := a.Replayed(appTarget, old); on.Over() {
		t.Error("over, before the primary was asked")
	}
	primary, _ := a.Opened(appTarget, now, a.at(0))
	if on := a.Replayed(appTarget, now); on != primary {
		t.Error("a standby that is as far has another admission")
	}
	if on := a.Replayed(appTarget, old); !on.Over() || primary.Over() {
		t.Error("a server of a standby that is behind is for clients that have come since")
	}
	if a.fresh(primary, 0, time.Minute) {
		t.Error("the primary is not asked, which may be what has changed")
	}
}

func TestAdmissionsAreLimited(t *testing.T) {
	var a Admissions
	var all []*pool.Admission
	for i := range admissionsLimit + 5 {
		on, _ := a.Opened(pool.Target{User: fmt.Sprint(i)}, pool.Finding{Whose: "1/2"}, a.at(i))
		all = append(all, on)
	}
	over := 0
	for _, on := range all {
		if on.Over() {
			over++
		}
	}
	if len(a.known) != admissionsLimit || over != 5 {
		t.Errorf("%d are known, %d over", len(a.known), over)
	}
}

// TestOneAsksForAll who log in at once.
func TestOneAsksForAll(t *testing.T) {
	var a Admissions
	f := pool.Finding{Whose: "1/2", State: "x"}
	for range 2 {
		if !a.Claims(appTarget, a.at(0)) {
			t.Error("the first log-ins of all wait for each other")
		}
	}
	a.Opened(appTarget, f, a.at(0))
	if !a.Claims(appTarget, a.at(1)) || a.Claims(appTarget, a.at(1)) {
		t.Error("none asks, or two do")
	}
	a.doubts.Add(1)
	if !a.Claims(appTarget, a.at(1)) {
		t.Error("they wait for an answer that is too old")
	}
	a.Asked(appTarget, f, false, a.at(1))
	if !a.Claims(appTarget, a.at(1)) || !a.Claims(appTarget, a.at(2)) {
		t.Error("they wait for nobody")
	}
}
