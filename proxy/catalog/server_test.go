package catalog

import (
	"context"
	_ "embed"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"pgherd/bench/herd"
	"pgherd/bench/herd/herdtest"
	"pgherd/proxy/route"
)

//go:embed testdata/schema.sql
var schema string

const longestAnswer = 20 * time.Second // this is enough on a busy machine; a question that waits for other sessions never ends

// database is a database of a running PostgreSQL, with connections of its superuser and of an ordinary user.
type database struct {
	herd        *herd.Herd
	admin, user *pgconn.PgConn
}

func start(t testing.TB) *database {
	t.Helper()
	h := herdtest.Start(t, herd.Settings{})
	return &database{h, connect(t, h, herd.Superuser, ""), connect(t, h, herd.UserMD5, "")}
}

func connect(t testing.TB, h *herd.Herd, name, options string) *pgconn.PgConn {
	t.Helper()
	n := h.Nodes()[0]
	user, err := pgconn.Connect(t.Context(), fmt.Sprintf("host=%s port=%d user=%s password=%s dbname=%s sslmode=disable %s",
		n.Host, n.Port, name, name, herd.Database, options))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { user.Close(context.Background()) })
	return user
}

func (d *database) exec(t testing.TB, sql string) {
	t.Helper()
	if _, err := d.admin.Exec(t.Context(), sql).ReadAll(); err != nil {
		t.Fatalf("%s: %v", sql[:min(len(sql), 100)], err)
	}
}

var atomicBody = regexp.MustCompile(`(?m)BEGIN ATOMIC (.*); END;$`)

// make creates the objects of a file. Before PostgreSQL 14 bodies of functions are texts, which reveal as much.
func (d *database) make(t testing.TB, sql string) {
	t.Helper()
	if d.hasText(t) {
		sql = atomicBody.ReplaceAllString(sql, "AS $$body$$$1$$body$$;")
	}
	d.exec(t, "SET client_min_messages = error;"+sql)
}

func (d *database) hasText(t testing.TB) bool {
	version, err := strconv.Atoi(d.rows(t, "SHOW server_version_num")[0][0])
	return err == nil && version < 14_00_00
}

// verdicts are the expected verdicts on the objects of schema.sql.
func (d *database) verdicts(t testing.TB) string {
	if d.hasText(t) { // a text that updates pg_settings counts as set_config
		return strings.Replace(verdicts, "asks function updates_settings_atomic", "keeps function updates_settings_atomic\nasks function", 1)
	}
	return verdicts
}

func (d *database) rows(t testing.TB, sql string) [][]string {
	t.Helper()
	ctx, done := context.WithTimeout(t.Context(), longestAnswer)
	defer done()
	results, err := d.user.Exec(ctx, sql).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var rows [][]string
	for _, result := range results {
		for _, values := range result.Rows {
			row := make([]string, len(values))
			for i, v := range values {
				row[i] = string(v)
			}
			rows = append(rows, row)
		}
	}
	return rows
}

func (d *database) snapshot(t testing.TB, previous *Snapshot) *Snapshot {
	t.Helper()
	s, err := Read(previous, d.rows(t, Question(previous)))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// of returns the verdict on the object of a line of testdata/verdicts.txt.
func (s *Snapshot) of(kind, name string) Verdict {
	switch kind {
	case "function":
		return s.Function("", name)
	case "read":
		return s.Relation("", name, false)
	case "write":
		return s.Relation("public", name, true)
	case "anything":
		return s.Anything()
	}
	return s.DDL()
}

// pgbench has the tables that "pgbench -i --foreign-keys" creates.
const pgbench = `CREATE TABLE pgbench_branches (bid int PRIMARY KEY, bbalance int, filler char(88));
CREATE TABLE pgbench_tellers (tid int PRIMARY KEY, bid int REFERENCES pgbench_branches, tbalance int, filler char(84));
CREATE TABLE pgbench_accounts (aid int PRIMARY KEY, bid int REFERENCES pgbench_branches, abalance int, filler char(84));
CREATE TABLE pgbench_history (tid int REFERENCES pgbench_tellers, bid int REFERENCES pgbench_branches,
  aid int REFERENCES pgbench_accounts, delta int, mtime timestamp, filler char(22))`

//go:embed testdata/verdicts.txt
var verdicts string

func TestServer(t *testing.T) {
	d := start(t)
	empty := d.snapshot(t, nil)
	checkEmpty(t, empty)
	if again, rows := d.snapshot(t, empty), d.rows(t, Question(empty)); again != empty || len(rows) != 1 {
		t.Error("nothing has changed, but the snapshot has")
	}
	d.exec(t, pgbench)
	bench := d.snapshot(t, empty)
	if checkEmpty(t, bench); bench == empty {
		t.Error("the creation of pgbench's tables was not noticed")
	}
	d.make(t, schema)
	full := d.snapshot(t, bench)
	t.Run("verdicts", func(t *testing.T) { checkVerdicts(t, full, d.verdicts(t)) })
	t.Run("anything", func(t *testing.T) { checkAnything(t, d) })
	t.Run("changes", func(t *testing.T) { checkChanges(t, d) })
	t.Run("session", func(t *testing.T) { checkSession(t, d) })
	t.Run("odd sessions", func(t *testing.T) { checkOddSessions(t, d) })
	t.Run("placing", func(t *testing.T) { placing(t, d) })
	t.Run("extensions", func(t *testing.T) { checkForgetful(t, d) })
}

func checkEmpty(t *testing.T, s *Snapshot) {
	t.Helper()
	quiet := s.Anything() == Harmless && s.DDL() == Harmless && s.Placing().Anything() == route.Reads
	if len(s.functions)+len(s.reads)+len(s.writes)+len(s.calls) > 0 || !quiet {
		t.Errorf("a database without objects: got %+v", s)
	}
}

func checkVerdicts(t *testing.T, s *Snapshot, lines string) {
	t.Helper()
	for line := range strings.Lines(lines) {
		words := strings.Fields(line)
		if len(words) == 0 || words[0] == "#" {
			continue
		}
		for _, name := range words[2:] {
			if got := s.of(words[1], name); got.String() != words[0] {
				t.Errorf("%s %s: got %v, want %s", words[1], name, got, words[0])
			}
		}
	}
}

// checkAnything creates, one by one, what a text does not name.
func checkAnything(t *testing.T, d *database) {
	before := d.snapshot(t, nil)
	for _, c := range []struct{ make, undo string }{
		{"CREATE OPERATOR @#@ (FUNCTION = keeper, RIGHTARG = int)", "DROP OPERATOR @#@ (NONE, int)"},
		{"CREATE OPERATOR @#@ (FUNCTION = pg_advisory_lock, RIGHTARG = bigint)", "DROP OPERATOR @#@ (NONE, bigint)"},
		{"CREATE CAST (int AS point) WITH FUNCTION to_point(int)", "DROP CAST (int AS point)"},
		{"CREATE DOMAIN loud AS int CHECK (keeper(VALUE) > 0)", "DROP DOMAIN loud"},
		{"CREATE DOMAIN loud AS text CHECK (set_config('app.x', VALUE, false) <> '')", "DROP DOMAIN loud"},
		{"CREATE DOMAIN loud AS int DEFAULT keeper(1)", "DROP DOMAIN loud"},
		{"CREATE OPERATOR CLASS loud FOR TYPE int USING hash AS FUNCTION 1 keeper(int)", "DROP OPERATOR FAMILY loud USING hash"},
	} {
		d.exec(t, c.make)
		after := d.snapshot(t, before)
		d.exec(t, c.undo)
		if before = d.snapshot(t, after); before.Anything() != Harmless || after.Anything() == Harmless {
			t.Errorf("%s: got %v, and without it %v", c.make, after.Anything(), before.Anything())
		}
	}
	d.exec(t, "CREATE EVENT TRIGGER loud ON ddl_command_end EXECUTE FUNCTION on_ddl()")
	s := d.snapshot(t, nil)
	if s.DDL() != Keeps || s.Anything() != Harmless || s.Function("", "defines") != Keeps {
		t.Errorf("with an event trigger: DDL is %v, anything is %v, a function with DDL is %v", s.DDL(), s.Anything(), s.Function("", "defines"))
	}
	d.exec(t, "DROP EVENT TRIGGER loud")
}

// checkForgetful checks that an extension that is known to leave nothing does not change what may be left in
// its database.
func checkForgetful(t *testing.T, d *database) {
	d.exec(t, "DROP EXTENSION dblink, isn; DROP FUNCTION sneaky(text, text, bool)")
	there := d.rows(t, "SELECT name FROM pg_available_extensions WHERE name = ANY ('"+Forgetful()+"')")
	if len(there) < 30 {
		t.Errorf("only %d extensions are installed", len(there))
	}
	for _, row := range there {
		d.exec(t, fmt.Sprintf("SET client_min_messages = error; CREATE EXTENSION IF NOT EXISTS %q CASCADE", row[0]))
		if s := d.snapshot(t, nil); s.Unseen() != Keeps {
			t.Errorf("with %s: got %v", row[0], s.Unseen())
		}
	}
	d.exec(t, "CREATE EXTENSION dblink")
	if s := d.snapshot(t, nil); s.Unseen() != Spoils {
		t.Errorf("with dblink: got %v", s.Unseen())
	}
}

// checkChanges checks that each of these changes is noticed, and that nothing is noticed without a
// change.
func checkChanges(t *testing.T, d *database) {
	last := d.snapshot(t, nil)
	for _, sql := range []string{
		"CREATE OR REPLACE FUNCTION changing() RETURNS int LANGUAGE sql AS 'SELECT 1'",
		"CREATE OR REPLACE FUNCTION changing() RETURNS int LANGUAGE sql AS 'SELECT 2'",
		"ALTER FUNCTION changing() RENAME TO changed", "DROP FUNCTION changed()",
		"CREATE TABLE changing (a int)", "ALTER TABLE changing RENAME TO changed",
		"CREATE POLICY p ON changed USING (true)", "ALTER TABLE changed ENABLE ROW LEVEL SECURITY",
		"ALTER TABLE changed ALTER a SET DEFAULT 1", "ALTER TABLE changed ADD CHECK (a > 0)",
		"CREATE TRIGGER tr BEFORE INSERT ON changed FOR EACH ROW EXECUTE FUNCTION quiet_trigger()",
		"CREATE RULE ru AS ON INSERT TO changed DO ALSO SELECT 1", "CREATE TABLE child () INHERITS (changed)",
		"ALTER TABLE child NO INHERIT changed", "DROP TABLE changed, child",
	} {
		d.exec(t, sql)
		before := last
		if last = d.snapshot(t, before); last == before {
			t.Errorf("this change was not noticed: %s", sql)
		}
	}
	for _, sql := range []string{
		"ANALYZE", "VACUUM plain", "TRUNCATE plain", "INSERT INTO plain VALUES (1)", "REINDEX TABLE plain",
		"CREATE TEMP TABLE t (a int DEFAULT 1 CHECK (a > 0)); CREATE TEMP VIEW v AS TABLE t; CREATE TEMP TABLE u () INHERITS (t)",
	} {
		if d.exec(t, sql); d.snapshot(t, last) != last {
			t.Errorf("this was noticed as a change: %s", sql)
		}
	}
}

// checkSession checks that the question changes nothing in its session.
func checkSession(t *testing.T, d *database) {
	state := "SELECT name, setting FROM pg_settings UNION ALL SELECT 'xact', txid_current_if_assigned()::text ORDER BY 1"
	before := fmt.Sprint(d.rows(t, state))
	d.snapshot(t, nil)
	if after := fmt.Sprint(d.rows(t, state)); after != before || d.user.TxStatus() != 'I' {
		t.Errorf("the session's settings are %s, want as before: %s", after, before)
	}
}

// checkOddSessions checks that the question works even if a user has hidden the catalogs, on purpose or not.
func checkOddSessions(t *testing.T, d *database) {
	d.exec(t, "BEGIN ISOLATION LEVEL SERIALIZABLE") // a DEFERRABLE one would wait for its end
	d.exec(t, "INSERT INTO plain VALUES (2)")
	defer d.exec(t, "ROLLBACK")
	for _, options := range []string{
		"client_encoding=SQL_ASCII", "client_encoding=LATIN1", "client_encoding=SJIS",
		"standard_conforming_strings=off escape_string_warning=off", "search_path=evil,pg_catalog",
		"default_transaction_read_only=on default_transaction_isolation=serializable default_transaction_deferrable=on", "bytea_output=escape", "row_security=off",
	} {
		other := &database{d.herd, d.admin, connect(t, d.herd, herd.UserMD5, options)}
		for _, name := range []string{"pg_proc", "pg_depend", "pg_class"} {
			if !strings.Contains(options, "read_only") {
				other.rows(t, "CREATE TEMP TABLE "+name+" (oid oid)")
			}
		}
		s, err := Read(nil, other.rows(t, Question(nil)))
		if err != nil {
			t.Fatalf("with %s: %v", options, err)
		}
		checkVerdicts(t, s, d.verdicts(t))
	}
}
