package route

import (
	"slices"
	"testing"

	"pgherd/proxy/nodes"
)

// TestFresh checks which of these nodes have replayed a write.
func TestFresh(t *testing.T) {
	all := []Candidate{
		{Index: 1, Role: nodes.Standby, Replayed: 99},
		{Index: 2, Role: nodes.Standby, Replayed: 100},
		{Index: 0, Role: nodes.Primary}, // its position is not asked for
		{Index: 3, Role: nodes.Standby}, // its position is not known
	}
	for lsn, want := range map[uint64][]int{0: {0, 1, 2, 3}, 99: {0, 1, 2}, 100: {0, 2}, 101: {0}, 1<<64 - 1: {0}} {
		var got []int
		for _, c := range Fresh(all, lsn) { // the order is that in which the last call has left it
			got = append(got, c.Index)
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("lsn %d leaves %v, want %v", lsn, got, want)
		}
	}
	if none := Fresh(nil, 1); len(none) != 0 {
		t.Errorf("of no candidates, got %v", none)
	}
}
