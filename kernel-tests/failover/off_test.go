package failover

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgherd/bench/herd/herdtest"
)

// wantAsBefore kills the primary of a pgherd that does not fail over. Its clients are disconnected, no node is
// promoted, and once the primary is back, clients are served again.
func (w *world) wantAsBefore() {
	w.Helper()
	conn := w.connect()
	w.ask(conn, "BEGIN; INSERT INTO ledger VALUES (1)")
	w.must(w.herd.Slay(0))
	_, err := herdtest.Ask(conn, "SELECT 1")
	if got := code(conn, err); !strings.HasPrefix(got, "lost") {
		w.Errorf("a client whose primary died: got %q", got)
	}
	w.must(w.herd.Restart(w.ctx, 0))
	w.eventually("the primary is used again", func() error {
		again, err := herdtest.Connect(w.dsn())
		if err != nil {
			return err
		}
		defer herdtest.Close(again)
		_, err = herdtest.Ask(again, "INSERT INTO ledger VALUES (2)")
		return err
	})
	for _, n := range []int{1, 2} {
		if got := w.on(n, "SELECT pg_is_in_recovery()"); got != "t" {
			w.Errorf("node %d was promoted", n)
		}
	}
}

// TestFailoverIsOff checks that with failover_mode = off all is as before there was a failover.
func TestFailoverIsOff(t *testing.T) {
	t.Parallel()
	w := start(t, "pool_mode = transaction", "failover_mode = off")
	w.wantAsBefore()
}

// watchRole creates a user for sr_check_user that is no superuser.
const watchRole = "CREATE ROLE watch LOGIN PASSWORD 'watch'; GRANT pg_monitor TO watch;"

var asWatch = []string{"pool_mode = transaction", "sr_check_user = 'watch'", "sr_check_password = 'watch'", "sr_check_database = 'app'", "health_check_user = ''"}

// TestHealthCheckUser: nodes are checked as health_check_user, and acted upon as sr_check_user. One that
// may not see enough is told at the start, and failover is off.
func TestHealthCheckUser(t *testing.T) {
	t.Parallel()
	checker := "CREATE ROLE checker LOGIN PASSWORD 'looks';"
	config := []string{"pool_mode = transaction", "health_check_user = 'checker'", "health_check_password = 'looks'", "health_check_database = 'app'"}
	w := scene{sync: anyOne, sql: checker, config: config}.start(t)
	w.logs("failover is off: health_check_user lacks rights on node 0: GRANT pg_monitor")
	w.on(0, "GRANT pg_monitor TO checker")
	w.must(w.herd.WaitStreaming(w.ctx))
	w.restartProxy(func() {})
	w.allUp()
	for i := range w.herd.Nodes() {
		w.eventually(name(i)+" is checked as checker", func() error {
			if got := w.on(i, "SELECT count(*) FROM pg_stat_activity WHERE usename = 'checker' AND datname = 'app'"); got != "1" {
				return fmt.Errorf("connections: %s", got)
			}
			return nil
		})
	}
	w.must(w.herd.Slay(0))
	w.shows(name(3-w.promoted(0)), "up")
}

// TestHealthCheckUserIsRefused checks that sr_check_user checks the nodes if health_check_user cannot log in. With
// Pgpool-II any name does, since it takes a refused log-in for a sign of life.
func TestHealthCheckUserIsRefused(t *testing.T) {
	t.Parallel()
	w := scene{sync: anyOne, config: []string{"pool_mode = transaction", "health_check_user = 'nobody'"}}.start(t)
	w.logs("health_check_user cannot log in, so that sr_check_user checks the node")
	w.allUp()
	w.must(w.herd.Slay(0))
	w.shows(name(3-w.promoted(0)), "up")
}

// TestNamesAreFound checks that a standby is promoted though nobody has told pgherd by which names the nodes stream, and
// the primary is in synchronous_standby_names itself.
func TestNamesAreFound(t *testing.T) {
	t.Parallel()
	config := []string{"pool_mode = transaction"}
	for i := range 3 {
		config = append(config, fmt.Sprintf("backend_application_name%d = ''", i))
	}
	w := scene{sync: anyOne, config: config}.start(t)
	w.allUp()
	writing := w.writes(2)
	sleepUntilWritten(w)
	w.must(w.herd.Slay(0))
	now := w.promoted(0)
	w.shows(name(3-now), "up")
	writing.end(now)
}

// TestWithoutRights checks that at the start the log says which rights the user lacks for a promotion, and that
// failover is then off.
func TestWithoutRights(t *testing.T) {
	t.Parallel()
	w := scene{sync: anyOne, sql: watchRole, config: asWatch}.start(t)
	for _, text := range []string{"failover is off: sr_check_user lacks rights on node", "primary_conninfo", "pg_promote"} {
		w.logs(text)
	}
	w.wantAsBefore()
}

// alterRight lets the user change primary_conninfo, which before PostgreSQL 15 only a superuser may.
const alterRight = `DO $$ BEGIN
 IF current_setting('server_version_num')::int >= 150000 THEN
  EXECUTE 'GRANT ALTER SYSTEM ON PARAMETER primary_conninfo TO watch';
 ELSE ALTER ROLE watch SUPERUSER; END IF; END $$;`

// TestLeastRights checks that the rights that pgherd names suffice: a standby is promoted, and the other one follows
// it. What a switchover and a recovery need besides is told at the start.
func TestLeastRights(t *testing.T) {
	t.Parallel()
	config := append(slices.Clone(asWatch), "recovery_1st_stage_command = 'recovery_1st_stage'")
	w := scene{sync: anyOne, config: config, sql: watchRole + alterRight +
		"GRANT EXECUTE ON FUNCTION pg_promote(boolean, integer) TO watch; GRANT EXECUTE ON FUNCTION pg_reload_conf() TO watch"}.start(t)
	w.allUp()
	for _, text := range []string{"not permitted yet: SWITCHOVER reason=\"sr_check_user lacks rights on node 0: GRANT pg_checkpoint",
		"not permitted yet: RECOVER reason=\"sr_check_user lacks rights on node 0: GRANT pg_execute_server_program"} {
		if log := w.log(); strings.Count(log, text) != 1 && w.on(0, "SELECT rolsuper FROM pg_roles WHERE rolname = 'watch'") == "f" {
			t.Errorf("%q is not once in the log:\n%s", text, log)
		}
	}
	writing := w.writes(2)
	sleepUntilWritten(w)
	w.must(w.herd.Slay(0))
	now := w.promoted(0)
	w.shows(name(3-now), "up")
	writing.end(now)
}

// TestOwnPasswordsInPoolPasswd checks that pgherd's own users have their passwords from pool_passwd where none is configured.
func TestOwnPasswordsInPoolPasswd(t *testing.T) {
	t.Parallel()
	w := scene{config: []string{"sr_check_password = ''", "health_check_period = 1", "health_check_user = 'postgres'", "health_check_password = ''"}}.start(t)
	w.allUp()
	w.must(w.herd.Slay(0))
	w.promoted(0)
}
