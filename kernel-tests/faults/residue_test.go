package faults_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"pgherd/bench/herd"
	"pgherd/bench/herd/herdtest"
)

// residueSetup makes functions that leave what DISCARD ALL does not take back, for users who may not do that themselves,
// and functions that say whether it is there.
const residueSetup = `
CREATE EXTENSION IF NOT EXISTS pgcrypto;
CREATE FUNCTION slot() RETURNS void LANGUAGE sql SECURITY DEFINER AS
	$$ SELECT pg_create_physical_replication_slot('left_' || pg_backend_pid(), false, true) $$;
CREATE FUNCTION seeds() RETURNS void LANGUAGE plpgsql AS $$ BEGIN EXECUTE 'SELECT setseed(0.5)'; END $$;
CREATE FUNCTION run(statement text) RETURNS void LANGUAGE plpgsql AS $$ BEGIN EXECUTE statement; END $$;
CREATE FUNCTION slots() RETURNS text LANGUAGE sql AS
	$$ SELECT count(*)::text FROM pg_replication_slots WHERE temporary AND active_pid = pg_backend_pid() $$;`

// remoteSetup makes more such functions, about whose effect the server cannot be asked.
const remoteSetup = `
CREATE EXTENSION dblink;
CREATE FUNCTION remote() RETURNS text LANGUAGE sql SECURITY DEFINER AS
	$$ SELECT dblink_connect('left', 'host=127.0.0.1 user=postgres password=postgres dbname=postgres port=' || current_setting('port')) $$;
CREATE FUNCTION remote_unnamed() RETURNS text LANGUAGE sql SECURITY DEFINER AS
	$$ SELECT dblink_connect('host=127.0.0.1 user=postgres password=postgres dbname=postgres port=' || current_setting('port')) $$;
CREATE VIEW remote_view AS SELECT remote();
GRANT SELECT ON remote_view TO PUBLIC;
CREATE FUNCTION origin() RETURNS void LANGUAGE sql SECURITY DEFINER AS
	$$ SELECT pg_replication_origin_session_setup('left') $$;
CREATE FUNCTION origins() RETURNS text LANGUAGE sql SECURITY DEFINER AS $$ SELECT pg_replication_origin_session_is_setup()::text $$;
CREATE FUNCTION remotes() RETURNS text LANGUAGE plpgsql AS $$
	BEGIN RETURN (SELECT * FROM dblink('SELECT ''the unnamed one''') AS x(t text));
	EXCEPTION WHEN others THEN RETURN coalesce(dblink_get_connections()::text, 'none'); END $$;
SELECT pg_replication_origin_create('left');`

// residues are what a client does, the query by which the next client would see it, and the right answer.
var residues = []struct {
	database, does, sees, want string
}{
	{"residue", "SELECT slot()", "SELECT slots()", "0"},
	{"residue", "SELECT run('SELECT slot()')", "SELECT slots()", "0"},
	{"residue", "DO $$ BEGIN PERFORM slot(); END $$", "SELECT slots()", "0"},
	{"residue", "SELECT setseed(0.5)", seeded, "false"},
	{"residue", "SELECT seeds()", seeded, "false"},
	{"residue", "DO $$ BEGIN PERFORM setseed(0.5); END $$", seeded, "false"},
	{"remote", "SELECT remote()", "SELECT remotes()", "none"},
	{"remote", "SELECT remote_unnamed()", "SELECT remotes()", "none"},
	{"remote", "SELECT * FROM remote_view", "SELECT remotes()", "none"},
	{"remote", "SELECT run('SELECT remote()')", "SELECT remotes()", "none"},
	{"remote", "DO $$ BEGIN PERFORM remote(); END $$", "SELECT remotes()", "none"},
	{"remote", "PREPARE p AS SELECT remote(); EXECUTE p", "SELECT remotes()", "none"},
	{"remote", "CREATE FUNCTION pg_temp.f() RETURNS text LANGUAGE sql AS 'SELECT remote()'; SELECT pg_temp.f()", "SELECT remotes()", "none"},
	{"remote", "SELECT origin()", "SELECT origins()", "false"},
}

// seeded says whether random() begins as it does after setseed(0.5).
const seeded = "SELECT (random() = 0.9851677175347999)::text"

// TestWhatOutlastsDiscardAll checks, in every mode, that what DISCARD ALL does not take back is not
// found by the next client of the same server or of another one, and that the client itself does not
// find it after a DISCARD ALL of its own.
func TestWhatOutlastsDiscardAll(t *testing.T) {
	for database, setup := range map[string]string{"residue": residueSetup, "remote": residueSetup + remoteSetup} {
		direct(t, "CREATE DATABASE "+database)
		conn := superuser(t, database)
		mustAsk(t, conn, setup)
		closeConn(conn)
	}
	if err := world.herd.WaitStreaming(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, mode := range []string{"session", "transaction", "statement"} {
		for nodes := 1; nodes <= 2; nodes++ {
			t.Run(fmt.Sprintf("%s mode, %d nodes", mode, nodes), func(t *testing.T) {
				proxy := startProxy(t, herd.ProxySettings{Nodes: world.herd.Nodes()[:nodes],
					Config: "pool_mode = " + mode + "\ndefault_pool_size = 1\nbackend_weight1 = 0\n"})
				for _, c := range residues {
					for _, end := range []string{"", "DISCARD ALL"} {
						checkResidue(t, proxy, c.database, c.does, end, c.sees, c.want)
					}
				}
			})
		}
	}
}

func checkResidue(t *testing.T, proxy *herd.Proxy, database, does, end, sees, want string) {
	t.Helper()
	conn := inDatabase(t, proxy, database)
	if _, err := ask(conn, does); err != nil && !strings.Contains(err.Error(), "prepared statement") {
		t.Errorf("%s: got error %v", does, err)
	}
	if end != "" {
		mustAsk(t, conn, end)
	}
	closeConn(conn)
	next := inDatabase(t, proxy, database)
	defer closeConn(next)
	if got := mustAsk(t, next, sees); got != want {
		t.Errorf("after %s; %s: the next client sees %s", does, end, got)
	}
}

func inDatabase(t *testing.T, proxy *herd.Proxy, database string) *pgconn.PgConn {
	t.Helper()
	conn, err := herdtest.Connect(strings.Replace(dsn(proxy.Port, herd.User), "dbname="+herd.Database, "dbname="+database, 1))
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

// superuser connects to the primary itself.
func superuser(t *testing.T, database string) *pgconn.PgConn {
	t.Helper()
	conn, err := herdtest.Connect(strings.Replace(dsn(world.herd.Nodes()[0].Port, herd.Superuser), "dbname="+herd.Database, "dbname="+database, 1))
	if err != nil {
		t.Fatal(err)
	}
	return conn
}
