package registry

import (
	"sync"
	"sync/atomic"
	"time"

	"pgherd/proxy/pool"
)

// admissionsLimit bounds the Targets whose Admission is known. Beyond it one is
// forgotten, and its servers are over.
const admissionsLimit = 10_000

// Admissions hold the state under which PostgreSQL lets each Target log in, by the latest
// answer of the primary. They are asked at log-ins and when servers are opened; the lock
// is never taken on the path of a query.
type Admissions struct {
	doubts atomic.Uint64 // how many statements may have changed something
	mutex  sync.Mutex
	known  map[pool.Target]*admitted
	gap
}

// gap is the time in which there is no primary to ask, and in which each standby's own answer
// counts for its servers.
type gap struct {
	lasts    bool
	answered map[pool.Key]*pool.Admission // by standbys that differ from the primary's last answer
}

// admitted is what is known of one Target.
type admitted struct {
	*pool.Admission
	loaded string // when the node read its configuration, as new servers say; "": not known
	Asking
	claim Asking // the latest question that somebody is about to ask; zero: none
}

// Asking says when a node was asked.
type Asking struct {
	Began  time.Time
	doubts uint64 // how many there were by then
}

// after says that the question is newer than another one.
func (a Asking) after(b Asking) bool {
	return a.doubts > b.doubts || a.doubts == b.doubts && a.Began.After(b.Began)
}

// Proved says that the Target's log-ins still depend on this state, by an answer that
// is new enough for a client that logs in now.
func (a *Admissions) Proved(target pool.Target, on *pool.Admission, now time.Time, period time.Duration) bool {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	it := a.known[target]
	return it != nil && it.Admission == on && it.doubts == a.doubts.Load() && (period == 0 || now.Sub(it.Began) < period)
}

// Claims chooses one of the clients that log in to ask. A claim without an answer becomes
// void after a while, and when something may have changed since.
func (a *Admissions) Claims(target pool.Target, at Asking) bool {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	it := a.known[target]
	if it == nil {
		return true
	}
	if it.claim.doubts == at.doubts && at.Began.Sub(it.claim.Began) < claimLimit {
		return false
	}
	it.claim = at
	return true
}

// claimLimit is how long others wait for the client that has claimed a question.
const claimLimit = time.Second

// Opened returns the state under which the primary has let a new server of the Target
// log in. ended is the state of the servers before it, if this ends it; otherwise nil.
func (a *Admissions) Opened(target pool.Target, f pool.Finding, at Asking) (its, ended *pool.Admission) {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	it := a.of(target)
	if it.Admission != nil && it.after(at) {
		return a.late(it, f), nil
	}
	// Each process notes for itself when it has read the files. Only new processes can
	// be compared, because they have the time from their parent.
	reloaded := it.loaded != "" && it.loaded != f.Loaded
	it.loaded = f.Loaded
	ended = it.admit(f, reloaded, at)
	return it.Admission, ended
}

// Asked notes the answer of a server that is not new; reloaded says that it has read
// the configuration again. It returns the state for new servers.
func (a *Admissions) Asked(target pool.Target, f pool.Finding, reloaded bool, at Asking) (newest, ended *pool.Admission) {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	it := a.of(target)
	if it.Admission == nil || !it.after(at) {
		if reloaded {
			it.loaded = ""
		}
		ended = it.admit(f, reloaded, at)
	}
	return it.Admission, ended
}

// Replayed is Opened for a standby, which may lag behind. An answer that differs from
// the primary's is over at once, and raises doubts about the primary's, unless there is no
// primary that could be asked.
func (a *Admissions) Replayed(key pool.Key, f pool.Finding) *pool.Admission {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	it := a.known[key.Target()]
	switch {
	case a.gap.lasts:
		return a.gap.replayed(key, it, f)
	case it == nil:
		return f.Admit(nil)
	}
	its := a.late(it, f)
	if its.Over() {
		a.doubts.Add(1)
	}
	return its
}

// replayed is the Admission by a standby's own answer. Servers of the same standby that have
// given the same answer share it. Another answer of this standby's is newer than the one before.
func (g *gap) replayed(key pool.Key, known *admitted, f pool.Finding) *pool.Admission {
	before := g.answered[key]
	its := f.Admit(before)
	if its == before {
		return its
	}
	before.End()
	delete(g.answered, key)
	if known != nil {
		if its = f.Admit(known.Admission); its == known.Admission {
			return its
		}
	}
	if len(g.answered) >= admissionsLimit {
		g.forget()
	}
	g.answered[key] = its
	return its
}

func (g *gap) forget() {
	for _, its := range g.answered {
		its.End()
	}
	clear(g.answered)
}

// Gap notes that there is no primary any more that could be asked, or that there is one again,
// which ends the gap. Then no answer of a standby's counts any more, and every log-in asks first.
func (a *Admissions) Gap(lasts bool) (changed bool) {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	if a.gap.lasts == lasts {
		return false
	}
	a.gap.forget()
	a.gap = gap{lasts, map[pool.Key]*pool.Admission{}}
	if !lasts {
		a.doubts.Add(1)
	}
	return true
}

// late is the Admission for an answer that is not the newest.
func (a *Admissions) late(it *admitted, f pool.Finding) *pool.Admission {
	its := f.Admit(it.Admission)
	if its != it.Admission {
		its.End()
	}
	return its
}

// of returns what is known of a Target, which it adds if need be.
func (a *Admissions) of(target pool.Target) *admitted {
	if it := a.known[target]; it != nil {
		return it
	}
	if a.known == nil {
		a.known = map[pool.Target]*admitted{}
	}
	if len(a.known) >= admissionsLimit {
		for other, it := range a.known { // any of them: maps iterate in random order
			it.Admission.End()
			delete(a.known, other)
			break
		}
	}
	it := new(admitted)
	a.known[target] = it
	return it
}

// admit notes an answer, which is the newest.
func (it *admitted) admit(f pool.Finding, reloaded bool, at Asking) (ended *pool.Admission) {
	before := it.Admission
	if reloaded {
		before.End()
	}
	it.Admission, it.Asking, it.claim = f.Admit(before), at, Asking{}
	if it.Admission == before {
		return nil
	}
	before.End()
	return before
}

// Doubt makes every log-in from now on ask first, because a statement may have changed
// what log-ins depend on.
func (a *Admissions) Doubt() { a.doubts.Add(1) }

// Ask is a question that is sent now.
func (a *Admissions) Ask(now time.Time) Asking { return Asking{now, a.doubts.Load()} }
