package failover

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pgherd/bench/herd/herdtest"
)

// TestSwitchover makes another node the primary while clients write and are inside transactions. There is no error, no
// client is disconnected, and nothing is lost. The old primary is a standby once it is started.
func TestSwitchover(t *testing.T) {
	for _, mode := range []string{"transaction", "session"} {
		t.Run(mode, func(t *testing.T) {
			w := start(t, "pool_mode = "+mode+"\nadmin_users = 'alice'\n")
			inside, operator := w.connect(), w.connect()
			herdtest.MustAsk(t, inside, "BEGIN")
			herdtest.MustAsk(t, inside, "INSERT INTO ledger VALUES (1)")
			writing := w.writes(4)
			time.Sleep(500 * time.Millisecond)
			ended := make(chan error, 1)
			go func() {
				time.Sleep(300 * time.Millisecond) // the transaction goes on while new ones wait
				if _, err := herdtest.Ask(inside, "INSERT INTO ledger VALUES (2)"); err != nil {
					ended <- err
					return
				}
				_, err := herdtest.Ask(inside, "COMMIT")
				ended <- err
			}()
			began := time.Now()
			herdtest.MustAsk(t, operator, "SWITCHOVER 2")
			t.Logf("switched over in %v", time.Since(began).Round(time.Millisecond))
			if err := <-ended; err != nil {
				t.Errorf("a transaction that was running: got error %v", err)
			}
			time.Sleep(500 * time.Millisecond)
			if name := w.primary(operator); name != "node2" {
				t.Fatalf("the primary is %s", name)
			}
			writing.end(2)
			for _, one := range writing.all {
				for id, told := range one.told {
					if told != "" {
						t.Errorf("row %d: %s", id, told)
					}
				}
			}
			if got := w.on(2, "SELECT count(*) FROM ledger WHERE id < 3"); got != "2" {
				t.Errorf("the transaction that was running has left %s rows", got)
			}
			if err := w.herd.Restart(w.ctx, 0); err != nil {
				t.Fatal(err)
			}
			herdtest.Eventually(t, "the old primary is a standby", func() error {
				if got := w.on(2, "SELECT count(*) FROM pg_stat_replication WHERE application_name = 'node0' AND state = 'streaming'"); got != "1" {
					return fmt.Errorf("streaming standbys: %s", got)
				}
				return nil
			})
		})
	}
}

// TestSwitchoverUndone checks that the primary stays the primary if it cannot be stopped.
func TestSwitchoverUndone(t *testing.T) {
	w := start(t, "admin_users = 'alice'\n")
	conn := w.connect()
	herdtest.MustAsk(t, conn, "INSERT INTO ledger VALUES (1)")
	if _, err := herdtest.Ask(conn, "SWITCHOVER 0"); err == nil || !strings.Contains(err.Error(), "it is the primary already") {
		t.Errorf("a switchover to the primary: got error %v", err)
	}
	if err := w.herd.Freeze(2); err != nil { // the node that should take over does not answer
		t.Fatal(err)
	}
	defer w.herd.Thaw(2)
	_, err := herdtest.Ask(conn, "SWITCHOVER 2")
	if err == nil || !strings.Contains(err.Error(), "node 0 is the primary still") {
		t.Errorf("a switchover to a node that does not answer: got error %v", err)
	}
	herdtest.MustAsk(t, conn, "INSERT INTO ledger VALUES (2)")
	if got := w.primary(conn); got != "node0" {
		t.Errorf("the primary is %s", got)
	}
}
