package route

// LowestLatency takes the node that answers soonest, including its queue: the average
// time of its answers times the number of running statements and this one, for its
// weight.
func LowestLatency(candidates []Candidate, chance float64) int {
	return least(candidates, chance, func(c *Candidate) float64 {
		return float64(c.Latency) * float64(c.Active+1) / c.Weight
	})
}
