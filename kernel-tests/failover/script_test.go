package failover

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgherd/bench/herd/herdtest"
)

// TestScript: with failover_mode = script the commands alone promote the first standby, and have the
// other one follow it. pgherd's own user may change nothing on nodes, and need not.
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
	writing.mayLose = true // as with Pgpool-II, nobody asks which standby has the most
	w.must(w.herd.Slay(0))
	if got := w.promoted(0); got != 1 {
		t.Errorf("the primary is node %d, and node 1 is the first standby", got)
	}
	w.eventually("the other standby follows", func() error {
		if got := w.on(1, "SELECT count(*) FROM pg_stat_replication WHERE application_name = 'node2' AND state = 'streaming'"); got != "1" {
			return fmt.Errorf("streaming: %s; commands were told:\n%s", got, strings.Join(lines(t, file), "\n"))
		}
		return nil
	})
	w.shows("node2", "up")
	writing.end(1)
	for _, act := range []string{"revoke is done", "ask is done", "failover is off"} {
		if strings.Contains(w.log(), act) {
			t.Errorf("pgherd's log has %q", act)
		}
	}
	if got := lines(t, file); len(got) != 2 {
		t.Errorf("each command runs once, but they ran:\n%s", strings.Join(got, "\n"))
	}
}
