package failover

import (
	"fmt"
	"slices"
	"time"
)

// nodes are the rules for single nodes, the primary's and the candidate's apart. The
// first that has something to say of any node proposes it.
func (d decision) nodes() *Command {
	if d.h.Epoch == 0 || d.h.Doubt {
		return nil // there is nothing yet to judge them by
	}
	for _, n := range d.h.Nodes {
		if !d.configured(n.Index) && refuseLeading(d.h, &Command{Node: n.Index}) == "" && n.Index != d.h.Former {
			return d.command(RemoveNode, n.Index, "it is not configured any more")
		}
	}
	for _, configured := range d.s.Nodes {
		n, _ := d.h.Node(configured.Index)
		if n.Index == d.h.Primary || n.Index == d.h.Candidate || n.Index == d.h.Former || n.Status == Detached {
			continue
		}
		if dead, why := d.dead(n.Index); dead { // whatever a minority has heard of it
			if n.Status == Up || n.Status == Quarantined {
				return d.command(MarkDown, n.Index, "node %d is down: %s", n.Index, why)
			}
			continue
		}
		for _, rule := range nodeRules {
			if c := rule(d, n); c != nil {
				return c
			}
		}
	}
	return nil
}

var nodeRules = []func(decision, Node) *Command{
	decision.falsePrimary, decision.foreign, decision.lostItsStream, decision.returns,
}

func (d decision) configured(index int) bool {
	for _, n := range d.s.Nodes {
		if n.Index == index {
			return true
		}
	}
	return false
}

// falsePrimary: the primary is the one that the epoch knows. How many standbys another
// one has is no argument: they may be the old ones, back with it.
func (d decision) falsePrimary(n Node) *Command {
	v, claims := d.claims(n.Index)
	if !claims || n.Status == Quarantined || d.s.Patroni && d.patroni().names(n.Index) {
		return nil
	}
	lead := "no other is known"
	if d.h.Primary != None {
		lead = fmt.Sprintf("the primary is node %d on timeline %d", d.h.Primary, d.h.Timeline)
	}
	return d.command(QuarantineNode, n.Index, "it says that it is primary, on timeline %d; %s since epoch %d", v.Timeline, lead, d.h.Epoch)
}

func (d decision) foreign(n Node) *Command {
	system, other := d.otherSystem(n.Index)
	if !other || n.Status == Quarantined {
		return nil
	}
	return d.command(QuarantineNode, n.Index, "it is of system %d, the herd of %d", system, d.h.System)
}

// otherSystem: as with claims, one member's word is enough. One that is not to be read
// (0) is no other one: PostgreSQL itself streams within a system only.
func (d decision) otherSystem(n int) (system uint64, yes bool) {
	for _, v := range d.s.fresh(d.in, n) {
		if v.Verdict == WrongCluster || v.answered() && foreign(v.Sight, d.h) {
			return v.System, true
		}
	}
	return 0, false
}

func foreign(v Sight, h *Herd) bool { return v.System != 0 && v.System != h.System }

// lostItsStream: a standby that follows nobody serves what is old for ever. Not while the
// primary does not answer, which ends every stream; and a new primary's standbys have the
// same time to come to it.
func (d decision) lostItsStream(n Node) *Command {
	v, ok := d.answer(n.Index)
	if _, lead := d.isOurs(d.h.Primary); !lead || !ok || n.Status != Up || v.Verdict != IsStandby {
		return nil
	}
	without := d.in.Progress.Lasted
	if !v.Streaming {
		without = min(without, v.StreamingFor)
	}
	if d.follows(n.Index) || without < notStreaming {
		return nil
	}
	c := d.command(MarkDown, n.Index, "it has not streamed from node %d for %v", d.h.Primary, without)
	c.NotStreaming = true
	return c
}

// returns: a standby comes up only when it streams from this primary, on its timeline.
//
//	it is                             it comes up
//	recovering, or never seen before  at once
//	in quarantine, or down            after returnAfter, by itself, if it was up on this timeline before:
//	                                  it was cut off only
//	down since an older timeline      likewise, if auto_failback is on
//	down once more                    after auto_failback_interval
func (d decision) returns(n Node) *Command {
	_, known := d.h.Node(n.Index)
	v, _ := d.answer(n.Index)
	_, other := d.otherSystem(n.Index)
	if n.Status == Up || other || !d.follows(n.Index) {
		return nil
	}
	why := fmt.Sprintf("it streams from node %d on timeline %d", d.h.Primary, d.h.Timeline)
	wait := returnAfter
	if n.Returns > 0 {
		wait = max(wait, d.s.AutoFailbackAfter)
	}
	switch {
	case n.Status == Recovering || !known:
		return d.command(MarkUp, n.Index, "%s", why)
	case v.StreamingFor < wait:
		return nil
	case n.Status == Quarantined:
		return d.command(ReleaseNode, n.Index, "%s", why)
	case n.Timeline == d.h.Timeline || d.s.AutoFailback:
		return d.command(MarkUp, n.Index, "%s", why)
	}
	return nil
}

// follows says that a standby streams from the primary, or from standbys that do: by its
// own word, or the primary's.
func (d decision) follows(n int) bool {
	lead, ours := d.isOurs(d.h.Primary)
	if !ours {
		return false
	}
	for range d.s.Nodes { // as long as the longest chain: a circle ends as well
		v, ok := d.answer(n)
		switch {
		case !ok || v.Verdict != IsStandby || !v.Streaming || foreign(v, d.h) || v.Timeline != d.h.Timeline:
			return false
		case v.Upstream == d.h.Primary:
			return true
		case v.Upstream < 0:
			return slices.Contains(lead.Connected, n)
		}
		n = v.Upstream
	}
	return false
}

// follow makes standbys receive from the primary that would receive from nobody who
// has its WAL. It is carried out in the background, and given up with the epoch. One that is
// being recovered is left to its script, unless it is told to receive from nobody, as an
// election tells it.
//
// follow_primary_command may stop a standby and make a new copy of it, so it is not run for
// one that is well but for a moment without its stream:
//
//	the standby                                      it is told to follow
//	there is no such command                         at once
//	receives from nobody, and nobody was promoted    at once, and without the command: an election has made it stop
//	in this epoch
//	has not come over to the timeline of this        at once
//	epoch's promotion
//	anything else                                    after notStreaming, one standby after the other
func (d decision) follow() []Act {
	var acts, later []Act
	if d.s.Commands.Promote && !d.s.Commands.Follow {
		return nil
	}
	for _, configured := range d.s.Nodes {
		n, _ := d.h.Node(configured.Index)
		v, ok := d.answer(n.Index)
		if !ok || v.Verdict != IsStandby || n.Index == d.h.Primary || d.failed(Follow, n.Index) != "" ||
			n.Status == Detached || n.Status == Recovering && v.Upstream != None || d.led(n.Index, v) || foreign(v, d.h) || v.Timeline > d.h.Timeline {
			continue
		}
		a := d.act(Follow, n.Index, "it does not receive from node %d", d.h.Primary)
		a.Upstream = d.h.Primary
		if d.s.Commands.Follow && !d.s.Commands.Promote && !d.h.Promoted && v.Upstream == None && v.Timeline == d.h.Timeline {
			a.Do = Rejoin
			acts = append(acts, a)
		} else if !d.s.Commands.Follow || d.h.Promoted && v.Timeline < d.h.Timeline {
			acts = append(acts, a)
		} else if without := d.withoutStream(v); without >= notStreaming {
			a.Reason = fmt.Sprintf("it has not received from node %d for %v", d.h.Primary, without)
			later = append(later, a)
		}
	}
	if len(acts) == 0 && len(later) > 0 && !d.running(Follow) {
		return later[:1]
	}
	return acts
}

// withoutStream is for how long a standby has streamed from nobody who has the herd's WAL,
// though the primary was there.
func (d decision) withoutStream(v Sight) time.Duration {
	lead, _ := d.isOurs(d.h.Primary)
	without := min(d.in.Progress.Lasted, lead.For)
	switch {
	case !v.Streaming:
		return min(without, v.StreamingFor)
	case v.Timeline == d.h.Timeline:
		return 0
	}
	return without
}

func (d decision) running(do Action) bool {
	return slices.ContainsFunc(d.in.Progress.Running, func(r Deed) bool { return r.Do == do })
}

// led says that a standby has whom to receive from: the primary, if only in a moment;
// or a standby in use; or somebody unknown, from whom it does receive.
func (d decision) led(n int, v Sight) bool {
	switch {
	case d.follows(n) || v.Upstream == d.h.Primary:
		return true
	case v.Upstream >= 0:
		return d.h.status(v.Upstream) == Up
	}
	return v.Upstream == Elsewhere && v.Streaming
}
