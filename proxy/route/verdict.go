package route

// verdict is the result of the Expression for a candidate.
type verdict uint8

const (
	unasked verdict = iota
	wanted
	unwanted
	failed // the candidate is not chosen either
)

// left are those of some for which the Expression holds, and why, or why there are
// none.
func (b *Balance) left(candidates, some []Candidate, client Client, why string) ([]Candidate, string) {
	for i := range candidates {
		candidates[i].verdict = unasked
	}
	fails := false
	rest := only(some, func(c *Candidate) bool {
		yes := b.wants(c, client)
		fails = fails || c.verdict == failed
		return yes
	})
	if len(rest) == 0 {
		why = "balance_expression leaves no node"
	} else {
		why += ", of those that balance_expression leaves"
	}
	if fails {
		why += "; it failed for some"
	}
	return rest, why
}

// wants says that the Expression, if there is one, holds for a candidate. It is
// evaluated once in a choice.
func (b *Balance) wants(c *Candidate, client Client) bool {
	if b.Expression == nil {
		return true
	}
	if c.verdict == unasked {
		c.verdict = b.Expression.judge(c, client)
	}
	return c.verdict == wanted
}

func (e *Expression) judge(c *Candidate, client Client) verdict {
	switch yes, err := e.Ask(client, *c); {
	case err != nil:
		return failed
	case yes:
		return wanted
	}
	return unwanted
}
