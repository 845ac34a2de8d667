package route

// LeastActive takes the node with the fewest running statements for its weight, and
// chooses by weight among equals.
func LeastActive(candidates []Candidate, chance float64) int {
	return least(candidates, chance, func(c *Candidate) float64 { return float64(c.Active) / c.Weight })
}

// least takes the candidate with the smallest cost, and chooses by weight among
// several.
func least(candidates []Candidate, chance float64, cost func(*Candidate) float64) int {
	lowest := cost(&candidates[0])
	for i := range candidates {
		lowest = min(lowest, cost(&candidates[i]))
	}
	return ByWeight(only(candidates, func(c *Candidate) bool { return cost(c) == lowest }), chance)
}
