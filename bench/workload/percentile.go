package workload

import (
	"math"
	"slices"
	"time"
)

func sort(some []time.Duration) []time.Duration {
	sorted := slices.Clone(some)
	slices.Sort(sorted)
	return sorted
}

// at is the smallest value that at least this share of sorted does not exceed (nearest rank).
func at(sorted []time.Duration, share float64) time.Duration {
	rank := int(math.Ceil(share * float64(len(sorted))))
	return sorted[min(max(rank, 1), len(sorted))-1]
}
