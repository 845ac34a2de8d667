package health

import (
	"fmt"

	"pgherd/proxy/nodes"
)

// none is not the index of any node.
const none = -1

// choosePrimary returns the index of the node that takes writes. It is none if there is
// no node, or if nobody can tell which claim is right. A node claims to be the primary
// if it said in its last answer that it is not in recovery. A claim that is outdated
// does not count. The node that was believed before keeps its place against other
// claims; without it there must be exactly one. If nobody claims to be the primary, it
// is the node that was believed before, or the first.
func choosePrimary(asked []Node, found map[int]Finding, before *nodes.View) int {
	last := believed(asked, before)
	claims, some := []int{}, false
	for _, a := range asked {
		if a.AlwaysPrimary {
			return a.Index
		}
		if found[a.Index].Last.Role != nodes.Primary {
			continue
		}
		some = true
		switch {
		case outdated(a.Index, last, asked, found):
		case a.Index == last:
			return last
		case !foreign(found[a.Index].Last, found[last].Last):
			claims = append(claims, a.Index)
		}
	}
	switch {
	case len(claims) == 1:
		return claims[0]
	case some || len(asked) == 0:
		return none
	case last != none:
		return last
	}
	return asked[0].Index
}

// believed is the primary of the view before, if it is still a node; otherwise none.
func believed(asked []Node, before *nodes.View) int {
	if before == nil || before.Primary() == nil {
		return none
	}
	last := before.Primary().Index
	for _, a := range asked {
		if a.Index == last {
			return last
		}
	}
	return none
}

// outdated says that a node which claims to be the primary cannot be it, because
// another node is on a higher timeline. For the node that was believed before, only
// another claim counts as such. If timelines are not known, any claim counts once that
// node does not answer.
func outdated(claim, last int, asked []Node, found map[int]Finding) bool {
	f := found[claim]
	for _, a := range asked {
		other := found[a.Index]
		claims := other.Last.Role == nodes.Primary
		switch {
		case a.Index == claim || foreign(f.Last, other.Last) || claim == last && !claims:
		case f.Last.Timeline == 0 || other.Last.Timeline == 0:
			if claim == last && !f.Reachable && other.Reachable {
				return true
			}
		case f.Last.Timeline < other.Last.Timeline:
			return true
		}
	}
	return false
}

// foreign says that two nodes certainly belong to different systems.
func foreign(a, b Identity) bool { return a.System != 0 && b.System != 0 && a.System != b.System }

// quarantine is why a node is not to be used though it is up; "" if it may be used.
func quarantine(index, primary int, found map[int]Finding) string {
	own, lead := found[index].Last, found[primary].Last
	switch {
	case index == primary:
		return ""
	case primary != none && foreign(own, lead):
		return fmt.Sprintf("its system identifier is %d, and that of the primary (node %d) is %d", own.System, primary, lead.System)
	case own.Role != nodes.Primary:
		return ""
	case primary == none:
		return "it says that it is a primary" + onTimeline(own) + ", and nothing tells that it is the right one"
	}
	return fmt.Sprintf("it says that it is a primary%s, and the primary is node %d%s", onTimeline(own), primary, onTimeline(lead))
}

func onTimeline(i Identity) string {
	if i.Timeline == 0 {
		return ""
	}
	return fmt.Sprintf(" on timeline %d", i.Timeline)
}
