package route

import (
	"fmt"
	"strconv"
	"strings"

	"pgherd/proxy/nodes"
)

// Explain is Place, rule by rule up to the one that decides.
func Explain(r *Request, set *Settings) (steps []Step, d Decision) {
	d = Place(r, set)
	decided := []Step{{d.Rule, d}}
	if d.Rule == last { // it is asked of what another one has said
		before := place(r, set, 0)
		decided = []Step{{before.Rule, before}, {d.Rule, d}}
	}
	for i := range rules {
		if rules[i].name == decided[0].Rule {
			break
		}
		steps = append(steps, Step{Rule: rules[i].name})
	}
	return append(steps, decided...), d
}

// Step is one rule's answer, for EXPLAIN ROUTE.
type Step struct {
	Rule     string
	Decision Decision // Undecided: the rule does not apply
}

// Describe says of a candidate, for EXPLAIN ROUTE, what Choose and Fresh look at. fit
// says that the candidate can get a read which must see a position.
func (b *Balance) Describe(c Candidate, client Client, position uint64) (fit bool, why string) {
	facts := []string{c.Role.String(), "weight " + strconv.FormatFloat(c.Weight, 'g', 4, 64)}
	if c.Role != nodes.Primary {
		facts = append(facts, b.delay(&c))
	}
	against := b.objections(&c, client, position)
	why = strings.Join(facts, ", ")
	if len(against) > 0 {
		why += ": " + strings.Join(against, "; ")
	}
	return len(against) == 0, why
}

// delay is how far a standby is behind, in the unit of the thresholds.
func (b *Balance) delay(c *Candidate) string {
	if b.DelayTime > 0 {
		return fmt.Sprintf("%v behind", c.Delay)
	}
	return fmt.Sprintf("%d bytes behind", c.Bytes)
}

func (b *Balance) objections(c *Candidate, client Client, position uint64) (list []string) {
	if !hasWeight(c) {
		list = append(list, "without weight it gets what is preferred to go there, nothing else")
	}
	if b.late(c) {
		list = append(list, "that is beyond delay_threshold")
	}
	if b.Expression != nil {
		switch yes, err := b.Expression.Ask(client, *c); {
		case err != nil:
			list = append(list, err.Error())
		case !yes:
			list = append(list, "balance_expression is false")
		}
	}
	if c.Role != nodes.Primary && c.Replayed < position {
		list = append(list, "it has not replayed what the read has to see")
	}
	return list
}

// Position writes a WAL position as PostgreSQL does.
func Position(lsn uint64) string { return fmt.Sprintf("%X/%X", lsn>>32, uint32(lsn)) }
