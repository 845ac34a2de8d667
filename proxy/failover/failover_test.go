package failover

import (
	"maps"
	"slices"
	"testing"
)

// fewest is the number of scenarios that there must be at least.
const fewest = 80

func TestScenarios(t *testing.T) {
	all := files(t)
	if len(all) < fewest {
		t.Errorf("got %d scenarios, want %d at least", len(all), fewest)
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		t.Run(name, func(t *testing.T) {
			for _, wrong := range run(name, all[name], Decide).wrong {
				t.Error(wrong)
			}
		})
	}
}
