package failover

import (
	"strings"
	"testing"

	"pgherd/bench/herd/herdtest"
)

// TestProxyRestarts stops pgherd after a failover, and starts the old primary meanwhile. pgherd believes its state
// file: of the two nodes that say that they are primaries it uses the one that it has promoted.
func TestProxyRestarts(t *testing.T) {
	t.Parallel()
	w := start(t, "pool_mode = transaction")
	w.allUp()
	writing := w.writes(2)
	sleepUntilWritten(w)
	w.must(w.herd.Slay(0))
	now := w.promoted(0)
	writing.end(now)
	w.restartProxy(func() { w.must(w.herd.Restart(w.ctx, 0)) })
	if got := w.writesAgain(w.connect()); got != name(now) {
		t.Errorf("after the restart the primary is %s, want node %d", got, now)
	}
	if is := w.shows("node0", "quarantine"); !strings.Contains(is.reason, "says that it is primary") {
		t.Errorf("node 0 is %+v", is)
	}
}

// TestStateFileIsOld checks a state file that names a dead primary, because an administrator has promoted another node
// while pgherd was stopped. pgherd gives up the file. (pgpool2#48)
func TestStateFileIsOld(t *testing.T) {
	t.Parallel()
	w := start(t, "pool_mode = transaction")
	w.allUp()
	w.ask(w.eye, "INSERT INTO ledger VALUES (1)")
	w.restartProxy(func() {
		w.must(w.herd.Slay(0))
		w.on(2, "SELECT pg_promote()")
		w.must(w.herd.Copy(w.ctx, 1, 2))
	})
	if got := w.writesAgain(w.connect()); got != "node2" {
		t.Errorf("the primary is %s", got)
	}
	w.logs("the status file is given up")
	if got := w.ask(w.eye, "SELECT count(*) FROM ledger WHERE id = 1"); got != "1" {
		t.Errorf("%s acknowledged rows are there", got)
	}
	w.shows("node0", "down")
	w.shows("node1", "up")
}

// TestStateFileNamesADeadPrimary checks that no node is promoted by an old state file, after the primary has died while
// pgherd was stopped and no node has taken its place: there may be a living primary that pgherd cannot see. A log-in
// waits, and succeeds once the primary is back.
func TestStateFileNamesADeadPrimary(t *testing.T) {
	t.Parallel()
	w := start(t, "pool_mode = transaction")
	w.allUp()
	w.must(w.proxy.Stop())
	w.must(w.herd.Slay(0))
	w.set.Port = w.proxy.Port
	w.proxy = herdtest.StartProxy(t, w.set)
	w.logs("nobody is promoted by it")
	login := make(chan error, 1)
	go func() {
		conn, err := herdtest.Connect(w.dsn())
		if err == nil {
			_, err = herdtest.Ask(conn, "INSERT INTO ledger VALUES (1)")
			herdtest.Close(conn)
		}
		login <- err
	}()
	w.must(w.herd.Restart(w.ctx, 0))
	if err := <-login; err != nil {
		t.Error(err)
	}
	w.stays(w.connect())
}
