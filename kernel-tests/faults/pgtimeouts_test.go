package faults_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"pgherd/bench/herd"
)

// endsWith waits until the connection ends, with an error of this SQLSTATE. It sends nothing.
func endsWith(t *testing.T, conn *pgconn.PgConn, code string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), answerLimit)
	defer cancel()
	wantState(t, conn.WaitForNotification(ctx), code)
}

// TestIdleSessionTimeout checks that PostgreSQL's idle_session_timeout ends the client that has set it, in whatever way,
// and neither another client of the same servers nor an idle server.
func TestIdleSessionTimeout(t *testing.T) {
	for name, c := range map[string]struct {
		role         bool // the role has the setting
		options, set string
	}{
		"SET":        {false, "", "SET idle_session_timeout = '1s'"},
		"options":    {false, "options='-c idle_session_timeout=1s'", "SELECT 1"},
		"set_config": {false, "", "SELECT set_config('idle_session_timeout', '1000', false)"},
		"role":       {true, "", "SELECT 1"},
		"log-in":     {true, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			if c.role {
				direct(t, "ALTER ROLE "+herd.User+" SET idle_session_timeout = '1s'")
				defer direct(t, "ALTER ROLE "+herd.User+" RESET idle_session_timeout")
			}
			engines(t, func(t *testing.T, engine string) {
				proxy := start(t, engine, "pool_mode = transaction\ndefault_pool_size = 1\n")
				first := connectAs(t, proxy, herd.User, c.options)
				server := mustAsk(t, first, "SELECT pg_backend_pid()")
				brief := first
				if !c.role && c.options == "" {
					brief = connectAs(t, proxy, herd.User, c.options)
				}
				if c.set != "" {
					mustAsk(t, brief, c.set)
				}
				if !c.role && c.options == "" { // the setting does not concern another client of the server
					mustAsk(t, first, "SELECT 1")
					endsWith(t, brief, "57P05")
					if got := mustAsk(t, first, "SELECT current_setting('idle_session_timeout')"); got != "0" {
						t.Errorf("another client has %q", got)
					}
				} else {
					if got := mustAsk(t, brief, "SELECT current_setting('idle_session_timeout')"); got != "1s" {
						t.Errorf("the client has %q", got)
					}
					endsWith(t, brief, "57P05")
				}
				again := connectAs(t, proxy, herd.User, c.options)
				if got := mustAsk(t, again, "SELECT pg_backend_pid()"); got != server {
					t.Errorf("the server, %s, was ended: it is %s", server, got)
				}
			})
		})
	}
}

// TestTimeoutOfAHeldBegin checks that pgherd ends the client while its BEGIN is held back, because there is no server
// that would.
func TestTimeoutOfAHeldBegin(t *testing.T) {
	engines(t, func(t *testing.T, engine string) {
		for _, mode := range []string{"session", "transaction"} {
			proxy := startProxy(t, herd.ProxySettings{Nodes: world.herd.Nodes(), Config: "io_engine = " + engine + "\npool_mode = " + mode + "\n"})
			for _, begin := range []string{"BEGIN", "BEGIN; SELECT 1"} {
				conn := connect(t, proxy)
				mustAsk(t, conn, "SET idle_in_transaction_session_timeout = '1s'")
				ctx, cancel := context.WithTimeout(t.Context(), answerLimit)
				_, err := conn.Exec(ctx, begin).ReadAll()
				cancel()
				if err != nil {
					t.Fatal(err)
				}
				endsWith(t, conn, "25P03")
			}
			other := connect(t, proxy)
			mustAsk(t, other, "BEGIN")
			time.Sleep(1500 * time.Millisecond) // this is longer than the other clients' timeout
			if got := mustAsk(t, other, "SELECT current_setting('idle_in_transaction_session_timeout')"); got != "0" {
				t.Error(fmt.Sprint("another client has ", got))
			}
			mustAsk(t, other, "COMMIT")
		}
	})
}
