package failover

import (
	"sync"
	"testing"

	"pgherd/bench/herd/herdtest"
)

// TestPrimaryAndStandbyDie kills the primary and a standby that may be the only one to have acknowledged some commits.
// No node is promoted, reads go on, and once one of the two is back, writes do, too. (pgpool2#70)
func TestPrimaryAndStandbyDie(t *testing.T) {
	for _, c := range []struct {
		name, sync string
		back       int
		primary    string // "" if any may be
	}{
		{"ANY, the standby is back", anyOne, 1, ""},
		{"ANY, the primary is back", anyOne, 0, "node0"},
		{"FIRST, the standby is back", firstOne, 1, ""},
		{"FIRST, the primary is back", firstOne, 0, "node0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := scene{sync: c.sync, config: []string{"pool_mode = transaction", "load_balance_mode = on", "statement_level_load_balance = on"}}.start(t)
			w.allUp()
			idle, writing, reading := w.connect(), w.writes(3), w.reads(readers()[:1])
			w.ask(idle, "SET work_mem = '7MB'")
			reading.gets(20, "node1", "node2")
			var both sync.WaitGroup
			for _, n := range []int{0, 1} {
				both.Go(func() {
					if err := w.herd.Slay(n); err != nil {
						t.Error(err)
					}
				})
			}
			both.Wait()
			w.logs("no promotion: ")
			reading.gets(20, "node2")
			login := make(chan error, 1)
			go func() { // this log-in waits, and succeeds
				conn, err := herdtest.Connect(w.dsn())
				if err == nil {
					_, err = herdtest.Ask(conn, "SELECT 1")
					herdtest.Close(conn)
				}
				login <- err
			}()
			w.must(w.herd.Restart(w.ctx, c.back))
			got := w.writesAgain(idle)
			if c.primary != "" && got != c.primary {
				t.Errorf("the primary is %s", got)
			}
			if err := <-login; err != nil {
				t.Errorf("a log-in while there was no primary: got error %v", err)
			}
			if got := w.ask(idle, "SHOW work_mem"); got != "7MB" {
				t.Errorf("an idle session has work_mem %s", got)
			}
			reading.end()
			writing.end(number(got))
		})
	}
}

// TestAllDie kills all nodes and starts them again. They come back without an administrator.
func TestAllDie(t *testing.T) {
	t.Parallel()
	w := start(t, "pool_mode = transaction", "failover_wait_timeout = 60", "auto_failback = on")
	w.allUp()
	idle, writing := w.connect(), w.writes(3)
	w.ask(idle, "SET work_mem = '7MB'")
	sleepUntilWritten(w)
	for _, standby := range []int{1, 2} { // so that neither is promoted before it dies, too
		w.must(w.herd.Freeze(standby))
	}
	for n := range w.herd.Nodes() {
		w.must(w.herd.Slay(n))
	}
	w.logs("herd: fail 0")
	for _, n := range []int{2, 1, 0} {
		w.must(w.herd.Restart(w.ctx, n))
	}
	got := w.writesAgain(idle)
	if got := w.ask(idle, "SHOW work_mem"); got != "7MB" {
		t.Errorf("an idle session has work_mem %s", got)
	}
	writing.end(number(got))
	for n := range w.herd.Nodes() {
		if got == "node0" || n != 0 { // otherwise the old primary is in quarantine
			w.shows(name(n), "up")
		}
	}
}
