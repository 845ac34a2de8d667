package failover

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Answer is what a standby said after it had been made to stop receiving.
type Answer struct {
	Revoked  bool   `json:"revoked"` // it receives from nobody, or from a standby that does not
	System   uint64 `json:"system,string"`
	Timeline uint32 `json:"timeline"` // of the last that it received
	Received uint64 `json:"received"` // or replayed, if that is more: a restart forgets the former
	Replayed uint64 `json:"replayed"`
	Paused   bool   `json:"paused,omitempty"` // its replay is paused or delayed on purpose
}

// Poll is what the choice looks at beside the herd: in this order of trust.
type Poll struct {
	Answers map[int]Answer // by node
	Dead    []int          // nodes that died after they had answered: their positions count, they do not
	Last    Sight          // the last answer of the primary that failed
}

// Choice is who is promoted, or None, and why. Whoever has Position has every
// acknowledged commit; 0: that was not proved.
type Choice struct {
	Node     int
	Position uint64
	Why      string
}

// Choose is the rule of promotion.
//
//	replication   who is promoted
//	synchronous   the highest position on the epoch's timeline, if it has all that was
//	              acknowledged (see proved); else nobody, unless failover_data_loss = allow
//	asynchronous  the highest position on the epoch's timeline of those that answered
//
// Of equal positions the one goes first that (1) the switchover is for, (2) does not hold
// back its replay, (3) is up, (4) comes first in failover_candidates, (5) has least to
// replay, (6) has the lowest number. Weights never count.
func Choose(h Herd, p Poll, s Settings) Choice {
	needed, proof := h.proved(&p)
	if needed == unproved && !s.AllowLoss {
		return Choice{Node: None, Why: "no promotion: " + proof}
	}
	best, whyNot := None, []string{}
	for _, n := range sortedNodes(p.Answers) {
		switch why := h.unfit(n, &p, s); {
		case why != "":
			whyNot = append(whyNot, why)
		case best == None || h.prefer(n, best, &p, s) < 0:
			best = n
		}
	}
	if best == None {
		whyNot = append(whyNot, "no other standby has answered")
		return Choice{Node: None, Why: "no promotion: " + strings.Join(whyNot, "; ")}
	}
	a := p.Answers[best]
	if needed != unproved && a.Received < needed && !s.AllowLoss {
		return Choice{Node: None, Why: fmt.Sprintf("no promotion: node %d has %s, and commits up to %s may have been acknowledged", best, lsn(a.Received), lsn(needed))}
	}
	why := fmt.Sprintf("node %d has the most, %s; %s", best, lsn(a.Received), proof)
	if a.Paused {
		why += "; its replay is held back, and has " + fmt.Sprint(a.Received-a.Replayed) + " bytes to go"
	}
	c := Choice{Node: best, Why: why}
	if needed != unproved && a.Received >= needed {
		c.Position = needed
	}
	return c
}

// foremost is whom failover_command is told to promote: of the standbys in use the one that has received most, and of
// equals the first by failover_candidates, then by its number. Nobody was made to stop receiving, so this proves nothing.
func (d decision) foremost() Step {
	best, most := None, uint64(0)
	for _, n := range append(slices.Clone(d.s.Candidates), d.indexes()...) {
		v, answers := d.answer(n) // who is dead does not
		fit := d.configured(n) && d.h.untried(n) && n != d.h.Former && answers && v.Verdict == IsStandby && !foreign(v, d.h)
		has := d.received(n, v)
		if fit && (best == None || n == d.h.Candidate || best != d.h.Candidate && has > most) {
			best, most = n, has
		}
	}
	if best == None {
		return d.stuck(Step{Waits: "no standby is in use that failover_command could promote"})
	}
	return d.propose(MakeCandidate, best, "node %d is the first of the standbys in use that have the most, %s", best, lsn(most))
}

// received is how much of the herd's timeline a standby is known to have: by its answer of now, else by its last sight.
func (d decision) received(n int, v Sight) uint64 {
	at := uint64(0)
	if v.Timeline == d.h.Timeline {
		at = v.Received
	}
	if a := d.in.Progress.Answers[n]; a.Timeline == d.h.Timeline {
		at = max(at, a.Received)
	}
	return at
}

func (d decision) indexes() (all []int) {
	for _, n := range d.s.Nodes {
		all = append(all, n.Index)
	}
	return all
}

const unproved = ^uint64(0)

// proved is a position that has every acknowledged commit; unproved if there is none to
// be had; 0 where nothing is to be proved.
func (h *Herd) proved(p *Poll) (position uint64, why string) {
	if h.Proven > 0 {
		return h.Proven, "this election has proved " + lsn(h.Proven) + " before"
	}
	for _, set := range append(slices.Clone(h.Before), h.Sync) {
		if set.K == 0 {
			why = cmp.Or(why, "replication is asynchronous")
			continue
		}
		set = set.without(h.Former)
		at, because := h.provedBy(set, p)
		if at == unproved {
			return unproved, because
		}
		position, why = max(position, at), because
	}
	return position, why
}

// provedBy is the rule for one set. A commit is on at least k of it, all of them made to
// stop. So if fewer than k are unknown, one of the k is known: it has answered, and
// the highest answer has the commit; or it was gone already when the primary last
// answered, and the primary's position then has it. (Gone: out of use by the herd's
// word, and by the primary's word not connected.)
func (h *Herd) provedBy(set SyncSet, p *Poll) (position uint64, why string) {
	unknown, gone := set.size()-len(set.Nodes), 0
	var missing []string
	for _, n := range set.Nodes {
		a, answered := p.Answers[n]
		switch {
		case answered && a.Revoked && a.System == h.System:
			if a.Timeline == h.Timeline {
				position = max(position, a.Received)
			}
		case h.gone(n, p):
			gone++
		default:
			unknown++
			missing = append(missing, fmt.Sprint(n))
		}
	}
	if unknown >= set.K {
		why = fmt.Sprintf("of the synchronous set %v, %d did not answer and may alone have acknowledged commits", set, unknown)
		if missing != nil {
			why += " (node " + strings.Join(missing, ", ") + ")"
		}
		return unproved, why
	}
	if gone > 0 && unknown+gone >= set.K {
		position = max(position, p.Last.Received)
	}
	return position, fmt.Sprintf("every commit that %v has acknowledged is in %s", set, lsn(position))
}

// without is the set of a primary that is in it itself: nobody streams from himself.
func (s SyncSet) without(primary int) SyncSet {
	if !slices.Contains(s.Nodes, primary) {
		return s
	}
	others := slices.DeleteFunc(slices.Clone(s.Nodes), func(n int) bool { return n == primary })
	return SyncSet{First: s.First, K: s.K, Nodes: others, Names: s.Names[:min(len(s.Names), s.size()-1)]}
}

func (h *Herd) gone(n int, p *Poll) bool {
	_, known := h.Node(n)
	out := !known || slices.Contains(h.Absent, n)
	return out && p.Last.Received > 0 && p.Last.Timeline == h.Timeline && !slices.Contains(p.Last.Connected, n)
}

// unfit is why a node is no candidate; "" if it is one.
func (h *Herd) unfit(n int, p *Poll, s Settings) string {
	node, _ := h.Node(n)
	a := p.Answers[n]
	of := func(why string, args ...any) string { return fmt.Sprintf("node %d ", n) + fmt.Sprintf(why, args...) }
	switch {
	case n == h.Former:
		return of("is the primary that failed")
	case node.Status == Detached || node.Status == Recovering || node.Status == Quarantined:
		return of("is %s", outWords[node.Status])
	case slices.Contains(p.Dead, n):
		return of("has died since it answered")
	case !a.Revoked:
		return of("still receives")
	case a.System != h.System:
		return of("is of another system")
	case a.Timeline != h.Timeline:
		return of("is on timeline %d, the herd on %d", a.Timeline, h.Timeline)
	case node.NotStreaming && h.Sync.K == 0 && !s.AllowLoss:
		return of("followed nobody before the primary failed")
	}
	return ""
}

var outWords = map[Status]string{Detached: "detached", Recovering: "being recovered", Quarantined: "in quarantine"}

// prefer is negative if a goes before b.
func (h *Herd) prefer(a, b int, p *Poll, s Settings) int {
	x, y := p.Answers[a], p.Answers[b]
	order := func(n int) int {
		if at := slices.Index(s.Candidates, n); at >= 0 {
			return at
		}
		return len(s.Candidates)
	}
	return cmp.Or(
		cmp.Compare(y.Received, x.Received),
		first(a == h.Candidate, b == h.Candidate),
		first(!x.Paused, !y.Paused),
		first(h.untried(a), h.untried(b)),
		cmp.Compare(order(a), order(b)),
		cmp.Compare(x.Received-x.Replayed, y.Received-y.Replayed),
		cmp.Compare(a, b))
}

// untried says that a node is in use, and was not to be promoted in this election already.
func (h *Herd) untried(n int) bool { return h.status(n) == Up && !slices.Contains(h.Tried, n) }

func first(a, b bool) int {
	switch {
	case a && !b:
		return -1
	case b && !a:
		return 1
	}
	return 0
}

func sortedNodes[V any](m map[int]V) []int {
	nodes := make([]int, 0, len(m))
	for n := range m {
		nodes = append(nodes, n)
	}
	slices.Sort(nodes)
	return nodes
}

// lsn is a position as PostgreSQL writes it.
func lsn(position uint64) string { return fmt.Sprintf("%X/%X", position>>32, position&0xFFFFFFFF) }
