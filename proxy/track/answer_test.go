package track

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"pgherd/bench/herd"
	"pgherd/bench/herd/herdtest"
	"pgherd/proxy/effect"
	"pgherd/proxy/effect/effecttest"
	"pgherd/proxy/pool"
	"pgherd/proxy/query"
)

// TestReadState checks how the answer to the state question is read.
func TestReadState(t *testing.T) {
	for _, row := range []struct {
		what     string
		rows     [][]string
		settings string
		found    string
	}{
		{"nothing", nil, "", ""},
		{"the user of the log-in", [][]string{{"i", "session_authorization", "alice"}, {"i", "role", "none"}}, "", ""},
		{"a setting", [][]string{{"s", "work_mem", "1024"}, {"s", "DateStyle", "ISO, MDY"}}, "datestyle='ISO, MDY' work_mem='1024'", ""},
		{"a value with quotes", [][]string{{"s", "application_name", `it's \`}}, `application_name=E'it''s \\'`, ""},
		{"a list of names", [][]string{{"s", "search_path", `"$user", public`}}, "search_path='$user', 'public'", ""},
		{"a list of odd names", [][]string{{"s", "search_path", `"a, b", "c""d", e,f`}}, `search_path='a, b', 'c"d', 'e', 'f'`, ""},
		{"an empty name in a list", [][]string{{"s", "search_path", `""`}}, "search_path=''", ""},
		{"an empty list", [][]string{{"s", "search_path", ""}, {"s", "temp_tablespaces", ""}}, "search_path=empty list temp_tablespaces=empty list", ""},
		{"an empty value", [][]string{{"s", "application_name", ""}}, "application_name=''", ""},
		{"a role", [][]string{{"i", "session_authorization", "alice"}, {"i", "role", "R x"}}, "role='R x'", ""},
		{"another user", [][]string{{"i", "session_authorization", "bob"}, {"i", "role", "none"}}, "session_authorization='bob'", ""},
		{"both", [][]string{{"i", "session_authorization", "bob"}, {"i", "role", "r"}}, "role='r' session_authorization='bob'", ""},
		{"a placeholder", [][]string{{"x", "app.tenant", "=7"}, {"x", "app.other", ""}, {"x", "app.blank", "="}}, "app.blank='' app.tenant='7'", ""},
		{"a statement", [][]string{{"p", "p", "PREPARE p AS SELECT 1"}}, "prepare p=PREPARE p AS SELECT 1", ""},
		{"a statement with an odd name", [][]string{{"p", "P p", `PREPARE "P p" AS SELECT 1;`}}, `prepare P p=PREPARE "P p" AS SELECT 1;`, ""},
		{"a statement of a script", [][]string{{"p", "p", "PREPARE p AS SELECT 1; SELECT 2"}}, "", "PREPARE p"},
		{"a statement prepared by another", [][]string{{"p", "p", "DO 'BEGIN PREPARE p AS SELECT 1; END'"}}, "", "PREPARE p"},
		{"a statement of another name", [][]string{{"p", "p", "PREPARE q AS SELECT 1"}}, "", "PREPARE p"},
		{"a statement that cannot be parsed", [][]string{{"p", "p", "PREPARE p AS SELEKT"}}, "", "PREPARE p"},
		{"a cursor", [][]string{{"c", "c1", ""}}, "", "cursor c1"},
		{"a channel", [][]string{{"l", "news", ""}}, "", "LISTEN news"},
		{"a lock", [][]string{{"a", "ExclusiveLock", ""}}, "", "advisory lock"},
		{"temporary objects", [][]string{{"t", "", ""}}, "", "temporary objects"},
		{"several", [][]string{{"s", "work_mem", "1"}, {"l", "a", ""}, {"l", "b", ""}, {"t", "", ""}}, "work_mem='1'", "LISTEN a"},
	} {
		a := Read(row.rows, "alice", query.Syntax{})
		if got := a.settings.String(); got != row.settings || a.found != row.found {
			t.Errorf("%s: got settings %s, found %q; want %s, %q", row.what, got, a.found, row.settings, row.found)
		}
	}
}

// TestReadStateKnowsStatements checks that after the answer it is known what an EXECUTE will run.
func TestReadStateKnowsStatements(t *testing.T) {
	a := Read([][]string{{"p", "p", "PREPARE p AS SELECT keeper()"}}, "alice", query.Syntax{})
	by := effect.Judge{Known: effecttest.Known(t)}
	var e effect.Effect
	for _, st := range a.runs["p"] {
		e.Include(st, by)
	}
	same(t, "p", effecttest.Words(&e, by), "ask; keep function keeper; drawn")
}

// TestSplitList checks that a list of names that was written is read back as the same.
func TestSplitList(t *testing.T) {
	for _, items := range [][]string{
		nil, {""}, {"a"}, {"a", "b"}, {`a"b`, "", "c, d", " e ", "F"}, {`"`, `""`, ","},
	} {
		var quoted []string
		for _, item := range items {
			quoted = append(quoted, `"`+strings.ReplaceAll(item, `"`, `""`)+`"`)
		}
		for _, between := range []string{",", ", ", " , "} {
			if got := splitList(strings.Join(quoted, between)); !slices.Equal(got, items) {
				t.Errorf("the list %q was read as %q", items, got)
			}
		}
	}
}

func FuzzSplitList(f *testing.F) {
	f.Add(`"$user", public`)
	f.Add(`"a""b",,`)
	f.Add(`"`)
	f.Fuzz(func(t *testing.T, list string) {
		if strings.ContainsAny(settingValue("search_path", list), "\x00") != strings.Contains(list, "\x00") {
			t.Error("a zero byte was added or lost")
		}
	})
}

// base is a running PostgreSQL, which an ordinary user asks.
type base struct {
	t    *testing.T
	herd *herd.Herd
}

func startBase(t *testing.T) *base {
	t.Helper()
	h := herdtest.Start(t, herd.Settings{})
	return &base{t, h}
}

// link is one connection, by the simple protocol.
type link struct {
	t    *testing.T
	conn *pgconn.PgConn
	user string
}

func (b *base) link(user string) *link {
	b.t.Helper()
	n := b.herd.Nodes()[0]
	conn, err := pgconn.Connect(b.t.Context(), fmt.Sprintf("host=%s port=%d user=%s password=%s dbname=%s sslmode=disable",
		n.Host, n.Port, user, user, herd.Database))
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { conn.Close(context.Background()) })
	return &link{b.t, conn, user}
}

const longestAnswer = 20 * time.Second // this is enough on a busy machine

func (l *link) try(sql string) (rows [][]string, err error) {
	ctx, done := context.WithTimeout(l.t.Context(), longestAnswer)
	defer done()
	results, err := l.conn.Exec(ctx, sql).ReadAll()
	for _, result := range results {
		for _, values := range result.Rows {
			row := make([]string, len(values))
			for i, v := range values {
				row[i] = string(v)
			}
			rows = append(rows, row)
		}
	}
	return rows, err
}

func (l *link) do(sql string) [][]string {
	l.t.Helper()
	rows, err := l.try(sql)
	if err != nil {
		l.t.Fatalf("%s: %v", sql[:min(len(sql), 200)], err)
	}
	return rows
}

// state asks the question for the state of the session.
func (l *link) state(names ...string) *Answer {
	l.t.Helper()
	return Read(l.do(Question(names, false)), l.user, query.Syntax{})
}

// adopt brings the connection to these settings, as a session does.
func (l *link) adopt(have, want pool.Settings) {
	l.t.Helper()
	r := have.Restore(want)
	if r.Encoding != "" {
		l.do(r.Encoding)
	}
	if r.Settings != "" {
		l.do(r.Settings)
	}
	for _, sql := range r.Prepared {
		l.do(sql)
	}
}

// TestStateOfAServer asks a running PostgreSQL as an ordinary user.
func TestStateOfAServer(t *testing.T) {
	b := startBase(t)
	admin := b.link(herd.Superuser)
	admin.do("CREATE ROLE readers; GRANT readers TO alice; CREATE ROLE \"R x\"; GRANT \"R x\" TO alice; GRANT CREATE ON SCHEMA public TO alice")
	t.Run("kinds", func(t *testing.T) { b.checkKinds(t) })
	t.Run("replay", func(t *testing.T) { b.checkReplay(t) })
	t.Run("odd sessions", func(t *testing.T) { b.checkOdd(t) })
	t.Run("transaction_timeout", func(t *testing.T) { b.checkTimed(t) })
	t.Run("superuser", func(t *testing.T) { b.checkSuperuser(t) })
}

// checkKinds checks that each kind of state shows, and shows no longer once it is gone.
func (b *base) checkKinds(t *testing.T) {
	l := b.link(herd.User)
	for _, row := range []struct{ make, found, undo string }{
		{"SELECT 1", "", "SELECT 1"},
		{"LISTEN news", "LISTEN news", "UNLISTEN news"},
		{"CREATE TEMP TABLE x (a int)", "temporary objects", "DROP TABLE x"},
		{"CREATE TEMP VIEW x AS SELECT 1", "temporary objects", "DROP VIEW x"},
		{"CREATE TEMP SEQUENCE x", "temporary objects", "DISCARD TEMP"},
		{"CREATE FUNCTION pg_temp.f() RETURNS int LANGUAGE sql AS 'SELECT 1'", "temporary objects", "DROP FUNCTION pg_temp.f"},
		{"CREATE DOMAIN pg_temp.d AS int", "temporary objects", "DROP DOMAIN pg_temp.d"},
		{"CREATE TEMP TABLE x (a int) ON COMMIT DROP", "", "SELECT 1"},
		{"DECLARE c CURSOR WITH HOLD FOR SELECT 1", "cursor c", "CLOSE c"},
		{"SELECT pg_advisory_lock(1)", "advisory lock", "SELECT pg_advisory_unlock(1)"},
		{"SELECT pg_advisory_lock_shared(1, 2)", "advisory lock", "SELECT pg_advisory_unlock_all()"},
		{"SELECT pg_advisory_xact_lock(1)", "", "SELECT 1"},
		{"PREPARE p AS SELECT 1; SELECT 2", "PREPARE p", "DEALLOCATE p"},
		{"PREPARE p AS SELECT 1", "", "DEALLOCATE ALL"},
	} {
		l.do(row.make)
		same(t, row.make, l.state().found, row.found)
		l.do(row.undo)
		if a := l.state(); a.found != "" || len(a.settings) > 0 {
			t.Errorf("%s: left are %q, %v", row.undo, a.found, a.settings)
		}
	}
}

// checkReplay checks that a session has the same state on another server.
func (b *base) checkReplay(t *testing.T) {
	const look = `SELECT name, setting FROM pg_settings WHERE source = 'session' AND name !~ '^transaction_(isolation|read_only|deferrable)$' OR name IN ('search_path', 'work_mem')
		UNION ALL SELECT 'role', current_setting('role') UNION ALL SELECT 'user', current_user
		UNION ALL SELECT 'tenant', coalesce(current_setting('app.tenant', true), '')
		UNION ALL SELECT name, statement FROM pg_prepared_statements WHERE from_sql ORDER BY 1`
	one, two := b.link(herd.User), b.link(herd.User)
	var before pool.Settings
	for _, sql := range []string{
		"SET work_mem = '1MB'",
		"SET search_path = \"$user\", \"a, b\", 'it''s', \"c\"\"d\"",
		"SET search_path = ''", "SET search_path = '', a", "SET temp_tablespaces = ''",
		"SET app.tenant = E'it''s \\\\ here\\n'",
		"SET DateStyle = German; SET TIME ZONE INTERVAL '-08:30' HOUR TO MINUTE; SET IntervalStyle = iso_8601",
		"SET TIME ZONE -7", "SET TIME ZONE 'Europe/Paris'", "SET TIME ZONE '<+0330>-03:30'",
		"SET statement_timeout = '1min'; SET lock_timeout = 5; SET extra_float_digits = -3; SET geqo_seed = 0.25",
		"SET bytea_output = escape; SET xmloption = document; SET default_transaction_isolation = 'repeatable read'",
		"SET standard_conforming_strings = off; SET escape_string_warning = off; SET backslash_quote = on",
		"SET application_name = E'a''b\\\\c'; PREPARE p AS SELECT 1, '\\\\'", "SET standard_conforming_strings = on",
		"SET ROLE readers", "SET ROLE \"R x\"", "SET ROLE NONE", "RESET ROLE",
		"PREPARE \"P p\" (int) AS SELECT $1", "DEALLOCATE ALL",
		"SET client_encoding = 'LATIN1'", "RESET client_encoding", "RESET ALL",
	} {
		for statement := range strings.SplitSeq(sql, "; ") {
			one.do(statement)
		}
		after := one.state("app.tenant").settings
		two.adopt(before, after)
		if got, want := fmt.Sprint(two.do(look)), fmt.Sprint(one.do(look)); got != want {
			t.Fatalf("after %s: %s\nwant %s\nby %v", sql, got, want, after.Restore(after))
		}
		if again := two.state("app.tenant").settings; !maps.Equal(again, after) {
			t.Errorf("after %s: asked again it says %v, not %v", sql, again, after)
		}
		before = after
	}
	if want := (pool.Settings{"app.tenant": "''"}); !maps.Equal(before, want) { // PostgreSQL never forgets such a name
		t.Errorf("in the end there are %v", before)
	}
}

// checkTimed checks that a question that lifts a transaction_timeout still reports it. PostgreSQL 17
// and later have this timeout.
func (b *base) checkTimed(t *testing.T) {
	l := b.link(herd.User)
	if l.do("SELECT current_setting('transaction_timeout', true)")[0][0] == "" {
		t.Skip("PostgreSQL 17 and later have transaction_timeout")
	}
	for _, sql := range []string{"SET work_mem = '1MB'", "SET transaction_timeout = '1min'", "SET search_path = ''", "RESET transaction_timeout"} {
		l.do(sql)
		want := l.state().settings
		if got := Read(l.do(Question(nil, true)), l.user, query.Syntax{}).settings; !maps.Equal(got, want) {
			t.Errorf("after %s: %v, want %v", sql, got, want)
		}
		if after := l.state().settings; !maps.Equal(after, want) {
			t.Errorf("after %s: asked again there is %v, not %v", sql, after, want)
		}
	}
}

// checkOdd checks that the question has the right answer even if a user hides the catalogs and the
// operators by which they are compared.
func (b *base) checkOdd(t *testing.T) {
	for _, odd := range []string{
		"SET client_encoding = 'SQL_ASCII'", "SET client_encoding = 'LATIN1'", "SET client_encoding = 'SJIS'", "SET client_encoding = 'EUC_JP'",
		"SET standard_conforming_strings = off; SET escape_string_warning = off",
		"SET search_path = ''", "SET search_path = public, pg_catalog", "SET transform_null_equals = on",
		"SET default_transaction_read_only = on", "SET row_security = off", "SET quote_all_identifiers = on",
		"SET bytea_output = escape", "SET ROLE readers", "SET array_nulls = off", "SET backslash_quote = off",
		`CREATE FUNCTION public.lies(text, text) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT false';
		 CREATE OPERATOR public.= (FUNCTION = public.lies, LEFTARG = text, RIGHTARG = text);
		 CREATE FUNCTION public.current_setting(text) RETURNS text LANGUAGE sql AS 'SELECT ''liar''';
		 SET search_path = public, pg_catalog`,
		"CREATE TEMP TABLE pg_settings (name text, setting text, source text); CREATE TEMP TABLE pg_depend (refclassid oid, refobjid oid)",
	} {
		l := b.link(herd.User)
		l.do(odd)
		before := l.state()
		if wants := strings.Contains(odd, "TEMP"); wants != (before.found != "") {
			t.Errorf("%s: found %q", odd, before.found)
		}
		l.do("SET lock_timeout = 77; LISTEN news")
		after := l.state()
		if after.settings["lock_timeout"] != "'77'" || after.found == "" {
			t.Errorf("%s: %v, found %q", odd, after.settings, after.found)
		}
		if len(after.settings) != len(before.settings)+1 {
			t.Errorf("%s: before %v, after %v", odd, before.settings, after.settings)
		}
		if l.conn.TxStatus() != 'I' {
			t.Errorf("%s: the question left a transaction", odd)
		}
	}
}

// checkSuperuser checks the roles that a superuser may take.
func (b *base) checkSuperuser(t *testing.T) {
	one, two := b.link(herd.Superuser), b.link(herd.Superuser)
	one.do("SET SESSION AUTHORIZATION alice")
	one.do("SET ROLE readers")
	who := "SELECT session_user, current_user, current_setting('role')"
	first := one.state().settings
	two.adopt(nil, first)
	same(t, "who it is", fmt.Sprint(two.do(who)), fmt.Sprint(one.do(who)))
	one.do("RESET SESSION AUTHORIZATION; SET log_min_duration_statement = 5")
	second := one.state().settings
	two.adopt(first, second)
	same(t, "who it is again", fmt.Sprint(two.do(who)), fmt.Sprint(one.do(who)))
	same(t, "a superuser's setting", fmt.Sprint(two.do("SHOW log_min_duration_statement")), "[[5ms]]")
}
