package failover

import (
	"fmt"
	"slices"
)

// firstStart: no primary is known, and nobody is promoted however long that lasts:
// whoever was primary may be alive where we do not look.
//
//	nodes that answer as primaries     the primary
//	one                                it, once all others have answered, or for firstLook have not
//	several, one system                the one on the newest timeline; on the same timeline the only one that
//	                                   standbys stream from
//	several, several systems           nobody: an operator names it, or repairs the configuration
//	none                               nobody: likewise
func (d decision) firstStart() Step {
	var claims []int
	sights, waiting := map[int]Sight{}, None
	for _, n := range d.s.Nodes {
		v, answered := d.answer(n.Index)
		switch {
		case d.out(n.Index):
		case answered && v.Verdict == IsPrimary && v.System != 0 && v.Timeline != 0:
			claims, sights[n.Index] = append(claims, n.Index), v
		case !answered && !d.looked(n.Index):
			waiting = n.Index
		}
	}
	switch {
	case waiting != None:
		return Step{Waits: fmt.Sprintf("first start: node %d has not answered yet", waiting)}
	case len(claims) == 0:
		return Step{Waits: "first start: no node is primary, and none is promoted that was never seen to follow one"}
	case len(claims) == 1:
		return d.primary(claims[0], sights[claims[0]], "first start: node %d is the only primary", claims[0])
	}
	n, why := d.newest(claims, sights)
	if n == None {
		return Step{Waits: "first start: " + why}
	}
	return d.primary(n, sights[n], "first start: %s", why)
}

// out says that a node's claim does not count: an operator has detached it, or most
// find it dead.
func (d decision) out(n int) bool {
	dead, _ := d.dead(n)
	return dead && d.looked(n) || d.h.status(n) == Detached
}

// looked says that a node's failure to answer has stood long enough.
func (d decision) looked(n int) bool {
	return slices.ContainsFunc(d.s.fresh(d.in, n), func(v memberSight) bool { return v.For >= firstLook })
}

func (d decision) newest(claims []int, sights map[int]Sight) (n int, why string) {
	timeline, led := sights[claims[0]].Timeline, []int{}
	for _, c := range claims {
		if sights[c].System != sights[claims[0]].System {
			return None, fmt.Sprintf("nodes %v are primaries of several systems", claims)
		}
		timeline = max(timeline, sights[c].Timeline)
	}
	claims = slices.DeleteFunc(slices.Clone(claims), func(c int) bool { return sights[c].Timeline != timeline })
	if len(claims) == 1 {
		return claims[0], fmt.Sprintf("node %d is on the newest timeline, %d", claims[0], timeline)
	}
	for _, c := range claims {
		if d.hasStandbys(c, sights[c]) {
			led = append(led, c)
		}
	}
	if len(led) == 1 {
		return led[0], fmt.Sprintf("of the primaries on timeline %d, standbys stream from node %d only", timeline, led[0])
	}
	return None, fmt.Sprintf("nodes %v are primaries on timeline %d, and nothing tells which is the right one", claims, timeline)
}

func (d decision) hasStandbys(c int, lead Sight) bool {
	return slices.ContainsFunc(d.s.Nodes, func(n NodeSettings) bool {
		v, ok := d.answer(n.Index)
		return ok && v.Verdict == IsStandby && v.Streaming && v.Upstream == c && v.System == lead.System
	})
}

// doubted: the herd comes from a status file, which may be as old as it likes.
//
//	the file's primary                    and                                then
//	answers as primary, its timeline or   -                                  the file is right
//	newer
//	answers in recovery                   one node is primary, on the file's the file is given up: that one is it
//	                                      timeline or newer
//	is dead                               one node is primary, on a newer    the file is given up: that one is it
//	                                      timeline
//	is dead for doubtedFor                nobody is, no standby streams, and an election
//	                                      failover_data_loss = allow
//	anything else                         -                                  wait: whoever was primary may be alive
//	                                                                         where we do not look
func (d decision) doubted() Step {
	p := d.h.Primary
	if v, ours := d.isOurs(p); ours {
		return d.primary(p, v, "node %d is primary, as the status file says", p)
	}
	least, dead := d.h.Timeline+1, false
	if standby, _ := d.isStandby(p, 0); standby {
		least = d.h.Timeline
	} else if dead, _ = d.dead(p); !dead {
		return Step{Waits: fmt.Sprintf("the status file says that node %d is primary: %s", p, d.whyNotOurs(p))}
	}
	if n, v := d.soleClaim(least); n != None && d.h.status(n) != Detached {
		return d.primary(n, v, "the status file is given up: node %d is primary, on timeline %d, not node %d", n, v.Timeline, p)
	}
	_, why := d.dead(p)
	if dead && d.s.deadFor(d.in, p, doubtedFor) && d.s.AllowLoss && !d.somebodyLives() {
		return d.propose(FailNode, p, "node %d is down since the start: %s", p, why)
	}
	return d.stuck(Step{Waits: fmt.Sprintf("the status file says that node %d is primary, and it was not seen since the start: nobody is promoted by it", p)})
}

// somebodyLives: a primary, whether right or not, or one that a standby streams from.
func (d decision) somebodyLives() bool {
	return slices.ContainsFunc(d.s.Nodes, func(n NodeSettings) bool {
		v, ok := d.answer(n.Index)
		return ok && (v.Verdict == IsPrimary || v.Streaming)
	})
}
