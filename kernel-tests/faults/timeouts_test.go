package faults_test

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"pgherd/bench/herd"
)

// TestWaitersAreToldAndStay checks that clients that wait in vain get a notice, then an error that says why, and stay
// connected.
func TestWaitersAreToldAndStay(t *testing.T) {
	engines(t, func(t *testing.T, engine string) {
		const waiters = 20
		proxy := start(t, engine, "pool_mode = transaction\nmax_db_connections = 2\nquery_wait_notify = 1\nquery_wait_timeout = 2")
		var holders []*pgconn.PgConn
		for range 2 {
			conn := connect(t, proxy)
			mustAsk(t, conn, "BEGIN")
			holders = append(holders, conn)
		}
		var all []*pgconn.PgConn
		var notices [waiters]atomic.Int64
		for i := range waiters {
			all = append(all, connectNoticed(t, proxy, &notices[i]))
		}
		err := each(waiters, waiters, func(i int) error { return waitInVain(all[i], i%2 == 0) })
		if err != nil {
			t.Error(err)
		}
		for i := range waiters {
			if n := notices[i].Load(); n != 1 {
				t.Errorf("client %d got %d notices about its wait, want one", i, n)
			}
		}
		for _, conn := range holders {
			mustAsk(t, conn, "COMMIT")
		}
		for i, conn := range all {
			if got := mustAsk(t, conn, fmt.Sprintf("SELECT 'client %d'", i)); got != fmt.Sprintf("client %d", i) {
				t.Errorf("client %d got %q", i, got)
			}
		}
		logWaits(t, proxy)
		settled(t, proxy)
	})
}

// connectNoticed connects a client, and counts its notices about waiting.
func connectNoticed(t *testing.T, p *herd.Proxy, notices *atomic.Int64) *pgconn.PgConn {
	t.Helper()
	config, err := pgconn.ParseConfig(dsn(p.Port, herd.User))
	if err != nil {
		t.Fatal(err)
	}
	config.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) {
		if strings.Contains(n.Message, "waiting for a server") && n.Severity == "NOTICE" {
			notices.Add(1)
		}
	}
	conn, err := pgconn.ConnectConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeConn(conn) })
	return conn
}

func waitInVain(conn *pgconn.PgConn, extended bool) error {
	ctx, cancel := limited(answerLimit)
	defer cancel()
	var err error
	if extended {
		err = conn.ExecParams(ctx, "SELECT $1::int", [][]byte{[]byte("1")}, nil, nil, nil).Read().Err
	} else {
		err = conn.Exec(ctx, "SELECT 1").Close()
	}
	fault, ok := err.(*pgconn.PgError)
	if !ok || fault.Code != "53300" || fault.Severity != "ERROR" || !strings.Contains(fault.Hint, "max_db_connections") {
		return fmt.Errorf("got %v (%+v), want 53300 with a hint", err, fault)
	}
	return nil
}

// TestQueryTimeout checks that a statement that takes too long is canceled, and that the session goes on with what it
// had.
func TestQueryTimeout(t *testing.T) {
	engines(t, func(t *testing.T, engine string) {
		proxy := start(t, engine, oneServer+"query_timeout = 1")
		conn, other := connect(t, proxy), connect(t, proxy)
		mustAsk(t, conn, "SET work_mem = '7MB'")
		_, err := ask(conn, "SELECT pg_sleep(60)")
		wantState(t, err, "57014")
		mustAsk(t, other, "SELECT 1")
		r := conn.ExecParams(t.Context(), "SELECT pg_sleep(60)", nil, nil, nil, nil).Read()
		wantState(t, r.Err, "57014")
		if got := mustAsk(t, conn, "SHOW work_mem"); got != "7MB" {
			t.Errorf("work_mem is %s", got)
		}
		mustAsk(t, conn, "BEGIN")
		_, err = ask(conn, "SELECT pg_sleep(60)")
		wantState(t, err, "57014")
		_, err = ask(conn, "SELECT 1")
		wantState(t, err, "25P02")
		mustAsk(t, conn, "ROLLBACK")
		mustAsk(t, other, "SELECT 1")
	})
}

// TestIdleTransactionTimeout checks that a client that is silent inside a transaction is ended. Its server is rolled back
// and serves the next client.
func TestIdleTransactionTimeout(t *testing.T) {
	engines(t, func(t *testing.T, engine string) {
		proxy := startProxy(t, herd.ProxySettings{HBA: trustHBA, Config: oneServer + "idle_transaction_timeout = 1\nio_engine = " + engine})
		other := connect(t, proxy)
		pid := mustAsk(t, other, "SELECT pg_backend_pid()")
		for _, sql := range []string{"BEGIN; INSERT INTO log VALUES ('silent', 1)", "BEGIN; SET work_mem = '7MB'; SELECT 1/0"} {
			silent, err := rawLogin(proxy)
			if err != nil {
				t.Fatal(err)
			}
			defer silent.Close()
			if _, err := rawAsk(silent, sql); err != nil && sqlstate(err) != "22012" {
				t.Fatal(err)
			}
			waits := make(chan error, 1)
			go func() { _, err := ask(other, "SELECT 1"); waits <- err }()
			_, err = readValue(silent)
			wantState(t, err, "25P03")
			if err := <-waits; err != nil {
				t.Errorf("the next client got error %v", err)
			}
			if got := mustAsk(t, other, "SELECT count(*) FROM log WHERE client = 'silent'"); got != "0" {
				t.Errorf("%s rows were committed", got)
			}
			if got := mustAsk(t, other, "SELECT pg_backend_pid() || ' ' || current_setting('work_mem')"); got != pid+" 4MB" {
				t.Errorf("the next client got %s, want %s 4MB", got, pid)
			}
		}
		outside, err := rawLogin(proxy) // no client is ended outside a transaction
		if err != nil {
			t.Fatal(err)
		}
		defer outside.Close()
		if got, err := rawAsk(outside, "SELECT 'late' FROM pg_sleep(1.5)"); err != nil || got != "late" {
			t.Errorf("got %q, error %v", got, err)
		}
	})
}
