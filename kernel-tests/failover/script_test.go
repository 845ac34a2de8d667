package failover

import (
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"pgherd/bench/herd/herdtest"
)

// TestScript: with failover_mode = script the commands alone promote a standby, and have the other one follow it. It is
// the one with the most WAL that they are told: the first one lags, and lacks what was acknowledged. pgherd's own user
// may change nothing on nodes, and need not.
func TestScript(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "told")
	on := func(node string) string { return "PGPASSWORD=postgres psql -q -U postgres -d postgres " + node }
	follow := on("-h %h -p %p") + ` -c "ALTER SYSTEM SET primary_conninfo = ''host=%H port=%r user=postgres password=postgres application_name=node%d''" -c "SELECT pg_reload_conf()"`
	config := append(slices.Clone(asWatch), "failover_mode = script", "admin_users = 'alice'",
		recorder(file, "failover_command", `[ %d != 0 ] || `+on("-h %H -p %r")+` -c "SELECT pg_promote()"`),
		recorder(file, "follow_primary_command", follow))
	w := scene{sync: anyOne, sql: watchRole, config: config}.start(t)
	w.allUp()
	operator, writing := w.connect(), w.writes(2)
	sleepUntilWritten(w)
	if _, err := herdtest.Ask(operator, "SWITCHOVER 1"); code(operator, err) != "55000" || !strings.Contains(hint(err), "failover_command") {
		t.Errorf("SWITCHOVER: %v, hint %q", err, hint(err))
	}
	w.sendsNothingMore("node1")
	sleepUntilWritten(w)
	w.must(w.herd.Slay(0))
	if got := w.promoted(0); got != 2 {
		t.Errorf("the primary is node %d, and node 2 has the most", got)
	}
	w.eventually("the other standby follows", func() error {
		if got := w.on(2, "SELECT count(*) FROM pg_stat_replication WHERE application_name = 'node1' AND state = 'streaming'"); got != "1" {
			return fmt.Errorf("streaming: %s; commands were told:\n%s", got, strings.Join(lines(t, file), "\n"))
		}
		return nil
	})
	w.shows("node1", "up")
	writing.end(2)
	for _, act := range []string{"revoke is done", "failover is off"} {
		if strings.Contains(w.log(), act) {
			t.Errorf("pgherd's log has %q", act)
		}
	}
	if got := lines(t, file); len(got) != 2 {
		t.Errorf("each command runs once, but they ran:\n%s", strings.Join(got, "\n"))
	}
}

// sendsNothingMore stops the process of node 0 that sends WAL to a standby.
func (w *world) sendsNothingMore(standby string) {
	w.Helper()
	sender, err := strconv.Atoi(w.on(0, "SELECT pid FROM pg_stat_replication WHERE application_name = '"+standby+"'"))
	w.must(err)
	w.must(syscall.Kill(sender, syscall.SIGSTOP))
}
