package failover

import (
	"testing"
	"time"
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
// check, and are then answered by another node.
func TestStandbyFreezes(t *testing.T) {
	t.Parallel()
	w := start(t, "pool_mode = transaction", "load_balance_mode = on", "statement_level_load_balance = on", "health_check_timeout = 1")
	w.allUp()
	writing, reading := w.writes(2), w.reads(readers())
	reading.gets(50, "node1", "node2")
	w.must(w.herd.Freeze(1))
	w.shows("node1", "down")
	reading.gets(50, "node2")
	w.must(w.herd.Thaw(1))
	reading.gets(50, "node1")
	reading.end()
	writing.end(0)
	w.stays(w.connect())
}
