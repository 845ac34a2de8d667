package route

// LeastActive takes the node with the fewest statements at work for its weight,
// and by weight among those that are alike.
func LeastActive(candidates []Candidate, chance float64) int {
	return least(candidates, chance, func(c *Candidate) float64 { return float64(c.Active) / c.Weight })
}

// least takes the candidate of the smallest cost, by weight among several.
func least(candidates []Candidate, chance float64, cost func(*Candidate) float64) int {
	lowest := cost(&candidates[0])
	for i := range candidates {
		lowest = min(lowest, cost(&candidates[i]))
	}
	return ByWeight(only(candidates, func(c *Candidate) bool { return cost(c) == lowest }), chance)
}
