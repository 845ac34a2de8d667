package failover

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"pgherd/bench/herd/herdtest"
)

// TestPrimaryIsStopped stops the primary as systemctl stop does: its clients get 57P01. After restart_grace another
// node takes its place, and no client is disconnected.
func TestPrimaryIsStopped(t *testing.T) {
	for _, mode := range []string{"transaction", "session"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			w := start(t, "pool_mode = "+mode, "restart_grace = 1")
			w.allUp()
			idle, writing := w.connect(), w.writes(4)
			w.ask(idle, "SET work_mem = '7MB'")
			sleepUntilWritten(w)
			w.must(w.herd.Shutdown(0))
			now := w.promoted(0)
			if !strings.Contains(w.log(), "after its shutdown") {
				t.Error("the reason of the failover does not mention the shutdown")
			}
			if got := w.ask(idle, "SHOW work_mem"); got != "7MB" {
				t.Errorf("an idle session has work_mem %s", got)
			}
			writing.end(now)
		})
	}
}

// TestPrimaryIsRestarted restarts the primary within restart_grace. It stays the primary, and clients stay connected.
// While it is stopped, every session can read.
func TestPrimaryIsRestarted(t *testing.T) {
	for _, mode := range []string{"transaction", "session"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			w := start(t, "pool_mode = "+mode, "restart_grace = 60", "load_balance_mode = on")
			w.allUp()
			idle, inside, writing := w.connect(), w.connect(), w.writes(4)
			var readers []*pgconn.PgConn
			for range 8 {
				readers = append(readers, w.connect())
				w.ask(readers[len(readers)-1], "SELECT count(*) FROM ledger") // a log-in is confirmed by the primary
			}
			w.ask(idle, "SET work_mem = '7MB'")
			w.ask(inside, "BEGIN")
			w.ask(inside, "INSERT INTO ledger VALUES (77)")
			sleepUntilWritten(w)
			w.must(w.herd.Shutdown(0))
			for _, reader := range readers {
				w.ask(reader, "SELECT count(*) FROM ledger")
			}
			w.must(w.herd.Restart(w.ctx, 0))
			w.writesAgain(w.connect())
			w.stays(idle)
			if got := w.ask(idle, "SHOW work_mem"); got != "7MB" {
				t.Errorf("an idle session has work_mem %s", got)
			}
			wantCode(t, inside, "COMMIT", "40001")
			if got := w.ask(inside, "SELECT count(*) FROM ledger WHERE id = 77"); got != "0" {
				t.Errorf("%s rows of a lost transaction are there", got)
			}
			writing.end(0)
			w.allUp()
		})
	}
}

// wantCode sends a statement that must fail with this SQLSTATE, and leave the client connected.
func wantCode(t *testing.T, conn *pgconn.PgConn, sql, want string) {
	t.Helper()
	_, err := herdtest.Ask(conn, sql)
	if got := code(conn, err); got != want {
		t.Errorf("%s: SQLSTATE %q, want %s", sql, got, want)
	}
}
