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
	DelayBytes   int64         // delay_threshold: standbys further behind get nothing; 0: no limit
	DelayTime    time.Duration // delay_threshold_by_time, which wins; 0: none
	PreferLower  bool          // prefer_lower_delay_standby: then the least delayed one instead of the primary
	Applications []Preference  // app_name_redirect_preference_list
	Databases    []Preference  // database_redirect_preference_list
	Users        []Preference  // user_redirect_preference_list
	Expression   *Expression   // balance_expression; nil: none
}

// Policy is a way to spread reads. Pick takes one of at least one candidate, each
// of which has some weight, and may put them in another order before; chance is
// from 0 up to, not including, 1.
type Policy struct {
	Why  string // for people: "by weight"
	Pick func(candidates []Candidate, chance float64) int
}

// Candidate is a node that may be chosen.
type Candidate struct {
	Index   int
	Role    nodes.Role
	Weight  float64       // more than 0
	Active  int           // statements that it is busy with for us
	Latency time.Duration // of its answers, on the average
	Bytes   int64         // how far it is behind
	Delay   time.Duration // the same in time
	// Replayed is the position that a standby is known to have reached; 0: not known.
	Replayed uint64

	verdict verdict // of the Expression, in this choice
}

// Client is what preferences look at.
type Client struct{ Application, Database, User string }

// Choice is a node, or -1 if there is none, and why.
type Choice struct {
	Index int
	Why   string
}

// Choose picks the node of a read that may go anywhere: a preferred one, else by
// the policy. candidates are the nodes in use, and are put in another order; those
// without weight are chosen by preference only. The Expression is asked once for
// each that could be chosen; where it is false or fails, only the lack of any other
// can choose the primary. chance and ratio are two numbers from 0 up to 1. Without
// an Expression it allocates nothing, unless a standby is too far behind.
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

// instead is who gets what a late standby would have got: the primary, or the
// least delayed of the standbys that are not late.
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
