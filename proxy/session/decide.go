package session

import (
	"pgherd/proxy/query"
	"pgherd/proxy/route"
	"pgherd/proxy/wire"
)

// decide has the rules applied to a request whose effect is upcoming.
func (s *placement) decide(r *route.Request) route.Decision {
	r.Session = s.standing(r)
	d := route.Place(r, &s.set.Routing.Rules)
	if d.Where == route.Process { // it leaves nothing in the session
		s.upcoming = nil
	}
	return d
}

// standing is what the rules look at of the session. Who has a server of the primary stays
// on it, unless it signals a process: nothing else is looked at then.
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
	t.Outdated = s.overtaken() || s.entry.Due(s.loop.Now())
	t.Changes = s.upcoming != nil && !s.upcoming.Moves()
	return t
}

// open is what the rules look at of the transaction in which a request will be.
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
	default: // serializable, or nobody knows
		t.Isolation = route.Serializable
	}
	return t
}

// stays says that a transaction with one snapshot has begun on a standby, where it has to
// end.
func (s *placement) stays() bool {
	here := route.Session{Server: route.OfStandby}
	if !s.away {
		return false
	}
	here.Transaction = s.open()
	return here.Stays()
}

// misses says that the server at hand is not one for the request: it has run
// nothing yet, or was chosen for a process, not as one to read from, or has missed
// what was written since.
func (s *placement) misses(d route.Decision) bool {
	switch d.Where {
	case route.Process:
		return s.server != nil && s.server.Key.Node != d.Index
	case route.Anywhere, route.Node:
		return s.signalTarget || s.stale()
	}
	return false
}
