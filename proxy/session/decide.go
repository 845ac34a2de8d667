package session

import (
	"cmp"

	"pgherd/proxy/route"
	"pgherd/proxy/wire"
)

// rule says where a request goes because of what its session is in, or nothing.
type rule struct {
	name  string
	judge func(*placement, *route.Request) route.Decision
}

// ahead are the rules that are asked before those of package route. Their names
// are none of those.
var ahead = [...]rule{
	{"server", (*placement).atHand},
	{"snapshot", (*placement).shares},
	{"pin", (*placement).left},
	{"catalog_check_period", (*placement).outOfDate},
}

// last is the rule that is asked last, of what would leave the primary.
const last = "session"

// decide applies the rules to a request whose effect is upcoming. explainRules
// tells the steps of it, and finds them by the rule that decided.
func (s *placement) decide(r *route.Request) route.Decision {
	for i := range ahead {
		if d := ahead[i].judge(s, r); d.Where != route.Undecided {
			d.Rule = ahead[i].name
			return d
		}
	}
	r.Session = s.standing()
	d := route.Place(r, &s.set.Routing.Rules)
	switch leaves := d.Where == route.Anywhere || d.Where == route.Node; {
	case leaves && s.upcoming != nil && !s.upcoming.Moves():
		return route.Decision{Where: route.Primary, Rule: last, Why: "it may change its session"}
	case leaves && s.insists():
		return route.Decision{Where: route.Primary, Rule: last, Why: "its transaction is of a kind that no standby has"}
	}
	return d
}

// explainRules is aim, rule by rule up to the one that decides.
func (s *placement) explainRules(r *route.Request) (steps []route.Step, d route.Decision) {
	d = s.aim(r)
	for i := range ahead {
		if ahead[i].name == d.Rule {
			return append(steps, route.Step{Rule: d.Rule, Decision: d}), d
		}
		steps = append(steps, route.Step{Rule: ahead[i].name})
	}
	placed, _ := route.Explain(r, &s.set.Routing.Rules)
	steps = append(steps, placed...)
	if d.Rule == last {
		steps = append(steps, route.Step{Rule: d.Rule, Decision: d})
	}
	return steps, d
}

func (s *placement) atHand(r *route.Request) route.Decision {
	switch {
	case s.server != nil && !s.away:
		return route.Decision{Where: route.Here, Why: "the session has a server of the primary"}
	case s.expect.Skipping:
		return route.Decision{Where: route.Here, Why: "what came before it has failed"}
	case s.failed() && s.away && s.begun != nil && r.Script.EndsFirst():
		return goesOn
	case s.failed():
		return route.Decision{Where: route.Here, Why: "its transaction has failed"}
	}
	return route.Decision{}
}

func (s *placement) shares(r *route.Request) route.Decision {
	if s.stays() && r.Script.EndsFirst() {
		return goesOn
	}
	if s.stays() {
		return route.Decision{Where: route.Here, Why: "all statements of its transaction share a snapshot"}
	}
	return route.Decision{}
}

// goesOn: what follows in the same text is of another transaction, which may write.
var goesOn = route.Decision{Where: route.Primary, Why: "it ends its transaction and goes on with another"}

func (s *placement) left(*route.Request) route.Decision {
	if s.tracker.Pinned() != "" || !s.tracker.Certain() {
		return route.Decision{Where: route.Primary, Why: cmp.Or(s.tracker.Pinned(), "what its session has left on the primary is not known yet")}
	}
	return route.Decision{}
}

func (s *placement) outOfDate(*route.Request) route.Decision {
	if s.overtaken() || s.entry.Due(s.loop.Now()) {
		return route.Decision{Where: route.Primary, Why: "what is known of the database is not up to date, and asked for with the next statement"}
	}
	return route.Decision{}
}

// aim is decide for what may be a signal to a process of another node than the
// primary. That needs nothing to be known of the database, and leaves nothing in
// its session.
func (s *placement) aim(r *route.Request) route.Decision {
	if !r.Elsewhere {
		return s.decide(r)
	}
	runs := s.server != nil && !s.away && s.ran
	if r.Session = s.standing(); !runs && s.status != wire.Failed && s.tracker.Pinned() == "" && s.tracker.Certain() &&
		!r.Session.Snapshot && !s.insists() { // a standby has no such transaction, or one with too old a snapshot
		if d := route.Place(r, &s.set.Routing.Rules); d.Where == route.Process {
			s.upcoming = nil
			return d
		}
	}
	r.Elsewhere = false
	return s.decide(r)
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
