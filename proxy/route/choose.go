package route

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"pgherd/proxy/nodes"
)

// Balance says how reads are spread.
type Balance struct {
	Policy       Policy
	DelayBytes   int64         // delay_threshold: standbys further behind get no reads; 0: no limit
	DelayTime    time.Duration // delay_threshold_by_time, which takes precedence; 0: none
	PreferLower  bool          // prefer_lower_delay_standby: reads then go to the least delayed standby instead of the primary
	Applications []Preference  // app_name_redirect_preference_list
	Databases    []Preference  // database_redirect_preference_list
	Users        []Preference  // user_redirect_preference_list
	Expression   *Expression   // balance_expression; nil: none
}

// Policy is a way to spread reads. Pick chooses one of at least one candidate, each of
// which has some weight, and may reorder them; chance is from 0 up to, not including,
// 1.
type Policy struct {
	Why  string // for people: "by weight"
	Pick func(candidates []Candidate, chance float64) int
}

// Candidate is a node that may be chosen.
type Candidate struct {
	Index   int
	Role    nodes.Role
	Weight  float64       // more than 0
	Active  int           // statements of pgherd's clients that it is running
	Latency time.Duration // the average time of its answers
	Bytes   int64         // how far the standby is behind
	Delay   time.Duration // the same in time
	// Replayed is the position that the standby is known to have reached; 0: not known.
	Replayed uint64

	verdict verdict // the Expression's verdict, in this choice
}

// Client is what preferences look at.
type Client struct{ Application, Database, User string }

// Choice is a node, or -1 if there is none, and why.
type Choice struct {
	Index int
	Why   string
}

// Choose picks the node of a read that may go anywhere: a preferred node, or else one
// by the policy. candidates are the nodes in use, and are reordered; those without
// weight are chosen by preference only. The Expression is evaluated once for each that
// could be chosen. Where it is false or fails, the node is not chosen; if no node is
// left, the primary is. chance and ratio are two numbers from 0 up to 1. Without an
// Expression Choose allocates nothing, unless a standby is too far behind.
func Choose(candidates []Candidate, client Client, b *Balance, chance, ratio float64) Choice {
	some, why := preferred(candidates, client, b, ratio)
	if len(some) == 0 {
		some, why = only(candidates, hasWeight), b.Policy.Why
	}
	if len(some) == 0 {
		return toPrimary(candidates, "no node has a weight")
	}
	if b.Expression != nil {
		some, why = b.left(candidates, some, client, why)
		if len(some) == 0 {
			return toPrimary(candidates, why)
		}
	}
	chosen := some[0]
	if len(some) > 1 {
		chosen = some[b.Policy.Pick(some, chance)]
	}
	if !b.late(&chosen) {
		return Choice{chosen.Index, why}
	}
	return b.instead(candidates, client, &chosen)
}

func hasWeight(c *Candidate) bool { return c.Weight > 0 }

// only brings those that are wanted to the front, and returns them.
func only(candidates []Candidate, wanted func(*Candidate) bool) []Candidate {
	n := 0
	for i := range candidates {
		if wanted(&candidates[i]) {
			candidates[n], candidates[i] = candidates[i], candidates[n]
			n++
		}
	}
	return candidates[:n]
}

func toPrimary(candidates []Candidate, why string) Choice {
	for i := range candidates {
		if candidates[i].Role == nodes.Primary {
			return Choice{candidates[i].Index, why}
		}
	}
	return Choice{-1, why + ", and there is no primary"}
}

// late says that a standby is too far behind.
func (b *Balance) late(c *Candidate) bool {
	switch {
	case c.Role == nodes.Primary:
		return false
	case b.DelayTime > 0:
		return c.Delay > b.DelayTime
	}
	return b.DelayBytes > 0 && c.Bytes > b.DelayBytes
}

// instead chooses who gets the reads of a late standby: the primary, or the least
// delayed of the standbys that are not late.
func (b *Balance) instead(candidates []Candidate, client Client, late *Candidate) Choice {
	why := fmt.Sprintf("node %d is too far behind", late.Index)
	if !b.PreferLower {
		return toPrimary(candidates, why)
	}
	standbys := only(candidates, func(c *Candidate) bool {
		return c.Role != nodes.Primary && hasWeight(c) && !b.late(c) && b.wants(c, client)
	})
	if len(standbys) == 0 {
		return toPrimary(candidates, why+", and so are all")
	}
	least := slices.MinFunc(standbys, func(x, y Candidate) int {
		return cmp.Or(cmp.Compare(x.Delay, y.Delay), cmp.Compare(x.Bytes, y.Bytes), x.Index-y.Index)
	})
	return Choice{least.Index, why + "; this one is the least"}
}
