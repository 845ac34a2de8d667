package registry

import (
	"sync"
	"sync/atomic"
	"time"

	"pgherd/proxy/pool"
)

// admissionsLimit bounds the Targets of which it is known what their log-ins stand
// on; past it one is forgotten, and its servers are over.
const admissionsLimit = 10_000

// Admissions are what PostgreSQL lets the log-ins of each Target in on, by what the
// primary has said last. Whoever logs in, or opens a server, asks; the lock is not on the
// path of a query.
type Admissions struct {
	doubts atomic.Uint64 // statements that may have changed something
	mutex  sync.Mutex
	known  map[pool.Target]*admitted
}

// admitted is what is known of one Target.
type admitted struct {
	*pool.Admission
	loaded string // when the node has read its configuration, as new servers say; "": not known
	Asking
	claim Asking // the latest question that somebody is about to ask; zero: nobody is
}

// Asking is when a node was asked.
type Asking struct {
	Began  time.Time
	doubts uint64 // that there were by then
}

// after says that the question is newer than another one.
func (a Asking) after(b Asking) bool {
	return a.doubts > b.doubts || a.doubts == b.doubts && a.Began.After(b.Began)
}

// Proved says that the Target's log-ins stand on this, by an answer that is new enough
// for who logs in now.
func (a *Admissions) Proved(target pool.Target, on *pool.Admission, now time.Time, period time.Duration) bool {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	it := a.known[target]
	return it != nil && it.Admission == on && it.doubts == a.doubts.Load() && (period == 0 || now.Sub(it.Began) < period)
}

// Claims has one of those who log in ask. A claim without an answer is void after a while,
// and when something may have changed since.
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

// claimLimit is how long others wait for who has claimed a question.
const claimLimit = time.Second

// Opened is what the primary has let a new server of the Target in on. ended is what the
// servers before it were let in on, if that is over by this; else nil.
func (a *Admissions) Opened(target pool.Target, f pool.Finding, at Asking) (its, ended *pool.Admission) {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	it := a.of(target)
	if it.Admission != nil && it.after(at) {
		return a.late(it, f), nil
	}
	// Each process notes for itself when it has read the files: only new ones, which
	// have the time from their parent, can be compared.
	reloaded := it.loaded != "" && it.loaded != f.Loaded
	it.loaded = f.Loaded
	ended = it.admit(f, reloaded, at)
	return it.Admission, ended
}

// Asked notes what a server that has been there before says now; reloaded: it has read
// the configuration anew. It returns what new servers are let in on.
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

// Replayed is opened for a standby, which may be behind: what it says differently
// from the primary is over at once, and the primary in doubt.
func (a *Admissions) Replayed(target pool.Target, f pool.Finding) *pool.Admission {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	it := a.known[target]
	if it == nil {
		return f.Admit(nil)
	}
	its := a.late(it, f)
	if its.Over() {
		a.doubts.Add(1)
	}
	return its
}

// late is what somebody was let in on whose answer is not the newest.
func (a *Admissions) late(it *admitted, f pool.Finding) *pool.Admission {
	its := f.Admit(it.Admission)
	if its != it.Admission {
		its.End()
	}
	return its
}

// of finds a Target's, or begins one.
func (a *Admissions) of(target pool.Target) *admitted {
	if it := a.known[target]; it != nil {
		return it
	}
	if a.known == nil {
		a.known = map[pool.Target]*admitted{}
	}
	if len(a.known) >= admissionsLimit {
		for other, it := range a.known { // any: maps begin anywhere
			it.Admission.End()
			delete(a.known, other)
			break
		}
	}
	it := new(admitted)
	a.known[target] = it
	return it
}

// admit notes an answer, the newest.
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

// Doubt has whoever logs in from now on ask first: a statement may have changed what
// log-ins stand on.
func (a *Admissions) Doubt() { a.doubts.Add(1) }

// Ask is when a question begins that is sent now.
func (a *Admissions) Ask(now time.Time) Asking { return Asking{now, a.doubts.Load()} }
