package failover

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"pgherd/bench/herd"
	"pgherd/bench/herd/herdtest"
)

// loud are the settings of nodes that log every connection and statement.
var loud = herd.Settings{Config: []string{"log_statement = all", "log_connections = on"}}

// TestPrimaryFreezes freezes the primary, for which its kernel still answers. Another node takes its place. When the
// old one is thawed, it still believes that it is the primary; but nothing is sent to it, and no client gets an
// answer of it.
func TestPrimaryFreezes(t *testing.T) {
	for _, mode := range []string{"transaction", "session"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			w := scene{herd: loud, sync: anyOne, config: []string{"pool_mode = " + mode, "health_check_timeout = 1"}}.start(t)
			w.allUp()
			idle := w.connect()
			w.ask(idle, "SET application_name = 'idle before'")
			writing := w.writes(4)
			sleepUntilWritten(w)
			w.must(w.herd.Freeze(0))
			w.Cleanup(func() { _ = w.herd.Thaw(0) })
			now := w.promoted(0)
			after := w.connect()
			logged := len(nodeLog(w, 0))
			w.must(w.herd.Thaw(0))
			is := w.shows("node0", "quarantine")
			if !strings.Contains(is.reason, "primary") {
				t.Errorf("node 0 is in quarantine with the wrong reason %q", is.reason)
			}
			for i := range 50 {
				sql := fmt.Sprintf("/* after the thaw */ INSERT INTO ledger VALUES (%d); SELECT current_setting('cluster_name')", 1000+i)
				for _, got := range []string{w.ask(idle, sql), w.ask(after, strings.Replace(sql, "(1", "(2", 1)), w.primary(w.connect())} {
					if got != name(now) {
						t.Fatalf("%s answers, but the primary is node %d", got, now)
					}
				}
			}
			writing.end(now)
			for line := range strings.SplitSeq(nodeLog(w, 0)[logged:], "\n") {
				if strings.Contains(line, "after the thaw") || strings.Contains(line, "connection authorized: user=alice") {
					t.Errorf("after the thaw node 0 got: %s", line)
				}
			}
		})
	}
}

func nodeLog(w *world, node int) string {
	text, err := os.ReadFile(w.herd.Log(node))
	w.must(err)
	return string(text)
}

// sleepUntilWritten waits until the writers have written some rows.
func sleepUntilWritten(w *world) {
	w.Helper()
	conn := w.connect()
	defer herdtest.Close(conn)
	w.eventually("rows are written", func() error {
		if n := w.ask(conn, "SELECT count(*) FROM ledger"); len(n) < 2 {
			return fmt.Errorf("only %s rows are written", n)
		}
		return nil
	})
}

// TestThawInTheMiddle thaws the old primary while the election goes on or has just ended. It either stays the
// primary, or nothing that it does counts.
func TestThawInTheMiddle(t *testing.T) {
	t.Parallel()
	w := start(t, "pool_mode = transaction", "health_check_timeout = 1")
	w.allUp()
	writing := w.writes(4)
	sleepUntilWritten(w)
	w.must(w.herd.Freeze(0))
	w.logs("herd: fail 0")
	w.must(w.herd.Thaw(0))
	now := w.writesAgain(w.connect())
	w.eventually("the primary stays", func() error {
		is := w.nodes()
		if is[now].role != "primary" || is[now].status != "up" {
			return fmt.Errorf("%s is %+v", now, is[now])
		}
		if now != "node0" && is["node0"].status != "quarantine" {
			return fmt.Errorf("node 0 is %+v", is["node0"])
		}
		return nil
	})
	writing.end(number(now))
}
