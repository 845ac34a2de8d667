// Package leaks_test searches for session state that leaks from one client to another, or is lost, where clients share
// servers. Two or three clients of a real pgherd run random steps: all that changes a session, plainly or hidden in
// functions, triggers, rules and views, in transactions that commit, fail or are left in the middle. Each client has a
// twin that is connected to the same PostgreSQL without pgherd, and does the same. Their answers, and all that they can see
// of their sessions, must be equal.
//
// Steps are done one at a time, and all choices come from the seed, so that a seed determines a run: -leaks.seed N repeats
// it. A run that fails is shrunk.
package leaks_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"pgherd/bench/herd"
	"pgherd/bench/herd/herdtest"
)

var (
	modes    = flag.String("leaks.mode", "session,transaction", "each pool_mode of pgherd to run the seeds in, separated by commas")
	runs     = flag.Int("leaks.seeds", 20, "how many seeds are run, others of each kind")
	one      = flag.Uint64("leaks.seed", 0, "run this seed alone; 0 runs -leaks.seeds")
	prepared = flag.String("leaks.prepared", "auto", "compare pg_prepared_statements: on, off; auto is on in pool_mode session")
	failures = flag.Int("leaks.failures", 1, "how many failing scripts are shrunk before the hunt ends")
	show     = flag.Bool("leaks.show", false, "print every script before it is run")
)

const (
	leaveLimit = 10 * time.Second
	// shrinkLimit limits a shrink, each try of which may wait in vain.
	shrinkLimit = 2 * time.Minute
)

// world is what every test of this package uses.
var world struct {
	herd     *herd.Herd
	direct   string // the address of PostgreSQL itself
	binary   string
	settings settingsOf
}

func TestMain(m *testing.M) {
	settings := herd.Settings{HBA: []string{"host all all 127.0.0.1/32 trust"}, Standbys: 1, Config: []string{
		// plpgsql defines settings. If it were loaded at its first use, they would show which server has used it.
		"session_preload_libraries = 'plpgsql'", "max_replication_slots = 100", "max_wal_senders = 10", "autovacuum = off", "jit = off", "log_min_messages = fatal", "log_min_error_statement = panic"}}
	herdtest.Main(m, settings, func(_ context.Context, h *herd.Herd, binary string) error {
		world.herd, world.binary = h, binary
		return setUp()
	})
}

// setUp makes the stages, and finds out which settings can be set.
func setUp() error {
	node := world.herd.Nodes()[0]
	world.direct = fmt.Sprintf("%s:%d", node.Host, node.Port)
	for _, db := range []struct{ file, from, name string }{
		{"testdata/setup.sql", "", plain.clients},
		{"", plain.clients, plain.twins},
		{"testdata/sly.sql", plain.clients, sly.clients},
		{"", sly.clients, sly.twins},
	} {
		if db.from != "" {
			if err := aside("postgres", fmt.Sprintf("CREATE DATABASE %s TEMPLATE %s OWNER alice", db.name, db.from)); err != nil {
				return err
			}
		}
		if db.file == "" {
			continue
		}
		sql, err := os.ReadFile(db.file)
		if err != nil {
			return err
		}
		if err := aside(db.name, string(sql)); err != nil {
			return fmt.Errorf("%s: %w", db.file, err)
		}
	}
	return learnSettings()
}

// aside runs sql as superuser, without pgherd.
func aside(database, sql string) error {
	conn, err := openAside(world.direct, database)
	if err != nil {
		return err
	}
	defer closeAside(conn)
	_, err = ask(conn, sql)
	return err
}

func learnSettings() error {
	conn, err := openAside(world.direct, "postgres")
	if err != nil {
		return err
	}
	defer closeAside(conn)
	world.settings = settingsOf{}
	for user, superuser := range map[string]bool{herd.User: false, herd.Superuser: true} {
		if world.settings[user], err = readSettings(conn, superuser); err != nil {
			return err
		}
	}
	return nil
}

// kind is a way to run pgherd: the engine, and the number of nodes. A standby gets all reads that it may, also those of
// other clients' writes.
type kind struct {
	name, engine string
	nodes        int
}

var kinds = []kind{{"epoll", "epoll", 1}, {"io_uring", "io_uring", 1}, {"balanced", "io_uring", 2}}

// TestHunt runs the seeds through pgherd, in each mode and each kind.
func TestHunt(t *testing.T) {
	for mode := range strings.SplitSeq(*modes, ",") {
		for i, kind := range kinds {
			t.Run(mode+"/"+kind.name, func(t *testing.T) {
				h := &hunt{t: t, arena: startArena(t, mode, kind), began: time.Now()}
				defer h.summary()
				if first := uint64(i**runs) + 1; *one != 0 {
					h.seeds(*one, *one)
				} else if h.settings(world.settings[herd.Superuser]) {
					h.seeds(first, first+uint64(*runs)-1)
				}
				if mode != "session" && *one == 0 && h.tally.passes == 0 {
					t.Error("no server was shared, so nothing was tested")
				}
			})
		}
	}
}

// hunt is one series of runs, which ends after -leaks.failures failures.
type hunt struct {
	t     *testing.T
	arena *arena
	tally tally
	began time.Time
	found int // number of scripts that failed
}

func (h *hunt) summary() {
	h.t.Logf("%d steps (%.0f/s), %d looks, %d refusals; clients changed servers %d times, servers logins %d times",
		h.tally.steps, float64(h.tally.steps)/time.Since(h.began).Seconds(), h.tally.looks, h.tally.refusals, h.tally.moves, h.tally.passes)
}

func (h *hunt) seeds(first, last uint64) {
	for seed := first; seed <= last; seed++ {
		again := fmt.Sprintf("-run '%s' -leaks.mode %s -leaks.seed %d", h.t.Name(), *modes, seed)
		if !h.play(fmt.Sprintf("seed %d (%s)", seed, again), generate(seed, world.settings)) {
			return
		}
	}
}

// settings tries each setting, a few of them in each run.
func (h *hunt) settings(all []setting) bool {
	for some := range slices.Chunk(all, 20) {
		name := "settings from " + some[0].name
		if !h.play(name, everySetting(some, false)) || !h.play(name+", hidden", everySetting(some, true)) {
			return false
		}
	}
	return true
}

// play runs a script. If that fails, it is shrunk, and the rest is printed. play is false when enough scripts have failed.
func (h *hunt) play(name string, s script) bool {
	h.t.Helper()
	if *show {
		h.t.Logf("%s, %s", name, s)
	}
	d, done, err := play(h.arena, s)
	if err != nil {
		h.t.Fatalf("%s: %v", name, err)
	}
	h.tally.add(done)
	if d == nil {
		return true
	}
	h.t.Logf("%s failed %s\nshrinking it, for up to %v", name, d, shrinkLimit)
	small, why := shrink(s, d, h.fails(time.Now().Add(shrinkLimit)))
	h.t.Errorf("%s, shrunk: %s%s", name, small, why)
	h.found++
	return h.found < *failures
}

// fails runs a script for shrink. After the deadline it reports no failure any more.
func (h *hunt) fails(deadline time.Time) func(script) *difference {
	return func(s script) *difference {
		if time.Now().After(deadline) {
			return nil
		}
		d, _, err := play(h.arena, s)
		if err != nil {
			h.t.Logf("a run of the shrink: %v", err)
		}
		return d
	}
}

// startArena runs pgherd with all clients on one worker, so that they share one list of idle
// servers.
func startArena(t *testing.T, mode string, k kind) *arena {
	t.Helper()
	proxy := herdtest.StartProxy(t, herd.ProxySettings{Binary: world.binary, Nodes: world.herd.Nodes()[:k.nodes],
		HBA: "host all all 127.0.0.1/32 trust\n",
		Config: fmt.Sprintf("io_engine = %s\nworkers = 1\npool_mode = %s\ndefault_pool_size = %d\nmax_node_connections = 60\n"+
			"query_wait_timeout = 15\nadmin_users = 'postgres'\nbackend_weight0 = 0\nread_consistency = global\nstatement_level_load_balance = on\n", k.engine, mode, mostClients)})
	a := &arena{address: proxy.Addr(), direct: world.direct, leaveTime: leaveLimit,
		prepared: *prepared == "on" || *prepared == "auto" && mode == "session" && k.nodes == 1}
	a.reload = func() error { return syscall.Kill(proxy.PID(), syscall.SIGHUP) }
	a.renew = func() error { return reconnect(proxy, a.stage.clients) }
	t.Cleanup(a.close)
	waitPrimary(t, a)
	return a
}

// reconnect makes pgherd replace its servers.
func reconnect(p *herd.Proxy, database string) error {
	conn, err := openAside(p.Addr(), "postgres")
	if err != nil {
		return err
	}
	defer closeAside(conn)
	_, err = ask(conn, "RECONNECT "+database)
	return err
}

// waitPrimary returns once pgherd has found the primary.
func waitPrimary(t *testing.T, a *arena) {
	t.Helper()
	for deadline := time.Now().Add(herdtest.SetupLimit); ; time.Sleep(10 * pollEvery) {
		conn, err := open(a.address, who{user: herd.User, database: plain.clients})
		if err == nil {
			conn.leave(true)
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}
