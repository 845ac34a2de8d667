package session

import (
	"slices"

	"pgherd/proxy/catalog"
	"pgherd/proxy/expect"
	"pgherd/proxy/pool"
	"pgherd/proxy/query"
	"pgherd/proxy/wire"
)

// basis is what a request is judged by. It may wait for a server, and run for long,
// while other sessions change what its functions and tables do.
type basis struct {
	script *query.Script // nil: it has none that could be judged once more
	known  *catalog.Snapshot
	tick   uint64
}

// present is what a request would be judged by now.
func (s *Session) present() basis {
	if s.entry == nil {
		return basis{}
	}
	return basis{known: s.entry.Snapshot(), tick: s.entry.Tick()}
}

// overtaken says that the request at hand may meet definitions that its judgement
// does not know.
func (s *Session) overtaken() bool {
	return s.entry != nil && (s.entry.Stale() || s.entry.Tick() != s.basis.tick || s.entry.Snapshot() != s.basis.known)
}

// redo is what may have to be judged once more.
type redo struct {
	ran     []*query.Script // since the server came, judged at tick or later
	tick    uint64
	later   []*query.Script // those whose judgement is known not to hold
	asks    uint64          // questions for the catalog so far, when the last of these had run
	counted bool            // they were counted
	opaque  bool            // what cannot be judged once more has run, too
}

// redoLimit bounds the scripts that are judged a second time.
const redoLimit = 100

// note takes down a script that runs, judged at a tick.
func (r *redo) note(script *query.Script, tick uint64) {
	switch n := len(r.ran); {
	case script == nil || n > 0 && r.ran[n-1] == script || slices.Contains(r.ran, script):
	case n >= redoLimit:
		r.opaque = true
	default:
		if n == 0 {
			r.tick = tick
		}
		r.ran = append(r.ran, script)
	}
}

// overtake has all that ran judged once more. Not ok: that is not possible.
func (r *redo) overtake() (ok bool) {
	for _, script := range r.ran {
		if !slices.Contains(r.later, script) {
			r.later, r.counted = append(r.later, script), false
		}
	}
	ok = !r.opaque && len(r.later) <= 2*redoLimit
	*r = redo{ran: r.ran[:0], later: r.later, asks: r.asks, counted: r.counted}
	return ok
}

// noteRun takes down what the request at hand will do, as far as definitions may
// change it.
func (s *Session) noteRun(e *Effect) {
	r := &s.follow.redo
	if s.entry == nil {
		return
	}
	r.note(s.basis.script, s.basis.tick)
	r.opaque = r.opaque || len(e.Runs) > 0
	if s.follow.defined || e.Defines || s.overtaken() {
		s.judgeLater()
	}
}

// misjudged says that something has run that is to be judged once more.
func (s *Session) misjudged() bool {
	r := &s.follow.redo
	return len(r.later) > 0 || len(r.ran) > 0 && s.entry.Tick() != r.tick
}

// judgeLater has all that has run judged again once it is known under what.
func (s *Session) judgeLater() {
	if !s.follow.redo.overtake() {
		s.follow.keep("more was done while definitions changed than can be judged again")
	}
}

// judgeAgain judges what has run once more, if definitions may have changed
// meanwhile. Not done: what it ran under is not known yet.
func (s *Session) judgeAgain() (done bool) {
	f := &s.follow
	r := &f.redo
	if s.entry == nil {
		return true
	}
	if len(r.ran) > 0 && s.entry.Tick() != r.tick {
		s.judgeLater()
	}
	switch {
	case s.state == Closing && (f.defined || len(r.later) > 0), s.away && len(r.later) > 0:
		f.unsure = true // it is asked, or reset, and in the end closed if a standby's
		if s.away {
			s.server.Retire(s.loop.Now())
		}
	case s.awaitsCatalog():
		s.recheck = s.loop.Now().Add(recheckEvery)
		return false
	default:
		for _, script := range r.later {
			e := effectOf(script, s.judge())
			f.keep(e.Keep)
			f.unsure = f.unsure || e.Ask
		}
	}
	*r = redo{ran: r.ran[:0]}
	return true
}

// awaitsCatalog says that what has run cannot be judged before another answer about
// the catalog has come, to a question that was asked after it.
func (s *Session) awaitsCatalog() bool {
	r := &s.follow.redo
	if len(r.later) == 0 {
		return false
	}
	if !r.counted {
		r.asks, r.counted = s.entry.Asks(), true
	}
	return s.entry.Stale() && !s.entry.Answered(r.asks)
}

// announce tells other sessions, before the request at hand is sent, that with it
// definitions of the open transaction may take effect.
func (s *Session) announce(kind wire.Kind) {
	f := &s.follow
	if f.defined && !f.announced && s.entry != nil && s.mayCommit(kind) {
		f.announced = true
		s.entry.Begin()
	}
}

// mayCommit says that the open transaction may end with the request at hand, and not
// by a ROLLBACK.
func (s *Session) mayCommit(kind wire.Kind) bool {
	runs := kind == wire.Query || kind == wire.Bind
	return s.status != wire.InTransaction || s.expect.Settling() || runs && s.basis.script.Commits()
}

// tellDefinitions tells other sessions, before the client hears of it, that what was
// announced may have taken effect.
func (s *Session) tellDefinitions() {
	if s.follow.announced {
		s.entry.Changed()
	}
}

// endDefinitions: a ReadyForQuery has come.
func (s *Session) endDefinitions() {
	f := &s.follow
	if s.whose != expect.Forward && s.whose != expect.Instead {
		return
	}
	if f.announced && s.status == wire.Idle {
		s.entry.Changed()
	}
	if s.expect.SettlingBehind() {
		return
	}
	if f.announced {
		s.entry.End()
	}
	f.announced, f.defined = false, f.defined && s.status != wire.Idle
}

// leaveDefinitions: the session parts with its server. What was announced may take
// effect until that has ended.
func (s *Session) leaveDefinitions(server *pool.Server) {
	if entry := s.entry; s.follow.announced {
		server.Closed = func() {
			entry.Changed()
			entry.End()
		}
	}
	s.follow.announced, s.follow.defined = false, false
}
