package faults_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"pgherd/bench/herd"
)

// waiting waits until n clients are in the queue for a server.
func waiting(t *testing.T, watch *pgconn.PgConn, n int) {
	t.Helper()
	eventually(t, fmt.Sprintf("%d clients wait", n), func() error {
		rows, err := show(watch, "SHOW POOL_CLIENTS")
		if err != nil {
			return err
		}
		found := 0
		for _, row := range rows {
			if row["state"] == "wait_server" {
				found++
			}
		}
		if found != n {
			return fmt.Errorf("%d clients wait", found)
		}
		return nil
	})
}

// holder is a client that keeps a server until it leaves.
func holder(t *testing.T, p *herd.Proxy, user, options string) *pgconn.PgConn {
	t.Helper()
	conn := connectAs(t, p, user, options)
	mustAsk(t, conn, "SELECT 1")
	return conn
}

// TestQueueIsFIFO has thirty clients that share three servers. They are served in the order in which they have asked.
func TestQueueIsFIFO(t *testing.T) {
	engines(t, func(t *testing.T, engine string) {
		proxy := start(t, engine, "max_node_connections = 3")
		watch := connectAs(t, proxy, herd.Superuser, "")
		var holders []*pgconn.PgConn
		for range 3 {
			holders = append(holders, holder(t, proxy, herd.User, ""))
		}
		const clients = 27
		order, failed := make(chan int, clients), make(chan error, clients)
		for i := range clients {
			conn := connect(t, proxy)
			go func() {
				_, err := ask(conn, "SELECT 1")
				order <- i
				failed <- err
				closeConn(conn) // only now can the next client be served, because two holders stay
			}()
			waiting(t, watch, i+1)
		}
		closeConn(holders[0])
		for i := range clients {
			if err := <-failed; err != nil {
				t.Fatal(err)
			}
			if got := <-order; got != i {
				t.Errorf("client %d was served as number %d", got, i)
			}
		}
		if n := settled(t, proxy); n > 3 {
			t.Errorf("there are %d servers, want 3 at most", n)
		}
	})
}

// TestThirtyClientsThreeServers checks that clients that all ask at the same time are all served.
func TestThirtyClientsThreeServers(t *testing.T) {
	engines(t, func(t *testing.T, engine string) {
		proxy := start(t, engine, "max_node_connections = 3")
		watch := connectAs(t, proxy, herd.Superuser, "")
		settled(t, proxy)
		most := watchServers(t)
		err := each(120, 30, func(i int) error {
			conn, err := tryConnect(proxy, []string{herd.User, herd.UserMD5}[i%2], "")
			if err != nil {
				return err
			}
			defer closeConn(conn)
			got, err := ask(conn, fmt.Sprintf("SELECT %d", i))
			if err == nil && got != fmt.Sprint(i) {
				err = fmt.Errorf("%w: got %q, want %d", errWrong, got, i)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
		// There may be one more while an evicted server is still ending: PostgreSQL is told by a FIN, which its process takes a
		// moment to read.
		t.Logf("PostgreSQL had at most %d connections; the limit is 3", most())
		rows, err := show(watch, showSQL)
		if err != nil || len(rows) > 3 {
			t.Errorf("there are %d servers, error %v", len(rows), err)
		}
		settled(t, proxy)
	})
}

func TestWaitEndsInTime(t *testing.T) {
	engines(t, func(t *testing.T, engine string) {
		proxy := start(t, engine, "max_node_connections = 1\nquery_wait_timeout = 1")
		watch := connectAs(t, proxy, herd.Superuser, "")
		first := holder(t, proxy, herd.User, "")
		conn := connect(t, proxy)
		_, err := ask(conn, "SELECT 1")
		wantState(t, err, "53300")
		if f, ok := errors.AsType[*pgconn.PgError](err); !ok || !strings.Contains(f.Hint, "max_node_connections") || f.Severity != "ERROR" {
			t.Errorf("the error does not say what to do: %+v", f)
		}
		extended := conn.ExecParams(t.Context(), "SELECT 1", nil, nil, nil, nil).Read()
		wantState(t, extended.Err, "53300")
		closeConn(first)
		if got := mustAsk(t, conn, "SELECT 'still here'"); got != "still here" {
			t.Errorf("got %q", got)
		}
		waiting(t, watch, 0)
	})
}

func TestWaitIsCanceled(t *testing.T) {
	engines(t, func(t *testing.T, engine string) {
		proxy := start(t, engine, "max_node_connections = 1")
		watch := connectAs(t, proxy, herd.Superuser, "")
		first := holder(t, proxy, herd.User, "")
		conn := connect(t, proxy)
		answer := make(chan error, 1)
		go func() { _, err := ask(conn, "SELECT 1"); answer <- err }()
		waiting(t, watch, 1)
		ctx, cancel := limited(answerLimit)
		defer cancel()
		if err := conn.CancelRequest(ctx); err != nil {
			t.Fatal(err)
		}
		wantState(t, <-answer, "57014")
		if got := mustAsk(t, first, "SELECT 'mine'"); got != "mine" {
			t.Errorf("the holder got %q", got)
		}
		closeConn(first)
		mustAsk(t, conn, "SELECT 1")
	})
}

// wantServers waits until alice has n servers, for pgherd and for PostgreSQL. A server that is being replaced is missing
// for a moment.
func wantServers(t *testing.T, p *herd.Proxy, n int) {
	t.Helper()
	eventually(t, fmt.Sprintf("there are %d servers", n), func() (err error) {
		if got := settled(t, p); got != n {
			err = fmt.Errorf("there are %d servers", got)
		}
		return err
	})
}

func TestServersAreClosedInTime(t *testing.T) {
	for _, c := range []struct {
		name, config string
		used, left   int
	}{
		{"idle", "server_idle_timeout = 1", 3, 0},
		{"old", "server_lifetime = 1", 3, 0},
		{"idle, minimum", "server_idle_timeout = 1\nmin_pool_size = 2", 4, 2},
		{"minimum is opened", "min_pool_size = 3", 1, 3},
		{"old, minimum", "server_lifetime = 2\nmin_pool_size = 1", 2, 1},
		{"not kept", "connection_cache = off", 3, 0},
		{"kept", "", 3, 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			proxy := start(t, "auto", c.config)
			var holders []*pgconn.PgConn
			for range c.used {
				holders = append(holders, holder(t, proxy, herd.User, ""))
			}
			before := mustAsk(t, holders[0], "SELECT pg_backend_pid()")
			for _, conn := range holders {
				closeConn(conn)
			}
			wantServers(t, proxy, c.left)
			after := mustAsk(t, connect(t, proxy), "SELECT pg_backend_pid()")
			if c.left == 0 && after == before {
				t.Errorf("server %s is still used", after)
			}
		})
	}
}

func TestLimitsOfDatabaseAndUser(t *testing.T) {
	for _, c := range []struct {
		name, config string
		user, other  string // a user who is over the limit, and one who is not
		otherOptions string
	}{
		{"database", "max_db_connections = 2", herd.UserMD5, herd.UserMD5, "dbname=postgres"},
		{"user", "max_user_connections = 2", herd.User, herd.UserMD5, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			proxy := start(t, "auto", c.config+"\nquery_wait_timeout = 2")
			holder(t, proxy, c.user, "")
			leaving := holder(t, proxy, herd.User, "")
			third := connectAs(t, proxy, herd.User, "")
			_, err := ask(third, "SELECT 1")
			wantState(t, err, "53300")
			mustAsk(t, connectAs(t, proxy, c.other, c.otherOptions), "SELECT 1")
			closeConn(leaving)
			mustAsk(t, third, "SELECT 1")
		})
	}
}

func TestClientIdleLimit(t *testing.T) {
	engines(t, func(t *testing.T, engine string) {
		proxy := startProxy(t, herd.ProxySettings{HBA: trustHBA, Config: "client_idle_limit = 1\nio_engine = " + engine})
		for _, sql := range []string{"", "SELECT 1", "BEGIN"} {
			conn := rawConn(t, proxy)
			if sql != "" {
				if _, err := rawAsk(conn, sql); err != nil {
					t.Fatal(err)
				}
			}
			_, err := readValue(conn)
			wantState(t, err, "57P05")
		}
		conn := rawConn(t, proxy) // a client that waits for its answer is not idle
		if got, err := rawAsk(conn, "SELECT 'late' FROM pg_sleep(2.5)"); err != nil || got != "late" {
			t.Errorf("got %q, error %v", got, err)
		}
	})
}

func TestMostClients(t *testing.T) {
	proxy := start(t, "auto", "max_client_conn = 5")
	var all []*pgconn.PgConn
	for range 5 {
		var conn *pgconn.PgConn
		eventually(t, "waitPrimary's client is gone", func() (err error) {
			conn, err = tryConnect(proxy, herd.User, "")
			return err
		})
		all = append(all, conn)
	}
	_, err := tryConnect(proxy, herd.User, "")
	wantState(t, err, "53300")
	for _, conn := range all {
		mustAsk(t, conn, "SELECT 1")
	}
	closeConn(all[0])
	eventually(t, "there is room again", func() error {
		conn, err := tryConnect(proxy, herd.User, "")
		if err == nil {
			closeConn(conn)
		}
		return err
	})
	for _, conn := range all {
		closeConn(conn)
	}
}

// leavings are what a session may leave on its server, and the query by which the next one would see it.
var leavings = []struct{ leave, look, want string }{
	{"SET work_mem = '77MB'", "SHOW work_mem", "4MB"},
	{"SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY", "SHOW default_transaction_read_only", "off"},
	{"SET client_encoding = 'LATIN1'", "SHOW client_encoding", "UTF8"},
	{"SET timezone = 'Asia/Tokyo'", "SELECT count(*) FROM pg_settings WHERE name = 'TimeZone' AND setting = 'Asia/Tokyo'", "0"},
	{"CREATE TEMP TABLE left_behind (i int)", "SELECT count(*) FROM pg_class WHERE relname = 'left_behind' AND pg_table_is_visible(oid)", "0"},
	{"PREPARE left_behind AS SELECT 1", "SELECT count(*) FROM pg_prepared_statements", "0"},
	{"SELECT pg_advisory_lock(4711)", "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'", "0"},
	{"LISTEN left_behind", "SELECT count(*) FROM pg_listening_channels()", "0"},
	{"DECLARE left_behind CURSOR WITH HOLD FOR SELECT 1", "SELECT count(*) FROM pg_cursors", "0"},
	{"BEGIN; INSERT INTO log VALUES ('left_behind', 1)", "SELECT count(*) FROM log WHERE client = 'left_behind'", "0"},
	{"BEGIN; SELECT 1/0", "SELECT 'usable'", "usable"},
}

// TestNothingLeaksToTheNextClient checks that what a session leaves does not reach the next one on the same server, in
// whatever way it has left.
func TestNothingLeaksToTheNextClient(t *testing.T) {
	engines(t, func(t *testing.T, engine string) {
		proxy := start(t, engine, "max_node_connections = 1\nworkers = 2")
		for round := range 2 {
			for _, l := range leavings {
				conn := connect(t, proxy)
				pid := mustAsk(t, conn, "SELECT pg_backend_pid()")
				if _, err := ask(conn, l.leave); err != nil && sqlstate(err) != "22012" {
					t.Fatalf("%s: got error %v", l.leave, err)
				}
				if round == 0 {
					closeConn(conn)
				} else {
					vanish(conn.Conn(), true)
				}
				next := connect(t, proxy)
				if got := mustAsk(t, next, l.look); got != l.want {
					t.Errorf("after %s, %s is %q, want %q", l.leave, l.look, got, l.want)
				}
				if again := mustAsk(t, next, "SELECT pg_backend_pid()"); again != pid && round == 0 {
					t.Errorf("after %s: got server %s, not %s, so nothing was tested", l.leave, again, pid)
				}
				wantParameters(t, next)
				closeConn(next)
			}
		}
		allIdle(t, proxy)
		settled(t, proxy)
	})
}

// wantParameters checks that the parameters that the client was told are in force.
func wantParameters(t *testing.T, conn *pgconn.PgConn) {
	t.Helper()
	for _, name := range []string{"client_encoding", "TimeZone", "DateStyle", "standard_conforming_strings", "is_superuser"} {
		if told, real := conn.ParameterStatus(name), mustAsk(t, conn, "SHOW "+name); told != real {
			t.Errorf("the client was told that %s is %q, but it is %q", name, told, real)
		}
	}
}

// TestNotificationIsNotInherited checks that a notification for a client that has listened before does not reach the
// next client.
func TestNotificationIsNotInherited(t *testing.T) {
	engines(t, func(t *testing.T, engine string) {
		proxy := start(t, engine, "max_node_connections = 1")
		conn := connect(t, proxy)
		mustAsk(t, conn, "LISTEN gossip")
		closeConn(conn)
		heard := make(chan string, 8)
		config, err := pgconn.ParseConfig(dsn(proxy.Port, herd.User))
		if err != nil {
			t.Fatal(err)
		}
		config.OnNotification = func(_ *pgconn.PgConn, n *pgconn.Notification) { heard <- n.Payload }
		next, err := pgconn.ConnectConfig(t.Context(), config)
		if err != nil {
			t.Fatal(err)
		}
		defer closeConn(next)
		mustAsk(t, next, "LISTEN news")
		direct(t, "NOTIFY gossip, 'not for you'; NOTIFY news, 'for you'")
		ctx, cancel := context.WithTimeout(t.Context(), answerLimit)
		defer cancel()
		if err := next.WaitForNotification(ctx); err != nil { // it would arrive while the client is idle
			t.Fatal(err)
		}
		if got := <-heard; got != "for you" {
			t.Errorf("the next client got the notification %q", got)
		}
	})
}
