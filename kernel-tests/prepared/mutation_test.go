package prepared_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgherd/bench/herd"
	"pgherd/bench/herd/herdtest"
)

// mutations break, on purpose, what the seeds are there to guard.
var mutations = []struct{ name, file, old, new string }{
	{"types are not compared", "../../proxy/pool/shape.go",
		"return (!promise.params", "return true || (!promise.params"},
}

// TestSeedsFindWhatIsBrokenOnPurpose, or they prove nothing.
func TestSeedsFindWhatIsBrokenOnPurpose(t *testing.T) {
	for _, m := range mutations {
		t.Run(m.name, func(t *testing.T) {
			ctx, cancel := herdtest.Limited(herdtest.SetupLimit)
			defer cancel()
			binary, err := herd.Build(ctx, t.TempDir(), "-overlay", overlay(t, m.file, m.old, m.new))
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
			t.Error("no seed noticed")
		})
	}
}

// overlay writes a changed copy of the file and the list that has the compiler read it
// in the file's place.
func overlay(t *testing.T, file, old, new string) string {
	source, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Count(string(source), old) != 1 {
		t.Fatalf("%s does not have %q once", file, old)
	}
	path, _ := filepath.Abs(file)
	dir := t.TempDir()
	changed, listed := filepath.Join(dir, "changed.go"), filepath.Join(dir, "overlay.json")
	list, _ := json.Marshal(map[string]any{"Replace": map[string]string{path: changed}})
	for name, content := range map[string]string{changed: strings.Replace(string(source), old, new, 1), listed: string(list)} {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return listed
}
