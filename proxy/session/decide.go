package session

import (
	"pgherd/proxy/query"
	"pgherd/proxy/route"
	"pgherd/proxy/wire"
)

// decide applies the rules of package route to the request at hand, whose effect is known.
func (s *placement) decide(r *route.Request) route.Decision {
	r.Session = s.standing(r)
	d := route.Place(r, &s.set.Routing.Rules)
	if d.Where == route.Process { // a signal leaves nothing in the session
		s.upcoming = nil
	}
	return d
}

// standing is what the rules look at in the session. A session with a server of the primary
// stays on it, unless it signals a process, so the rules then look at nothing else.
func (s *placement) standing(r *route.Request) (t route.Session) {
	switch {
	case s.server != nil && !s.away:
		t.Server = route.OfPrimary
	case s.server != nil:
		t.Server = route.OfStandby
	}
	if t.Server == route.OfPrimary && !r.Elsewhere {
		return t
	}
	switch {
	case s.expect.Skipping:
		t.State = route.Skipping
	case s.failed():
		t.State = route.Stuck
	}
	t.Transaction = s.open()
	t.Wrote = route.Wrote{Now: s.wrote, InBlock: s.blocks, Ever: s.ever}
	t.Pin, t.Uncertain = s.tracker.Pinned(), !s.tracker.Certain()
	t.Outdated = s.overtaken() || s.entry.Due(s.loop.Now()) && !s.loop.Nodes().Headless() // without a primary nobody could tell
	t.Changes = s.upcoming != nil && !s.upcoming.Moves()
	return t
}

// open is what the rules look at in the transaction to which a request will belong.
func (s *placement) open() route.Block {
	t := route.Block{Open: s.status != wire.Idle, Placed: s.server != nil, Held: s.begun != nil, Insists: s.insists()}
	if !t.Open {
		return t
	}
	t.ReadOnly = s.begun != nil && s.begun.Statements[0].Mode.ReadOnly == query.Yes
	switch s.isolation() {
	case "read committed", "read uncommitted":
	case "repeatable read":
		t.Isolation = route.RepeatableRead
	default: // serializable, or not known
		t.Isolation = route.Serializable
	}
	return t
}

// stays says that a transaction with one snapshot has begun on a standby and has to end
// there.
func (s *placement) stays() bool {
	here := route.Session{Server: route.OfStandby}
	if !s.away {
		return false
	}
	here.Transaction = s.open()
	return here.Stays()
}

// misses says that the server at hand is on the wrong node for a signal to a process, or is
// not one for a read, because it was chosen for such a signal or has not replayed what the
// read has to see.
func (s *placement) misses(d route.Decision) bool {
	switch d.Where {
	case route.Process:
		return s.server != nil && s.server.Key.Node != d.Index
	case route.Anywhere, route.Node:
		return s.signalTarget || s.stale()
	}
	return false
}
