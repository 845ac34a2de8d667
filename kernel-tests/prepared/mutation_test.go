package prepared_test

import (
	"testing"

	"pgherd/bench/herd"
	"pgherd/bench/herd/herdtest"
	"pgherd/kernel-tests/mutation"
)

type broken mutation.Broken

// mutations break, on purpose, what the seeds must notice.
var mutations = []broken{
	{"types are not compared", "../../proxy/pool", "Shape.Keeps",
		"return (!promise.params", "return true || (!promise.params"},
}

// TestSeedsFindWhatIsBrokenOnPurpose checks that the seeds find each of these faults, because
// otherwise they would prove nothing.
func TestSeedsFindWhatIsBrokenOnPurpose(t *testing.T) {
	for _, m := range mutations {
		t.Run(m.Name, func(t *testing.T) {
			ctx, cancel := herdtest.Limited(herdtest.SetupLimit)
			defer cancel()
			binary, err := herd.Build(ctx, t.TempDir(), "-overlay", mutation.Broken(m).Overlay(t))
			if err != nil {
				t.Fatal(err)
			}
			proxy := startProxyOf(t, binary, "transaction", 1)
			for seed := uint64(1); seed <= 200; seed++ {
				if err := play(t, proxy.Addr(), false, generate(seed), new(tally)); err != nil {
					t.Logf("seed %d: %v", seed, err)
					return
				}
			}
			t.Error("no seed has noticed the mutation")
		})
	}
}
