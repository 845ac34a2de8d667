package faults_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"pgherd/bench/herd"
)

// oneServer makes the next client notice if a client keeps the server. Tests use it unless they say otherwise.
const oneServer = "pool_mode = transaction\nmax_db_connections = 1\n"

// myself is the asking client's row of SHOW POOL_CLIENTS.
func myself(conn *pgconn.PgConn) (map[string]string, error) {
	rows, err := show(conn, "SHOW POOL_CLIENTS")
	if err != nil {
		return nil, err
	}
	for _, row := range rows {
		if row["me"] == "true" {
			return row, nil
		}
	}
	return nil, fmt.Errorf("none of the %d clients shown is the one that asks", len(rows))
}

// wantMyself waits until SHOW POOL_CLIENTS shows this of conn.
func wantMyself(t *testing.T, conn *pgconn.PgConn, what string, so func(map[string]string) bool) {
	t.Helper()
	eventually(t, "SHOW POOL_CLIENTS: "+what, func() error {
		row, err := myself(conn)
		if err == nil && !so(row) {
			err = fmt.Errorf("the row has mode %q, pinned %q, server %q", row["pool_mode"], row["pinned"], row["server_pid"])
		}
		return err
	})
}

// wantRefused checks that err has SQLSTATE 0A000 and a hint that says what to do.
func wantRefused(t *testing.T, what string, err error, hint string) {
	t.Helper()
	fault, ok := errors.AsType[*pgconn.PgError](err)
	if !ok || fault.Code != "0A000" || fault.Severity != "ERROR" || !strings.Contains(fault.Hint, hint) {
		t.Errorf("%s: got %v (%+v), want 0A000 with a hint of %q", what, err, fault, hint)
	}
}

// pins are statements that pin a server, with the reason that is shown and the statement that ends the pin.
var pins = []struct{ sql, reason, undo string }{
	{"CREATE TEMP TABLE mine (i int)", "temporary", "DROP TABLE mine"},
	{"CREATE TEMP TABLE mine (i int)", "temporary", "DISCARD TEMP"},
	{"LISTEN news", "LISTEN", "UNLISTEN news"},
	{"LISTEN news", "LISTEN", "UNLISTEN *"},
	{"SELECT pg_advisory_lock(4711)", "advisory", "SELECT pg_advisory_unlock(4711)"},
	{"SELECT pg_advisory_lock(4711)", "advisory", "SELECT pg_advisory_unlock_all()"},
	{"DECLARE held CURSOR WITH HOLD FOR SELECT 1", "cursor", "CLOSE held"},
	{"LOAD 'auto_explain'", "LOAD", "DISCARD ALL"},
	{"SELECT setseed(0.5)", "setseed", "DISCARD ALL"},
	{"LISTEN news; CREATE TEMP TABLE mine (i int); SELECT pg_advisory_lock(4711)", "", "DISCARD ALL"},
}

// TestPinnedUntilTheCauseIsGone checks that a client that has left something on its server keeps it until that is gone.
// The next client waits, and finds nothing of it.
func TestPinnedUntilTheCauseIsGone(t *testing.T) {
	engines(t, func(t *testing.T, engine string) {
		proxy := start(t, engine, oneServer)
		conn, other := connectAs(t, proxy, herd.Superuser, ""), connectAs(t, proxy, herd.Superuser, "")
		for i, pin := range pins {
			mustAsk(t, conn, pin.sql)
			wantMyself(t, conn, "pinned by "+pin.sql, func(row map[string]string) bool {
				return row["pinned"] != "" && strings.Contains(strings.ToLower(row["pinned"]), strings.ToLower(pin.reason)) && row["server_pid"] != ""
			})
			eventually(t, "it is counted", func() error {
				rows, err := show(conn, "SHOW POOL_STATS")
				if err == nil && (len(rows) != 1 || rows[0]["pins"] != fmt.Sprint(i+1)) {
					err = fmt.Errorf("pins: %v, want %d", rows, i+1)
				}
				return err
			})
			answer := make(chan error, 1)
			go func() {
				got, err := ask(other, "SELECT (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory') + "+
					"(SELECT count(*) FROM pg_listening_channels()) + (SELECT count(*) FROM pg_class WHERE relname = 'mine')")
				if err == nil && got != "0" {
					err = fmt.Errorf("%w: %s objects are left behind", errWrong, got)
				}
				answer <- err
			}()
			waiting(t, conn, 1)
			mustAsk(t, conn, pin.undo)
			if err := <-answer; err != nil {
				t.Errorf("after %s and %s: got error %v", pin.sql, pin.undo, err)
			}
			wantMyself(t, conn, "not pinned after "+pin.undo, func(row map[string]string) bool {
				return row["pinned"] == "" && row["server_pid"] == ""
			})
		}
	})
}

func TestPinsAreRefused(t *testing.T) {
	engines(t, func(t *testing.T, engine string) {
		proxy := start(t, engine, oneServer+"pin_policy = error")
		conn := connectAs(t, proxy, herd.Superuser, "")
		for _, pin := range pins {
			_, err := ask(conn, pin.sql)
			wantRefused(t, pin.sql, err, "pin_policy = pin")
			r := conn.ExecParams(t.Context(), strings.Split(pin.sql, ";")[0], nil, nil, nil, nil).Read()
			wantRefused(t, pin.sql+" (extended)", r.Err, "pin_policy = pin")
			_, err = ask(conn, "BEGIN; "+pin.sql)
			wantRefused(t, pin.sql+" (in a transaction)", err, "pin_policy = pin")
			mustAsk(t, conn, "ROLLBACK")
			if got := mustAsk(t, conn, "SELECT count(*) FROM pg_class WHERE relname = 'mine'"); got != "0" {
				t.Errorf("%s was refused, but done", pin.sql)
			}
		}
		mustAsk(t, conn, "BEGIN; CREATE TEMP TABLE brief (i int) ON COMMIT DROP; SELECT pg_advisory_xact_lock(1); COMMIT")
		wantMyself(t, conn, "not pinned", func(row map[string]string) bool { return row["pinned"] == "" })
	})
}

func TestStatementModeRefusesTransactions(t *testing.T) {
	engines(t, func(t *testing.T, engine string) {
		proxy := start(t, engine, "pool_mode = statement\nmax_db_connections = 1")
		conn, other := connect(t, proxy), connect(t, proxy)
		for _, sql := range []string{"BEGIN", "start transaction read only", "SELECT 1; BEGIN; SELECT 2"} {
			_, err := ask(conn, sql)
			wantRefused(t, sql, err, "pool_mode = transaction")
			mustAsk(t, other, "SELECT 'the server is free'")
		}
		r := conn.ExecParams(t.Context(), "BEGIN", nil, nil, nil, nil).Read()
		wantRefused(t, "BEGIN (extended)", r.Err, "pool_mode = transaction")
		for range 3 {
			mustAsk(t, conn, "SET work_mem = '7MB'")
			mustAsk(t, other, "SELECT 1")
			if got := mustAsk(t, conn, "SHOW work_mem"); got != "7MB" {
				t.Errorf("work_mem is %s", got)
			}
			mustAsk(t, other, "SELECT 1; SELECT 2")
		}
	})
}

func TestModesByDatabaseAndUser(t *testing.T) {
	proxy := start(t, "auto", "pool_mode = session\npool_mode_list = 'app/bob:statement, app/postgres:session, app:transaction, */postgres:statement'")
	for _, c := range []struct{ user, options, mode string }{
		{herd.User, "", "transaction"},
		{herd.UserMD5, "", "statement"},
		{herd.Superuser, "", "session"},
		{herd.Superuser, "dbname=postgres", "statement"},
		{herd.User, "dbname=postgres", "session"},
	} {
		conn := connectAs(t, proxy, c.user, c.options)
		mustAsk(t, conn, "SELECT 1")
		wantMyself(t, conn, c.user+" "+c.options+" has "+c.mode, func(row map[string]string) bool {
			return row["pool_mode"] == c.mode && (row["server_pid"] != "") == (c.mode == "session")
		})
		_, err := ask(conn, "BEGIN")
		if refused := sqlstate(err) == "0A000"; refused != (c.mode == "statement") {
			t.Errorf("user %s, options %s: BEGIN: got error %v", c.user, c.options, err)
		}
	}
}
