package session

import (
	"cmp"

	"pgherd/proxy/route"
)

// rule says where a request goes because of what its session is in, or nothing.
type rule struct {
	name  string
	judge func(*Session, *route.Request) route.Decision
}

// ahead are the rules that are asked before those of package route. Their names
// are none of those.
var ahead = [...]rule{
	{"server", (*Session).atHand},
	{"snapshot", (*Session).shares},
	{"pin", (*Session).left},
	{"catalog_check_period", (*Session).outOfDate},
}

// last is the rule that is asked last, of what would leave the primary.
const last = "session"

// decide applies the rules to a request whose effect is upcoming. explainRules
// tells the steps of it, and finds them by the rule that decided.
func (s *Session) decide(r *route.Request) route.Decision {
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
func (s *Session) explainRules(r *route.Request) (steps []route.Step, d route.Decision) {
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

func (s *Session) atHand(r *route.Request) route.Decision {
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

func (s *Session) shares(r *route.Request) route.Decision {
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

func (s *Session) left(*route.Request) route.Decision {
	if s.tracker.Pinned() != "" || !s.tracker.Certain() {
		return route.Decision{Where: route.Primary, Why: cmp.Or(s.tracker.Pinned(), "what its session has left on the primary is not known yet")}
	}
	return route.Decision{}
}

func (s *Session) outOfDate(*route.Request) route.Decision {
	if s.overtaken() || s.entry.Due(s.loop.Now()) {
		return route.Decision{Where: route.Primary, Why: "what is known of the database is not up to date, and asked for with the next statement"}
	}
	return route.Decision{}
}
