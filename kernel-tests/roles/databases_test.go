package roles_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"pgherd/bench/herd"
	"pgherd/bench/herd/herdtest"
)

// leave puts idle servers of the database, of several users, into the pool.
func leave(t *testing.T, p *herd.Proxy, database string) {
	t.Helper()
	for _, user := range []string{herd.Superuser, herd.Superuser, herd.User} {
		conn, err := logIn(p.Port, user, database)
		if err != nil {
			t.Fatal(err)
		}
		herdtest.MustAsk(t, conn, "SELECT 1")
		defer herdtest.Close(conn)
	}
}

// exclusive are statements for which no other session may be in a database, and that database.
var exclusive = []struct{ sql, database string }{
	{"CREATE DATABASE copied TEMPLATE leased", "leased"},
	{"ALTER DATABASE leased RENAME TO moved", "leased"},
	{"BEGIN; ALTER DATABASE moved RENAME TO leased; COMMIT", "moved"},
	{"ALTER DATABASE leased SET TABLESPACE aside", "leased"},
	{"DROP DATABASE IF EXISTS copied", "copied"},
	{"CREATE DATABASE copied", "template1"},
	{"DROP DATABASE copied WITH (FORCE)", "copied"},
	{"drop database \"leased\"", "leased"},
}

// anew creates the databases of a round.
func anew(t *testing.T, aside *pgconn.PgConn) {
	t.Helper()
	for _, name := range []string{"leased", "copied", "moved"} {
		mustPerform(t, aside, "DROP DATABASE IF EXISTS "+name+" WITH (FORCE)")
	}
	mustPerform(t, aside, "CREATE DATABASE leased")
}

// TestIdleServersUseNoDatabase checks that a database that only idle servers use can be dropped, renamed, moved and
// copied, in either protocol.
func TestIdleServersUseNoDatabase(t *testing.T) {
	each(t, all, func(t *testing.T, p *herd.Proxy) {
		aside, through := stay(t, primary(), herd.Superuser, "postgres"), stay(t, p.Port, herd.Superuser, "postgres")
		mustPerform(t, aside, "SET allow_in_place_tablespaces = on", "CREATE TABLESPACE aside LOCATION ''")
		for _, extended := range []bool{false, true} {
			anew(t, aside)
			for _, c := range exclusive {
				leave(t, p, c.database)
				statements := []string{c.sql}
				if extended {
					statements = strings.Split(c.sql, "; ")
				}
				if err := perform(through, extended, statements...); err != nil {
					t.Fatalf("extended %v: %v", extended, err)
				}
			}
		}
		mustPerform(t, aside, "DROP TABLESPACE aside")
	})
}

// TestClientsUseTheirDatabase checks that a database with clients, with a server or without, cannot be dropped: PostgreSQL's
// error says so, and the clients go on. FORCE ends them.
func TestClientsUseTheirDatabase(t *testing.T) {
	each(t, unlike, func(t *testing.T, p *herd.Proxy) {
		aside, through := stay(t, primary(), herd.Superuser, "postgres"), stay(t, p.Port, herd.Superuser, "postgres")
		anew(t, aside)
		idle, other := stay(t, p.Port, herd.Superuser, "leased"), stay(t, p.Port, herd.Superuser, "leased")
		if err := perform(through, false, "DROP DATABASE leased"); sqlstate(err) != "55006" {
			t.Errorf("with clients in it: got error %v", err)
		}
		herdtest.MustAsk(t, idle, "SELECT 1")
		mustPerform(t, through, "SELECT 1", "DROP DATABASE leased WITH (FORCE)")
		for _, conn := range []*pgconn.PgConn{idle, other} {
			if _, err := herdtest.Ask(conn, "SELECT 1"); sqlstate(err) != "57P01" && !conn.IsClosed() {
				t.Errorf("a client of a dropped database: got error %v", err)
			}
		}
		if _, err := logIn(p.Port, herd.Superuser, "leased"); sqlstate(err) != "3D000" {
			t.Errorf("a log-in to a dropped database: got error %v", err)
		}
		mustPerform(t, through, "CREATE DATABASE leased")
		again := stay(t, p.Port, herd.Superuser, "leased")
		herdtest.MustAsk(t, again, "SELECT 1")
	})
}

// TestOwnDatabaseIsCopied copies the session's own database while idle servers of it are in the pool.
func TestOwnDatabaseIsCopied(t *testing.T) {
	each(t, unlike, func(t *testing.T, p *herd.Proxy) {
		aside := stay(t, primary(), herd.Superuser, "postgres")
		anew(t, aside)
		leave(t, p, "leased")
		leave(t, p, "template1")
		own := stay(t, p.Port, herd.Superuser, "leased")
		for i, extended := range []bool{false, true} {
			if err := perform(own, extended, fmt.Sprintf("CREATE DATABASE copied%d TEMPLATE leased", i), fmt.Sprintf("DROP DATABASE copied%d", i)); err != nil {
				t.Error(err)
			}
		}
		if err := perform(own, false, "DROP DATABASE leased"); sqlstate(err) != "55006" {
			t.Errorf("a drop of the session's own database: got error %v", err)
		}
		herdtest.MustAsk(t, own, "SELECT 1")
	})
}
