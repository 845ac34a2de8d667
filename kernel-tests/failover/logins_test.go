package failover

import (
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"pgherd/bench/herd"
	"pgherd/bench/herd/herdtest"
)

// roles are users of whom pgherd knows nothing by itself: their passwords it asks for by auth_query, and it lets them in as
// members of staff.
const roles = `CREATE ROLE staff; CREATE ROLE carol LOGIN PASSWORD 'carol' IN ROLE staff;
CREATE ROLE dave LOGIN PASSWORD 'dave' IN ROLE staff; CREATE ROLE erin LOGIN PASSWORD 'erin' IN ROLE staff;`

const staffOnly = "host all +staff,alice 127.0.0.1/32 scram-sha-256\n"

var asksForUsers = []string{"load_balance_mode = on", "auth_user = 'postgres'", "auth_password = 'postgres'", "auth_dbname = 'postgres'",
	"failover_wait_timeout = 2"}

// otherDatabase is one to which nobody has connected through pgherd.
const otherDatabase = "other"

// enters logs in as a user, whose password is its name unless another is given.
func (w *world) enters(user, database string, password ...string) (*pgconn.PgConn, error) {
	dsn := fmt.Sprintf("host=%s port=%d user=%s password=%s dbname=%s sslmode=disable", w.proxy.Host, w.proxy.Port, user,
		strings.Join(append(password, user)[:1], ""), database)
	conn, err := herdtest.Connect(dsn)
	if err == nil {
		w.Cleanup(func() { herdtest.Close(conn) })
	}
	return conn, err
}

// unknown makes what nobody has seen through pgherd yet, and waits until the standbys have it.
func (w *world) unknown() {
	w.Helper()
	w.on(0, "CREATE DATABASE "+otherDatabase)
	for _, standby := range []int{1, 2} {
		w.eventually("the standby has the database", func() error {
			if got := w.on(standby, "SELECT count(*) FROM pg_database WHERE datname = '"+otherDatabase+"'"); got != "1" {
				return fmt.Errorf("it has %s", got)
			}
			return nil
		})
	}
}

// inTheGap checks that clients log in and read while there is no primary: one like those that have logged in before, one of
// whom pgherd knows nothing, and one of an unknown database. A write gets this error, and reads go on after it.
func (w *world) inTheGap(writes string) (all []*pgconn.PgConn) {
	w.Helper()
	for _, as := range [][2]string{{herd.User, herd.Database}, {"carol", herd.Database}, {herd.User, otherDatabase}, {"dave", otherDatabase}} {
		conn, err := w.enters(as[0], as[1])
		if err != nil {
			w.Fatalf("%s logs in to %s: %v", as[0], as[1], err)
		}
		for range 2 {
			if got, err := herdtest.Ask(conn, aRead); got != itsAnswer {
				w.Errorf("%s reads in %s: got %q, error %v", as[0], as[1], got, err)
			}
		}
		if as[1] == herd.Database {
			wantCode(w.T, conn, "INSERT INTO ledger VALUES (7)", writes)
			w.ask(conn, "SELECT count(*) FROM ledger")
			all = append(all, conn)
		}
	}
	if _, err := w.enters("carol", herd.Database, "wrong"); err == nil || !strings.Contains(err.Error(), "28P01") {
		w.Errorf("a wrong password: got error %v", err)
	}
	return all
}

// TestLogInsWithoutAPrimary kills the primary where no standby can be promoted. Clients log in and read, and the sessions
// write once there is a primary.
func TestLogInsWithoutAPrimary(t *testing.T) {
	for _, mode := range []string{"transaction", "session"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			w := scene{sync: firstOne, sql: roles, hba: staffOnly, config: append([]string{"pool_mode = " + mode}, asksForUsers...)}.start(t)
			w.allUp()
			w.unknown()
			over := w.gap()
			all := w.inTheGap("57P03")
			over()
			for i, conn := range all {
				w.eventually("a client that has logged in by the word of a standby writes", func() error {
					_, err := herdtest.Ask(conn, fmt.Sprintf("INSERT INTO ledger VALUES (%d)", 20+i))
					return err
				})
			}
		})
	}
}

// TestLogInsWithoutFailover is the same where pgherd does not promote, and the primary stays lost.
func TestLogInsWithoutFailover(t *testing.T) {
	t.Parallel()
	w := scene{sync: none, sql: roles, hba: staffOnly, config: append([]string{"pool_mode = transaction", "failover_mode = off", "health_check_period = 1"}, asksForUsers...)}.start(t)
	w.unknown()
	w.must(w.herd.Slay(0))
	w.eventually("pgherd has seen that the primary does not answer", func() error {
		_, err := w.enters("erin", herd.Database)
		return err
	})
	w.inTheGap("08001")
}

// TestStandbyIsBehind kills the primary when a standby has not replayed yet that a user may not log in any more, and that
// another one has a new password. The standby lets both in, as it would without pgherd, and they read there. The next primary
// knows better: they cannot write.
func TestStandbyIsBehind(t *testing.T) {
	t.Parallel()
	w := scene{sync: firstOne, sql: roles, hba: staffOnly, config: append([]string{"pool_mode = transaction"}, asksForUsers...)}.start(t)
	w.allUp()
	for _, user := range []string{"carol", "dave", "erin"} {
		conn, err := w.enters(user, herd.Database)
		w.must(err)
		w.ask(conn, "INSERT INTO ledger VALUES ("+fmt.Sprint(len(user)*1000+int(user[0]))+")")
	}
	w.eventually("the standby has the users", func() error { return w.herd.WaitStreaming(w.ctx) })
	w.on(2, "SELECT pg_wal_replay_pause()")
	w.on(0, "ALTER ROLE carol NOLOGIN; ALTER ROLE dave PASSWORD 'another'; REVOKE staff FROM erin")
	over := w.gap()
	var all []*pgconn.PgConn
	for _, user := range []string{"carol", "dave", "erin"} {
		conn, err := w.enters(user, herd.Database)
		if err != nil {
			t.Fatalf("%s logs in by the word of a standby that is behind: %v", user, err)
		}
		w.ask(conn, "SELECT count(*) FROM ledger")
		all = append(all, conn)
	}
	w.on(2, "SELECT pg_wal_replay_resume()")
	over()
	w.promoted(0)
	for i, want := range []string{"28000", "28P01", "28000"} {
		_, err := herdtest.Ask(all[i], fmt.Sprintf("INSERT INTO ledger VALUES (%d)", 60+i))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("client %d writes: got error %v, want SQLSTATE %s", i, err, want)
		}
	}
	if got := w.on(1, "SELECT count(*) FROM ledger WHERE id IN (60, 61, 62)"); got != "0" {
		t.Errorf("%s rows of theirs are there", got)
	}
}
