package failover

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgherd/bench/herd/herdtest"
)

// recorder is a command that appends its arguments as a line to a file, and then runs another command.
func recorder(file, name, then string) string {
	return fmt.Sprintf("%s = 'echo %s node %%d at %%h %%p, primary %%m at %%H %%r, former %%P >>%s; %s'\n", name, name, file, then)
}

// lines are the arguments with which the commands were called.
func lines(t *testing.T, file string) []string {
	text, err := os.ReadFile(file)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(string(text)), "\n")
}

// TestFailoverCommand checks the commands of a user who comes from Pgpool-II: they promote the standby that pgherd has
// chosen, prepare the other one, and are called when a standby is lost and comes back.
func TestFailoverCommand(t *testing.T) {
	file := filepath.Join(t.TempDir(), "told")
	w := start(t, recorder(file, "failover_command", `[ %d != 0 ] || PGPASSWORD=postgres psql -h %H -p %r -U postgres -d postgres -c "SELECT pg_promote()"`)+
		recorder(file, "failback_command", "true")+recorder(file, "follow_primary_command", "true")+"auto_failback = on\nauto_failback_interval = 1\n")
	asker := w.connect()
	at := func(i int) string { return fmt.Sprintf("%s %d", w.herd.Nodes()[i].Host, w.herd.Nodes()[i].Port) }
	told := func(what string) {
		t.Helper()
		herdtest.Eventually(t, what, func() error {
			if got := lines(t, file); !slices.Contains(got, what) {
				return fmt.Errorf("commands were called with:\n%s", strings.Join(got, "\n"))
			}
			return nil
		})
	}
	if err := w.herd.Slay(2); err != nil {
		t.Fatal(err)
	}
	told("failover_command node 2 at " + at(2) + ", primary 0 at " + at(0) + ", former 0")
	if err := w.herd.Restart(w.ctx, 2); err != nil {
		t.Fatal(err)
	}
	told("failback_command node 2 at " + at(2) + ", primary 0 at " + at(0) + ", former 0")
	if err := w.herd.Slay(0); err != nil {
		t.Fatal(err)
	}
	herdtest.MustAsk(t, asker, "INSERT INTO ledger VALUES (1)")
	name := w.primary(asker)
	primary, other := 1, 2
	if name == "node2" {
		primary, other = 2, 1
	}
	told(fmt.Sprintf("failover_command node 0 at %s, primary %d at %s, former 0", at(0), primary, at(primary)))
	told(fmt.Sprintf("follow_primary_command node %d at %s, primary %d at %s, former 0", other, at(other), primary, at(primary)))
	herdtest.Eventually(t, "the other standby follows", func() error {
		if got := w.on(primary, "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'"); got != "1" {
			return fmt.Errorf("streaming standbys: %s", got)
		}
		return nil
	})
	if got := lines(t, file); len(got) != 4 {
		t.Errorf("each command runs once for its event, but they ran:\n%s", strings.Join(got, "\n"))
	}
}

// TestFailoverCommandFails checks that after a failed command no node is promoted, that the log has the command's
// output, and that clients go on once an administrator has promoted the chosen node.
func TestFailoverCommandFails(t *testing.T) {
	file := filepath.Join(t.TempDir(), "told")
	w := start(t, "failover_wait_timeout = 60\n"+recorder(file, "failover_command", "echo no route to host; exit 2"))
	asker := w.connect()
	if err := w.herd.Slay(0); err != nil {
		t.Fatal(err)
	}
	chosen := -1
	herdtest.Eventually(t, "the command was run", func() error {
		_, err := fmt.Sscanf(lines(t, file)[0], "failover_command node 0 at "+w.herd.Nodes()[0].Host+" "+fmt.Sprint(w.herd.Nodes()[0].Port)+", primary %d", &chosen)
		return err
	})
	herdtest.Eventually(t, "the log has the command's output", func() error {
		if log := w.log(); !strings.Contains(log, "failover_command failed") || !strings.Contains(log, "no route to host") {
			return fmt.Errorf("the log does not have the command's output")
		}
		return nil
	})
	for i := 1; i < 3; i++ {
		if got := w.on(i, "SELECT pg_is_in_recovery()"); got != "t" {
			t.Errorf("node %d was promoted", i)
		}
	}
	w.on(chosen, "SELECT pg_promote()")
	herdtest.MustAsk(t, asker, "INSERT INTO ledger VALUES (1)")
	if name := w.primary(asker); name != fmt.Sprint("node", chosen) {
		t.Errorf("the primary is %s, and node %d was promoted", name, chosen)
	}
}
