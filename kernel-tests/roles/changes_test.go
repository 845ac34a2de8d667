package roles_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"pgherd/bench/herd"
	"pgherd/bench/herd/herdtest"
)

// changes are changes of what a log-in of ROLE to database leased rests on.
var changes = []struct {
	name       string
	statements []string
}{
	{"renamed, and the name given to another role", []string{"ALTER ROLE ROLE RENAME TO elder", "CREATE ROLE ROLE LOGIN PASSWORD 'ROLE'"}},
	{"dropped, and created again", []string{"DROP ROLE ROLE", "CREATE ROLE ROLE LOGIN PASSWORD 'ROLE'"}},
	{"dropped", []string{"DROP ROLE ROLE"}},
	{"two roles swap names", []string{"CREATE ROLE elder LOGIN PASSWORD 'ROLE'",
		"BEGIN", "ALTER ROLE ROLE RENAME TO middle", "ALTER ROLE elder RENAME TO ROLE", "ALTER ROLE middle RENAME TO elder", "COMMIT"}},
	{"NOSUPERUSER", []string{"ALTER ROLE ROLE NOSUPERUSER"}},
	{"NOLOGIN", []string{"ALTER USER ROLE NOLOGIN"}},
	{"NOLOGIN, in DO", []string{"DO $$BEGIN EXECUTE 'ALTER ROLE ROLE NOLOGIN'; END$$"}},
	{"CONNECTION LIMIT 0", []string{"ALTER ROLE ROLE NOSUPERUSER CONNECTION LIMIT 0"}},
	{"REVOKE CONNECT", []string{"ALTER ROLE ROLE NOSUPERUSER", "REVOKE CONNECT ON DATABASE leased FROM PUBLIC"}},
	{"REVOKE of the role that may CONNECT", []string{"ALTER ROLE ROLE NOSUPERUSER", "CREATE ROLE elder", "GRANT elder TO ROLE",
		"REVOKE CONNECT ON DATABASE leased FROM PUBLIC", "GRANT CONNECT ON DATABASE leased TO elder", "REVOKE elder FROM ROLE"}},
	{"ALLOW_CONNECTIONS false", []string{"ALTER DATABASE leased ALLOW_CONNECTIONS false"}},
	{"the database's CONNECTION LIMIT 0", []string{"ALTER ROLE ROLE NOSUPERUSER", "ALTER DATABASE leased CONNECTION LIMIT 0"}},
	{"another password", []string{"ALTER ROLE ROLE PASSWORD 'another'"}},
	{"VALID UNTIL yesterday", []string{"ALTER ROLE ROLE VALID UNTIL 'yesterday'"}},
	{"a setting of the role", []string{"ALTER ROLE ROLE SET work_mem = '7MB'"}},
	{"a setting that is reported", []string{"ALTER ROLE ROLE SET datestyle = 'German'"}},
	{"a setting in the database", []string{"ALTER ROLE ROLE IN DATABASE leased SET work_mem = '8MB'"}},
	{"a setting of the database", []string{"ALTER DATABASE leased SET work_mem = '9MB'"}},
	{"a setting of all roles", []string{"ALTER ROLE ALL SET work_mem = '10MB'"}},
	{"a setting that is taken back", []string{"ALTER ROLE ROLE RESET application_name"}},
	{"the database is dropped, and created again", []string{"DROP DATABASE leased WITH (FORCE)", "CREATE DATABASE leased"}},
	{"NOLOGIN, rolled back", []string{"BEGIN", "ALTER ROLE ROLE NOLOGIN", "ROLLBACK"}},
	{"NOLOGIN, in a transaction that is prepared", []string{"BEGIN", "ALTER ROLE ROLE NOLOGIN", "PREPARE TRANSACTION 'nologin'", "COMMIT PREPARED 'nologin'"}},
}

// reset brings ROLE and its database back to their first state.
func reset(t *testing.T, aside *pgconn.PgConn, role string) {
	t.Helper()
	mustPerform(t, aside, "ALTER DATABASE leased ALLOW_CONNECTIONS true CONNECTION LIMIT -1", "ALTER DATABASE leased RESET ALL",
		"GRANT CONNECT ON DATABASE leased TO PUBLIC", "ALTER ROLE ALL RESET ALL", "DROP ROLE IF EXISTS "+role)
	if whose(aside, "elder") != "" {
		mustPerform(t, aside, "REVOKE ALL ON DATABASE leased FROM elder", "DROP ROLE elder")
	}
	mustPerform(t, aside, "CREATE ROLE "+role+" LOGIN SUPERUSER PASSWORD '"+role+"'", "ALTER ROLE "+role+" SET application_name = 'leaser'")
}

const faresSQL = "SELECT concat_ws(' ', session_user, (SELECT oid FROM pg_roles WHERE rolname = session_user), current_setting('is_superuser'), " +
	"current_setting('work_mem'), current_setting('datestyle'), current_setting('application_name'), " +
	"(SELECT oid FROM pg_database WHERE datname = current_database()))"

// fares is the result of a log-in.
func fares(port int, role string) string {
	conn, err := logIn(port, role, "leased")
	if err != nil {
		return "refused: " + sqlstate(err)
	}
	defer herdtest.Close(conn)
	answer, err := herdtest.Ask(conn, faresSQL)
	return fmt.Sprintf("%s, told %s %s (%s)", answer, conn.ParameterStatus("DateStyle"), conn.ParameterStatus("is_superuser"), sqlstate(err))
}

// TestWhoLogsInFaresAsDirectly checks that a log-in after each change has the same result as without pgherd, whether the
// change was made through pgherd or not.
func TestWhoLogsInFaresAsDirectly(t *testing.T) {
	each(t, all, func(t *testing.T, p *herd.Proxy) {
		aside, through := stay(t, primary(), herd.Superuser, "postgres"), stay(t, p.Port, herd.Superuser, "postgres")
		mustPerform(t, aside, "DROP DATABASE IF EXISTS leased WITH (FORCE)", "CREATE DATABASE leased")
		for i, c := range changes {
			for j, role := range []string{"trusted", "keyed"} {
				for k, author := range []*pgconn.PgConn{aside, through} {
					extended := (i+j+k)%2 == 1
					name := fmt.Sprintf("%s: %s, through pgherd %v, extended %v", role, c.name, author == through, extended)
					reset(t, aside, role)
					early, whose := fill(t, p.Port, role), whose(aside, role)
					if err := perform(author, extended, as(role, c.statements)...); err != nil {
						t.Fatalf("%s: got error %v", name, err)
					}
					if author == aside || strings.Contains(c.name, "DO") {
						time.Sleep(10 * time.Millisecond) // this is longer than login_check_period
					}
					for range 2 {
						if got, want := fares(p.Port, role), fares(primary(), role); got != want {
							t.Errorf("%s: got %q, want as without pgherd %q", name, got, want)
						}
					}
					stays(t, name, early, whose)
				}
			}
		}
	})
}

// as replaces ROLE in the statements by the name of a role.
func as(role string, statements []string) (its []string) {
	words := strings.NewReplacer("ROLE ROLE", "ROLE "+role, "USER ROLE", "USER "+role, "TO ROLE", "TO "+role, "FROM ROLE", "FROM "+role, "'ROLE'", "'"+role+"'")
	for _, sql := range statements {
		its = append(its, words.Replace(sql))
	}
	return its
}

// fill puts idle servers into the pool. It returns a client that has logged in and is idle.
func fill(t *testing.T, port int, role string) *pgconn.PgConn {
	t.Helper()
	var filling []*pgconn.PgConn
	for range 2 {
		conn, err := logIn(port, role, "leased")
		if err != nil {
			t.Fatal(err)
		}
		herdtest.MustAsk(t, conn, faresSQL)
		filling = append(filling, conn)
	}
	early, err := logIn(port, role, "leased")
	if err != nil {
		t.Fatal(err)
	}
	for _, conn := range filling {
		herdtest.Close(conn)
	}
	return early
}

// whose is the number of the role.
func whose(aside *pgconn.PgConn, role string) string {
	oid, _ := herdtest.Ask(aside, "SELECT oid FROM pg_roles WHERE rolname = '"+role+"'")
	return oid
}

// stays checks that a client that had logged in before is served as the role that it was, or not at all.
func stays(t *testing.T, name string, early *pgconn.PgConn, oid string) {
	t.Helper()
	defer herdtest.Close(early)
	got, err := herdtest.Ask(early, "SELECT usesysid FROM pg_stat_activity WHERE pid = pg_backend_pid()")
	if err == nil && got != oid {
		t.Errorf("%s: a client that was role %s is role %s now", name, oid, got)
	}
}

// TestValidUntilPasses checks a change that only the time makes: VALID UNTIL has passed.
func TestValidUntilPasses(t *testing.T) {
	each(t, unlike, func(t *testing.T, p *herd.Proxy) {
		aside := stay(t, primary(), herd.Superuser, "postgres")
		mustPerform(t, aside, "DROP DATABASE IF EXISTS leased WITH (FORCE)", "CREATE DATABASE leased")
		reset(t, aside, "keyed")
		mustPerform(t, aside, "DO $$BEGIN EXECUTE format('ALTER ROLE keyed VALID UNTIL %L', now() + interval '1 s'); END$$")
		if conn, err := logIn(p.Port, "keyed", "leased"); err == nil {
			herdtest.MustAsk(t, conn, "SELECT 1")
			herdtest.Close(conn)
		} else {
			t.Log("it is too late to log in before VALID UNTIL") // because the machine is busy
		}
		mustPerform(t, aside, "SELECT pg_sleep_until(rolvaliduntil + interval '1 s') FROM pg_roles WHERE rolname = 'keyed'")
		if got, want := fares(p.Port, "keyed"), fares(primary(), "keyed"); got != want || want != "refused: 28P01" {
			t.Errorf("got %s, want as without pgherd %s", got, want)
		}
	})
}

// TestReloadedConfiguration checks parameters that the node reports at the log-in, and its defaults, after a reload.
func TestReloadedConfiguration(t *testing.T) {
	each(t, unlike, func(t *testing.T, p *herd.Proxy) {
		aside := stay(t, primary(), herd.Superuser, "postgres")
		t.Cleanup(func() { mustPerform(t, aside, "ALTER SYSTEM RESET datestyle", "SELECT pg_reload_conf()") })
		mustPerform(t, aside, "DROP DATABASE IF EXISTS leased WITH (FORCE)", "CREATE DATABASE leased")
		reset(t, aside, "trusted")
		herdtest.Close(fill(t, p.Port, "trusted"))
		mustPerform(t, aside, "ALTER SYSTEM SET datestyle = 'SQL, DMY'", "SELECT pg_reload_conf()")
		herdtest.Eventually(t, "the primary has the new configuration", func() error {
			if got := fares(primary(), "trusted"); !strings.Contains(got, "told SQL, DMY") {
				return fmt.Errorf("the node still has %s", got)
			}
			return nil
		})
		time.Sleep(10 * time.Millisecond)
		for range 3 {
			if got, want := fares(p.Port, "trusted"), fares(primary(), "trusted"); got != want {
				t.Errorf("got %q, want as without pgherd %q", got, want)
			}
		}
	})
}
