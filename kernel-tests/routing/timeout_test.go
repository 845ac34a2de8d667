package routing_test

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"pgherd/bench/herd"
	"pgherd/bench/herd/herdtest"
)

// TestTimeoutsAreForTheClientAlone checks that a client's timeouts do not end pgherd's own queries on its server, because
// that would end the client as well. PostgreSQL has transaction_timeout since 17.
func TestTimeoutsAreForTheClientAlone(t *testing.T) {
	for _, name := range []string{"statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout", "transaction_timeout"} {
		t.Run(name, func(t *testing.T) {
			if on(t, 0, "SELECT count(*) FROM pg_settings WHERE name = '"+name+"'") == "0" {
				t.Skip("PostgreSQL 17 and later have transaction_timeout")
			}
			proxy := startProxy(t, "pool_mode = transaction\n")
			unlock := lockCatalog(t)
			conn, err := herdtest.Connect(dsn(proxy.Port, herd.User, herd.Database) + " options='-c " + name + "=300'")
			if err != nil {
				t.Fatal(err)
			}
			defer closeConn(conn)
			asked := make(chan error, 1)
			go func() {
				_, err := ask(conn, "SELECT 1")
				asked <- err
			}()
			time.Sleep(time.Second) // meanwhile the question for the catalog waits
			unlock()
			if err := <-asked; err != nil {
				t.Error(err)
			}
			mustAsk(t, conn, "SELECT 2")
		})
	}
}

// lockCatalog locks a system table that only pgherd's question reads.
func lockCatalog(t *testing.T) (unlock func()) {
	t.Helper()
	conn, err := pgconn.Connect(t.Context(), dsn(world.herd.Nodes()[0].Port, herd.Superuser, herd.Database))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.Background()) })
	mustAsk(t, conn, "BEGIN; LOCK TABLE pg_catalog.pg_policy IN ACCESS EXCLUSIVE MODE")
	return func() { mustAsk(t, conn, "COMMIT") }
}
