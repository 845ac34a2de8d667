// Package prepared_test alters tables under clients that have prepared statements, through a real pgherd in front of real
// PostgreSQL. Each client remembers what it was told about its statements, as drivers do, and reads every answer by that:
// the answer must be right, or PostgreSQL's own error. All choices come from a seed, one step at a time; a run that fails
// is shrunk.
package prepared_test

import (
	"context"
	"flag"
	"fmt"
	"testing"

	"pgherd/bench/herd"
	"pgherd/bench/herd/herdtest"
)

var (
	seeds = flag.Int("prepared.seeds", 40, "how many seeds are run, others in each mode")
	one   = flag.Uint64("prepared.seed", 0, "run this seed alone; 0 runs -prepared.seeds")
	show  = flag.Bool("prepared.show", false, "print every step")
)

// world is what every test of this package uses.
var world struct {
	herd   *herd.Herd
	binary string
}

func TestMain(m *testing.M) {
	settings := herd.Settings{HBA: []string{"host all all 127.0.0.1/32 trust"}, Standbys: 1,
		Config: []string{"autovacuum = off", "log_min_messages = fatal", "log_min_error_statement = panic"}}
	herdtest.Main(m, settings, func(_ context.Context, h *herd.Herd, binary string) error {
		world.herd, world.binary = h, binary
		return nil
	})
}

// kinds are ways to run pgherd.
var kinds = []struct {
	mode  string
	nodes int
}{{"transaction", 1}, {"transaction", 2}, {"session", 2}, {"session", 1}}

func startProxy(t *testing.T, mode string, nodes int) *herd.Proxy {
	t.Helper()
	return startProxyOf(t, world.binary, mode, nodes)
}

func startProxyOf(t *testing.T, binary, mode string, nodes int) *herd.Proxy {
	t.Helper()
	proxy := herdtest.StartProxy(t, herd.ProxySettings{Binary: binary, Nodes: world.herd.Nodes()[:nodes],
		HBA: "host all all 127.0.0.1/32 trust\n",
		Config: fmt.Sprintf("workers = 1\nadmin_users = 'postgres'\npool_mode = %s\ndefault_pool_size = %d\nquery_wait_timeout = 20\nbackend_weight0 = 0\n"+
			"read_consistency = global\nstatement_level_load_balance = on\n", mode, map[string]int{"session": 4 * clients}[mode]+clients+1)})
	herdtest.Eventually(t, "pgherd finds its primary", func() error {
		conn, err := open(proxy.Addr())
		if err == nil {
			conn.close()
		}
		return err
	})
	return proxy
}

// TestRandomAlters runs the seeds.
func TestRandomAlters(t *testing.T) {
	for i, kind := range kinds {
		t.Run(fmt.Sprint(kind.mode, " ", kind.nodes), func(t *testing.T) {
			proxy := startProxy(t, kind.mode, kind.nodes)
			plain := kind.mode == "session" && kind.nodes == 1
			first := uint64(i**seeds) + 1
			last := first + uint64(*seeds) - 1
			if *one != 0 {
				first, last = *one, *one
			}
			var all tally
			for seed := first; seed <= last; seed++ {
				steps := generate(seed)
				err := play(t, proxy.Addr(), plain, steps, &all)
				if err == nil {
					continue
				}
				steps = shrink(steps, func(some []step) bool { return play(t, proxy.Addr(), plain, some, new(tally)) != nil })
				t.Fatalf("seed %d (-run '%s' -prepared.seed %d): %v\nshrunk:\n%v", seed, t.Name(), seed, err, text(steps))
			}
			t.Logf("%+v", all)
			if *one == 0 && (all.right == 0 || all.changed == 0) {
				t.Error("no answer was right, or none was an error about a change, so nothing was tested")
			}
		})
	}
}
