package route

// ByWeight gives each node its weight's share of the reads.
func ByWeight(candidates []Candidate, chance float64) int {
	sum := 0.0
	for i := range candidates {
		sum += candidates[i].Weight
	}
	for i := range candidates {
		if chance -= candidates[i].Weight / sum; chance < 0 {
			return i
		}
	}
	return len(candidates) - 1 // rounding
}
