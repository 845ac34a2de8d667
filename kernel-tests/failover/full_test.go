package failover

import (
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"pgherd/bench/herd"
	"pgherd/bench/herd/herdtest"
)

// TestPrimaryIsFull fills the primary with clients, so that it accepts no more connections, not even that of pgherd's
// health check. It is alive, so there is no failover, and connected clients go on.
func TestPrimaryIsFull(t *testing.T) {
	t.Parallel()
	w := scene{herd: herd.Settings{Config: []string{"max_connections = 30"}}, sync: anyOne, config: []string{"pool_mode = transaction"}}.start(t)
	w.allUp()
	conn := w.connect()
	w.ask(conn, "INSERT INTO ledger VALUES (1)")
	var fill []*pgconn.PgConn
	primary := w.herd.Nodes()[0]
	full := func() bool {
		one, err := herdtest.Connect(fmt.Sprintf("host=%s port=%d user=postgres password=postgres dbname=app sslmode=disable", primary.Host, primary.Port))
		if err == nil {
			fill = append(fill, one)
		}
		return err != nil && strings.Contains(err.Error(), "53300")
	}
	w.eventually("the primary is full", func() error {
		for !full() {
		}
		// This takes the connection of the health check, too.
		herdtest.MustAsk(t, fill[0], "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = 'postgres' AND datname = 'postgres' AND backend_type = 'client backend'")
		for range 10 {
			if !full() {
				break
			}
		}
		if strings.Contains(w.log(), "verdict=full") {
			return nil
		}
		return fmt.Errorf("the health check still has a connection")
	})
	w.ask(conn, "INSERT INTO ledger VALUES (2)")
	w.stays(conn)
	for _, one := range fill {
		herdtest.Close(one)
	}
	w.logs("node answers again")
	w.stays(w.connect())
	w.allUp()
}
