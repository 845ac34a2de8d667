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
	if on := a.Replayed(appKey, old); on.Over() {
		t.Error("the Admission of a standby's server is over before the primary was asked")
	}
	primary, _ := a.Opened(appTarget, now, a.at(0))
	if on := a.Replayed(appKey, now); on != primary {
		t.Error("a standby that has replayed the change has another Admission than the primary")
	}
	if on := a.Replayed(appKey, old); !on.Over() || primary.Over() {
		t.Error("the Admission of a standby that is behind is not over, or the primary's is")
	}
	if a.fresh(primary, 0, time.Minute) {
		t.Error("the primary's Admission is still proved, but the primary may be what has changed")
	}
}

// TestStandbysAnswerInAGap checks that while there is no primary each standby's own answer counts for its servers, beside the
// primary's last one, and that no such answer counts once there is a primary again.
func TestStandbysAnswerInAGap(t *testing.T) {
	var a Admissions
	one, two := appTarget.On(1), appTarget.On(2)
	before, behind, ahead := pool.Finding{Whose: "1/2", State: "x"}, pool.Finding{Whose: "1/2", State: "w"}, pool.Finding{Whose: "1/2", State: "y"}
	primary, _ := a.Opened(appTarget, before, a.at(0))
	if a.Gap(false) || !a.Gap(true) || a.Gap(true) || !a.fresh(primary, 1, time.Minute) {
		t.Error("the beginning of a gap is not noticed once, or ends what the primary has said last")
	}
	if a.Replayed(one, before) != primary {
		t.Error("a standby that answers like the primary has an Admission of its own")
	}
	late, early := a.Replayed(one, behind), a.Replayed(two, ahead)
	if late.Over() || early.Over() || primary.Over() || late == early {
		t.Error("the answers of two standbys, or the primary's last one, exclude each other")
	}
	if a.Replayed(one, behind) != late {
		t.Error("servers of one standby that answer alike do not share an Admission")
	}
	if a.Replayed(one, before) != primary || !late.Over() {
		t.Error("a standby that has replayed a change still lets in as before")
	}
	if stranger := a.Replayed(pool.Target{User: "stranger"}.On(1), behind); stranger.Over() {
		t.Error("a standby does not let in whom the primary was never asked about")
	}
	if !a.Gap(false) || !early.Over() || primary.Over() || a.fresh(primary, 0, 0) {
		t.Error("after the gap a standby's answer still counts, or the primary need not be asked")
	}
	if on := a.Replayed(one, behind); !on.Over() {
		t.Error("after the gap a standby decides against the primary")
	}
}

func TestAnswersInAGapAreLimited(t *testing.T) {
	var a Admissions
	a.Gap(true)
	first := a.Replayed(pool.Target{User: "first"}.On(1), pool.Finding{Whose: "1/2"})
	for i := range admissionsLimit + 5 {
		a.Replayed(pool.Target{User: fmt.Sprint(i)}.On(1), pool.Finding{Whose: "1/2"})
	}
	if len(a.answered) > admissionsLimit || !first.Over() {
		t.Errorf("%d answers are kept, and the first is over: %v", len(a.answered), first.Over())
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
