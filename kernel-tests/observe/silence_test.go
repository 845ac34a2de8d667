package observe

import (
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"pgherd/bench/herd"
	"pgherd/bench/herd/herdtest"
)

// TestSilenceWakesTheProbe of a node that would not be asked for an hour, while a query waits for
// it. Nothing else comes of it: the query has its answer once the link is mended.
func TestSilenceWakesTheProbe(t *testing.T) {
	if !permitted(t) {
		unwatched(t, herdtest.StartProxy(t, herd.ProxySettings{Binary: binary, Nodes: nodes}), "")
		return
	}
	c := newCable(t)
	p := herdtest.StartProxy(t, herd.ProxySettings{Binary: binary, Nodes: []herd.Node{relay(t, c, nodes[0])}, Config: "sr_check_period = 3600\nhealth_check_period = 3600\nlog_min_messages = debug1"})
	conn, eye := connect(t, p), connect(t, p)
	herdtest.MustAsk(t, conn, "SELECT 1")
	if n := failedChecks(t, eye); n != "0" {
		t.Fatalf("%s checks have failed already", n)
	}
	mend := c.cut(t)
	answer := make(chan error, 1)
	go func() {
		_, err := herdtest.Ask(conn, "SELECT 2")
		answer <- err
	}()
	herdtest.Eventually(t, "a check fails", func() error {
		if failedChecks(t, eye) == "0" {
			return fmt.Errorf("none has failed; %v", table(t, eye, "SHOW POOL_NETWORK"))
		}
		return nil
	})
	if row := table(t, eye, "SHOW POOL_NETWORK")[0]; row["timeouts"] == "0" {
		t.Errorf("no timeout is counted: %v", row)
	}
	mend(t)
	if err := <-answer; err != nil {
		t.Errorf("the query that waited: %v", err)
	}
}

// failedChecks is how many checks of the node have failed.
func failedChecks(t testing.TB, eye *pgconn.PgConn) string {
	t.Helper()
	return table(t, eye, "SHOW POOL_HEALTH_CHECK_STATS")[0]["fail_count"]
}
