package failover

import (
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"pgherd/bench/herd/herdtest"
)

// TestStandbyDies kills a standby while clients read from it, in every form of the protocol, and write. No client is
// disconnected, no statement fails, and once the standby is back, reads go to it again.
func TestStandbyDies(t *testing.T) {
	for _, mode := range []string{"transaction", "session"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			w := start(t, "pool_mode = "+mode, "load_balance_mode = on", "statement_level_load_balance = on")
			w.allUp()
			writing, reading := w.writes(3), w.reads(append(readers(), readers()...))
			reading.gets(50, "node1", "node2")
			w.must(w.herd.Slay(1))
			reading.gets(50, "node2")
			time.Sleep(time.Second)
			if is := w.shows("node1", "down"); is.reason == "" {
				t.Errorf("node 1 is %+v, without a reason", is)
			}
			w.must(w.herd.Restart(w.ctx, 1))
			reading.gets(50, "node1")
			reading.end()
			writing.end(0)
			w.stays(w.connect())
		})
	}
}

// TestStandbyFreezes freezes a standby, whose connections stay open. Requests that were sent to it wait for the health
// check, and are then answered by another node: every client gets its answers while the standby stays frozen.
func TestStandbyFreezes(t *testing.T) {
	t.Parallel()
	w := start(t, "pool_mode = transaction", "load_balance_mode = on", "statement_level_load_balance = on", "health_check_timeout = 1")
	w.allUp()
	writing, reading := w.writes(2), w.reads(readers())
	reading.gets(50, "node1", "node2")
	var others []*pgconn.PgConn
	for range 8 {
		others = append(others, w.connect())
		w.ask(others[len(others)-1], "SELECT count(*) FROM ledger")
	}
	w.must(w.herd.Freeze(1))
	var asking sync.WaitGroup
	for _, conn := range others {
		asking.Go(func() {
			for range 5 {
				if _, err := herdtest.Ask(conn, "SELECT count(*) FROM ledger"); err != nil {
					t.Errorf("a read while node 1 is frozen: got error %v", err)
				}
			}
		})
	}
	asking.Wait()
	w.shows("node1", "down")
	reading.gets(50, "node2")
	w.must(w.herd.Thaw(1))
	reading.gets(50, "node1")
	reading.end()
	writing.end(0)
	w.stays(w.connect())
}
