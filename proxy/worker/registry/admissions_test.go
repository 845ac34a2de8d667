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

// at is the beginning of a question that is asked in this second.
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
		t.Error("a new server's Admission is not proved, or not for this period")
	}
	a.doubts.Add(1)
	if a.fresh(on, 1, time.Minute) || a.fresh(on, 1, 0) {
		t.Error("the Admission is still proved after a statement that may have changed it")
	}
	if newest, changed := a.Asked(appTarget, f, false, a.at(2)); newest != on || changed != nil || !a.fresh(on, 3, time.Minute) {
		t.Error("an answer does not prove the Admission")
	}
}

// TestAnAnswerIsAsOldAsItsQuestion checks that an answer to a question that was asked before a change
// proves nothing after the change.
func TestAnAnswerIsAsOldAsItsQuestion(t *testing.T) {
	var a Admissions
	f := pool.Finding{Whose: "1/2", State: "x"}
	on, _ := a.Opened(appTarget, f, a.at(0))
	early := a.at(1)
	a.doubts.Add(1)
	if a.Asked(appTarget, f, false, early); a.fresh(on, 1, time.Minute) {
		t.Error("an answer to a question from before the change proves the Admission")
	}
	later, _ := a.Asked(appTarget, pool.Finding{Whose: "1/2", State: "y"}, false, a.at(2))
	if newest, changed := a.Asked(appTarget, f, false, early); newest != later || changed != nil || later.Over() || !on.Over() {
		t.Error("an old answer replaces a newer one")
	}
	if late, changed := a.Opened(appTarget, f, early); !late.Over() || changed != nil || later.Over() {
		t.Error("a server that was let in before the change counts as let in after it")
	}
}

func TestWhatChangesIsOver(t *testing.T) {
	f := pool.Finding{Whose: "1/2", State: "x", Loaded: "7"}
	for name, change := range map[string]func(a *Admissions) *pool.Admission{
		"a new server reports another state": func(a *Admissions) *pool.Admission {
			on, _ := a.Opened(appTarget, pool.Finding{Whose: "1/2", State: "y", Loaded: "7"}, a.at(1))
			return on
		},
		"another role has the name": func(a *Admissions) *pool.Admission {
			on, _ := a.Opened(appTarget, pool.Finding{Whose: "3/2", State: "x", Loaded: "7"}, a.at(1))
			return on
		},
		"the configuration was read again": func(a *Admissions) *pool.Admission {
			on, _ := a.Opened(appTarget, pool.Finding{Whose: "1/2", State: "x", Loaded: "8"}, a.at(1))
			return on
		},
		"an old server reports another state": func(a *Admissions) *pool.Admission {
			on, _ := a.Asked(appTarget, pool.Finding{}, false, a.at(1))
			return on
		},
		"an old server has read the configuration again": func(a *Admissions) *pool.Admission { on, _ := a.Asked(appTarget, f, true, a.at(1)); return on },
	} {
		var a Admissions
		on, _ := a.Opened(appTarget, f, a.at(0))
		other, _ := a.Opened(pool.Target{User: "another"}, f, a.at(0))
		if next := change(&a); !on.Over() || next.Over() || next == on || other.Over() {
			t.Errorf("%s: the Admission is over: %v, want true; the next one: %v, another user's: %v, want false", name, on.Over(), next.Over(), other.Over())
		}
	}
}

// TestReloadIsNoticedOnce checks that a reload ends Admissions once, although each server process
// reports its own time at which it read the configuration.
func TestReloadIsNoticedOnce(t *testing.T) {
	var a Admissions
	says := func(loaded string) pool.Finding { return pool.Finding{Whose: "1/2", State: "x", Loaded: loaded} }
	a.Opened(appTarget, says("7"), a.at(0))
	after, _ := a.Asked(appTarget, says("8.1"), true, a.at(1))
	if next, changed := a.Opened(appTarget, says("8"), a.at(2)); next != after || changed != nil {
		t.Error("the first server opened after the reload ends the Admission that an older server reported after it")
	}
	if next, changed := a.Opened(appTarget, says("9"), a.at(3)); next == after || changed == nil {
		t.Error("the next reload changes no Admission")
	}
}

func TestStandbyThatIsBehind(t *testing.T) {
	var a Admissions
	old, now := pool.Finding{Whose: "1/2", State: "x"}, pool.Finding{Whose: "1/2", State: "y"}
	if on := a.Replayed(appTarget, old); on.Over() {
		t.Error("the Admission of a standby's server is over before the primary was asked")
	}
	primary, _ := a.Opened(appTarget, now, a.at(0))
	if on := a.Replayed(appTarget, now); on != primary {
		t.Error("a standby that has replayed the change has another Admission than the primary")
	}
	if on := a.Replayed(appTarget, old); !on.Over() || primary.Over() {
		t.Error("the Admission of a standby that is behind is not over, or the primary's is")
	}
	if a.fresh(primary, 0, time.Minute) {
		t.Error("the primary's Admission is still proved, but the primary may be what has changed")
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
		t.Errorf("%d Admissions are known, %d are over", len(a.known), over)
	}
}

// TestOneAsksForAll checks that of several simultaneous log-ins one asks PostgreSQL for all.
func TestOneAsksForAll(t *testing.T) {
	var a Admissions
	f := pool.Finding{Whose: "1/2", State: "x"}
	for range 2 {
		if !a.Claims(appTarget, a.at(0)) {
			t.Error("a log-in waits for another one before any Admission is known")
		}
	}
	a.Opened(appTarget, f, a.at(0))
	if !a.Claims(appTarget, a.at(1)) || a.Claims(appTarget, a.at(1)) {
		t.Error("want one of two log-ins to ask")
	}
	a.doubts.Add(1)
	if !a.Claims(appTarget, a.at(1)) {
		t.Error("a log-in waits for an answer to a question from before the doubt")
	}
	a.Asked(appTarget, f, false, a.at(1))
	if !a.Claims(appTarget, a.at(1)) || !a.Claims(appTarget, a.at(2)) {
		t.Error("a log-in waits although no question is under way")
	}
}
