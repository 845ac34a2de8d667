package failover

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"pgherd/bench/herd/herdtest"
)

// TestPrimaryDies kills the primary while clients write, read, are inside a transaction, or are idle. No client is
// disconnected, and nothing acknowledged is lost.
func TestPrimaryDies(t *testing.T) {
	for _, mode := range []string{"transaction", "session", "statement"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			w := start(t, "pool_mode = "+mode)
			w.allUp()
			idle, inside := []*pgconn.PgConn{}, []*pgconn.PgConn{}
			for range 5 {
				conn := w.connect()
				w.ask(conn, "SET work_mem = '7MB'")
				idle = append(idle, conn)
			}
			for range 4 {
				if mode == "statement" {
					break // this mode has no transactions of several statements
				}
				conn := w.connect()
				w.ask(conn, "BEGIN")
				w.ask(conn, "SELECT count(*) FROM ledger")
				inside = append(inside, conn)
			}
			writing := w.writes(5)
			time.Sleep(time.Second)
			killed := time.Now()
			w.must(w.herd.Slay(0))
			w.writesAgain(w.connect())
			t.Logf("the writers go on after %v", time.Since(killed).Round(time.Millisecond))
			time.Sleep(time.Second)
			for _, conn := range idle {
				if got := w.ask(conn, "SHOW work_mem"); got != "7MB" {
					t.Errorf("an idle session has work_mem %s", got)
				}
			}
			for i, conn := range inside {
				_, err := herdtest.Ask(conn, []string{"COMMIT", "SELECT 1"}[i%2])
				if got := code(conn, err); got != "40001" {
					t.Errorf("a session inside a transaction: got %q", got)
				}
				if i%2 == 1 {
					w.ask(conn, "ROLLBACK")
				}
				w.ask(conn, "SELECT 1")
			}
			writing.end(w.promoted(0))
		})
	}
}
