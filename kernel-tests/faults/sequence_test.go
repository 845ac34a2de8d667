package faults_test

import (
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"pgherd/bench/herd"
)

// TestSequenceOfAnotherTransaction checks that currval of an earlier transaction is refused. The number may have been
// drawn on another server, and PostgreSQL would answer with another client's number.
func TestSequenceOfAnotherTransaction(t *testing.T) {
	proxy := start(t, "auto", oneServer)
	conn, other := connect(t, proxy), connect(t, proxy)
	mustAsk(t, conn, "CREATE SEQUENCE drawn")
	defer direct(t, "DROP SEQUENCE drawn")
	for _, sql := range []string{"SELECT currval('drawn')", "SELECT lastval()"} {
		mustAsk(t, conn, "SELECT nextval('drawn')")
		mustAsk(t, other, "SELECT nextval('drawn')")
		_, err := ask(conn, sql)
		wantRefused(t, sql, err, "pool_mode = session")
		if together := mustAsk(t, conn, "BEGIN; SELECT nextval('drawn'); "+sql); together == "" {
			t.Errorf("%s is not refused", sql)
		}
		mustAsk(t, conn, "COMMIT")
		_, err = ask(conn, sql)
		wantRefused(t, sql+" after COMMIT", err, "pool_mode = session")
	}
}

// TestHiddenSequences checks statements whose text does not show that they read what their session has drawn. The answer
// is the session's own number, or PostgreSQL's error, but never another client's number.
func TestHiddenSequences(t *testing.T) {
	direct(t, `CREATE SCHEMA hidden; GRANT ALL ON SCHEMA hidden TO PUBLIC; CREATE SEQUENCE hidden.s; GRANT ALL ON SEQUENCE hidden.s TO PUBLIC;
		CREATE TABLE hidden.parent (id int DEFAULT nextval('hidden.s'), v text); GRANT ALL ON hidden.parent TO PUBLIC;
		CREATE TABLE hidden.child (id int DEFAULT currval('hidden.s'), v text); GRANT ALL ON hidden.child TO PUBLIC;
		CREATE FUNCTION hidden.last() RETURNS bigint LANGUAGE sql AS 'SELECT lastval()';
		CREATE FUNCTION hidden.far() RETURNS bigint LANGUAGE plpgsql AS $f$ DECLARE n bigint; BEGIN EXECUTE 'SELECT currval(''hidden.s'')' INTO n; RETURN n; END $f$;
		CREATE VIEW hidden.v AS SELECT currval('hidden.s') AS id; GRANT ALL ON hidden.v TO PUBLIC`)
	defer direct(t, "DROP SCHEMA hidden CASCADE")
	reads := []string{"INSERT INTO hidden.child (v) VALUES ('x') RETURNING id", "SELECT hidden.last()", "SELECT hidden.far()", "TABLE hidden.v",
		"DO 'BEGIN RAISE EXCEPTION ''%'', currval(''hidden.s''); END'"}
	for _, mode := range []string{"session", "transaction", "statement"} {
		for nodes := range 2 {
			t.Run(fmt.Sprint(mode, " ", nodes+1), func(t *testing.T) {
				proxy := startProxy(t, herd.ProxySettings{Nodes: world.herd.Nodes()[:nodes+1], Config: "pool_mode = " + mode + "\nbackend_weight0 = 0\ndefault_pool_size = 3\n"})
				conn, other := connect(t, proxy), connect(t, proxy)
				for i, sql := range reads {
					for _, ask := range []func(*pgconn.PgConn, string) (string, error){ask, askPrepared} {
						own := mustAsk(t, conn, "INSERT INTO hidden.parent (v) VALUES ('own') RETURNING id")
						mustAsk(t, other, "INSERT INTO hidden.parent (v) VALUES ('another')")
						got, err := ask(conn, sql)
						if code := sqlstate(err); i == len(reads)-1 && code == "P0001" {
							got = err.(*pgconn.PgError).Message
						} else if code != "" && code != "55000" || code == "55000" && mode == "session" {
							t.Errorf("%s: got error %v", sql, err)
						} else if err != nil {
							continue
						}
						if got != own {
							t.Errorf("%s: got %q, want %s, which the session has drawn", sql, got, own)
						}
					}
				}
			})
		}
	}
}

// askPrepared is ask in the extended protocol.
func askPrepared(conn *pgconn.PgConn, sql string) (string, error) {
	ctx, cancel := limited(answerLimit)
	defer cancel()
	result := conn.ExecParams(ctx, sql, nil, nil, nil, nil).Read()
	if result.Err != nil || len(result.Rows) == 0 {
		return "", hung(ctx, result.Err)
	}
	return string(result.Rows[0][0]), nil
}
