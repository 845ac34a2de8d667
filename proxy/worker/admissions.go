package worker

import (
	"pgherd/proxy/pool"
	"pgherd/proxy/worker/registry"
)

// Doubt makes every log-in from now on ask PostgreSQL first, because a statement may
// have changed what log-ins depend on.
func (ws *Workers) Doubt() {
	ws.admissions.Doubt()
	ws.doubted()
}

func (ws *Workers) doubted() {
	if tell := ws.all[0].env.Doubted; tell != nil {
		tell()
	}
}

// asks is a question that is sent now.
func (w *Worker) asks() registry.Asking { return w.workers.admissions.Ask(w.now) }

// admit notes the state under which a new server logged in.
func (w *Worker) admit(s *pool.Server, f pool.Finding, at registry.Asking) {
	target := s.Key.Target()
	if target.Replication {
		return
	}
	s.Loaded = f.Loaded
	if w.replays(s) {
		s.Admission = w.workers.admissions.Replayed(s.Key, f)
		return
	}
	var ended *pool.Admission
	s.Admission, ended = w.workers.admissions.Opened(target, f, at)
	w.changed(target, s.Admission, ended)
}

// replays says that a server's node is not the primary.
func (w *Worker) replays(s *pool.Server) bool {
	primary := w.workers.nodes.Load().Primary()
	return primary == nil || primary.Index != s.Key.Node
}

// gap notes that there is no primary any more that could be asked about log-ins, or that there
// is one again. What standbys have said meanwhile, also about passwords, does not count then.
func (ws *Workers) gap(lasts bool) {
	if !ws.admissions.Gap(lasts) {
		return
	}
	if !lasts && ws.started.Load() {
		ws.doubted()
		ws.endOutdated()
	}
	ws.gaps.Add(1)
}

// Gaps counts the beginnings and ends of gaps, in which there is no primary to ask, or none that is certain, for lack of a
// licence. It is odd as long as what anybody is told of log-ins may come from a standby, or from a node that is the primary no more.
func (ws *Workers) Gaps() uint64 {
	licensed := ws.Licensed() // first: a licence that is seen here has been counted
	count := ws.gaps.Load() + 2*ws.lapses.Load()
	if !licensed {
		count |= 1
	}
	return count
}

// changed acts on a change of what log-ins depend on; ended is nil if there is none. The
// database may be another by the same name.
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
	return t.w.workers.admissions.Proved(target, on, t.w.now, t.w.set.Session.LoginCheck)
}

func (t *task) Claim(target pool.Target) bool {
	return t.w.workers.admissions.Claims(target, t.w.asks())
}

func (t *task) Doubt() { t.w.workers.Doubt() }

// Vouch returns a function that notes the answer to a question which is sent now. A standby's
// answer ends nothing but the use of its own server.
func (t *task) Vouch(s *pool.Server) func(pool.Finding) (holds bool) {
	if t.w.replays(s) {
		return func(f pool.Finding) bool {
			return f.Loaded == s.Loaded && t.w.workers.admissions.Replayed(s.Key, f) == s.Admission && !s.Admission.Over()
		}
	}
	at := t.w.asks()
	return func(f pool.Finding) bool {
		reloaded := f.Loaded != s.Loaded
		s.Loaded = f.Loaded
		newest, ended := t.w.workers.admissions.Asked(s.Key.Target(), f, reloaded, at)
		if s.Admission != newest {
			s.Admission.End()
		}
		t.w.changed(s.Key.Target(), newest, ended)
		return !s.Admission.Over()
	}
}
