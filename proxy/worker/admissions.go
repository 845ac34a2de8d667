package worker

import (
	"sync"
	"sync/atomic"
	"time"

	"pgherd/proxy/pool"
)

// admissionsLimit bounds the Targets of which it is known what their log-ins stand
// on; past it one is forgotten, and its servers are over.
const admissionsLimit = 10_000

// admissions are what PostgreSQL lets the log-ins of each Target in on, by what the
// primary has said last. Whoever logs in, or opens a server, asks; the lock is not on the
// path of a query.
type admissions struct {
	doubts atomic.Uint64 // statements that may have changed something
	mutex  sync.Mutex
	known  map[pool.Target]*admitted
}

// admitted is what is known of one Target.
type admitted struct {
	*pool.Admission
	loaded string // when the node has read its configuration, as new servers say; "": not known
	asking
	claim asking // the latest question that somebody is about to ask; zero: nobody is
}

// asking is when a node was asked.
type asking struct {
	began  time.Time
	doubts uint64 // that there were by then
}

// after says that the question is newer than another one.
func (a asking) after(b asking) bool {
	return a.doubts > b.doubts || a.doubts == b.doubts && a.began.After(b.began)
}

// proved says that the Target's log-ins stand on this, by an answer that is new enough
// for who logs in now.
func (a *admissions) proved(target pool.Target, on *pool.Admission, now time.Time, period time.Duration) bool {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	it := a.known[target]
	return it != nil && it.Admission == on && it.doubts == a.doubts.Load() && (period == 0 || now.Sub(it.began) < period)
}

// claims has one of those who log in ask. A claim without an answer is void after a while,
// and when something may have changed since.
func (a *admissions) claims(target pool.Target, at asking) bool {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	it := a.known[target]
	if it == nil {
		return true
	}
	if it.claim.doubts == at.doubts && at.began.Sub(it.claim.began) < claimLimit {
		return false
	}
	it.claim = at
	return true
}

// claimLimit is how long others wait for who has claimed a question.
const claimLimit = time.Second

// opened is what the primary has let a new server of the Target in on. ended is what the
// servers before it were let in on, if that is over by this; else nil.
func (a *admissions) opened(target pool.Target, f pool.Finding, at asking) (its, ended *pool.Admission) {
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

// asked notes what a server that has been there before says now; reloaded: it has read
// the configuration anew. It returns what new servers are let in on.
func (a *admissions) asked(target pool.Target, f pool.Finding, reloaded bool, at asking) (newest, ended *pool.Admission) {
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

// replayed is opened for a standby, which may be behind: what it says differently
// from the primary is over at once, and the primary in doubt.
func (a *admissions) replayed(target pool.Target, f pool.Finding) *pool.Admission {
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
func (a *admissions) late(it *admitted, f pool.Finding) *pool.Admission {
	its := f.Admit(it.Admission)
	if its != it.Admission {
		its.End()
	}
	return its
}

// of finds a Target's, or begins one.
func (a *admissions) of(target pool.Target) *admitted {
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
func (it *admitted) admit(f pool.Finding, reloaded bool, at asking) (ended *pool.Admission) {
	before := it.Admission
	if reloaded {
		before.End()
	}
	it.Admission, it.asking, it.claim = f.Admit(before), at, asking{}
	if it.Admission == before {
		return nil
	}
	before.End()
	return before
}

// Doubt has whoever logs in from now on ask first: a statement may have changed what
// log-ins stand on.
func (ws *Workers) Doubt() {
	ws.admissions.doubts.Add(1)
	ws.doubted()
}

func (ws *Workers) doubted() {
	if tell := ws.all[0].env.Doubted; tell != nil {
		tell()
	}
}

// asks is when a question begins that is sent now.
func (w *Worker) asks() asking { return asking{w.now, w.workers.admissions.doubts.Load()} }

// admit notes what a new server was let in on.
func (w *Worker) admit(s *pool.Server, f pool.Finding, at asking) {
	target := s.Key.Target()
	if target.Replication {
		return
	}
	s.Loaded = f.Loaded
	if primary := w.workers.nodes.Load().Primary(); primary == nil || primary.Index != s.Key.Node {
		s.Admission = w.workers.admissions.replayed(target, f)
		return
	}
	var ended *pool.Admission
	s.Admission, ended = w.workers.admissions.opened(target, f, at)
	w.changed(target, s.Admission, ended)
}

// changed: it has turned out that what log-ins stand on has changed, unless ended is nil.
// The database may be another by the same name.
func (w *Worker) changed(target pool.Target, now, ended *pool.Admission) {
	if ended == nil {
		return
	}
	if catalogs := w.set.Session.Catalogs; catalogs != nil && now.Whose != ended.Whose {
		catalogs.Entry(target.Database).Changed()
	}
	w.workers.doubted()
	w.workers.endOutdated()
}

// endOutdated closes the idle servers whose Admission is over.
func (ws *Workers) endOutdated() {
	ws.each(func(w *Worker) {
		for _, s := range w.idle.All() {
			if s.Admission.Over() {
				w.idle.Remove(s)
				w.discard(s)
			}
		}
	})
}

func (t *task) Proved(target pool.Target, on *pool.Admission) bool {
	return t.w.workers.admissions.proved(target, on, t.w.now, t.w.set.Session.LoginCheck)
}

func (t *task) Claim(target pool.Target) bool {
	return t.w.workers.admissions.claims(target, t.w.asks())
}

func (t *task) Doubt() { t.w.workers.Doubt() }

// Vouch returns what notes the answer to a question that begins now.
func (t *task) Vouch(s *pool.Server) func(pool.Finding) {
	at := t.w.asks()
	return func(f pool.Finding) {
		reloaded := f.Loaded != s.Loaded
		s.Loaded = f.Loaded
		newest, ended := t.w.workers.admissions.asked(s.Key.Target(), f, reloaded, at)
		if s.Admission != newest {
			s.Admission.End()
		}
		t.w.changed(s.Key.Target(), newest, ended)
	}
}
