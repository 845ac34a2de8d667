package catalog

import (
	_ "embed"
	"strings"
	"testing"

	"pgherd/bench/herd"
	"pgherd/proxy/query"
	"pgherd/proxy/route"
)

//go:embed testdata/placing.sql
var placingSchema string

//go:embed testdata/placing.txt
var placings string

var knownNames = map[string]route.Known{"unheard": route.Unheard, "reads": route.Reads, "writes": route.Writes,
	"temporary": route.Temporary, "unlogged": route.Unlogged, "system": route.System}

func checkPlacing(t *testing.T, s *Snapshot) {
	t.Helper()
	for line := range strings.Lines(placings) {
		words := strings.Fields(line)
		if len(words) == 0 || words[0] == "#" {
			continue
		}
		want, ok := knownNames[words[0]]
		if !ok {
			t.Fatalf("no answer is called %s", words[0])
		}
		ask := s.Placing().Relation
		switch words[1] {
		case "function":
			ask = s.Placing().Function
		case "field":
			ask = func(_, name string) route.Known { return s.Placing().Field(name) }
		}
		for _, name := range words[2:] {
			schema, base, ok := strings.Cut(name, ".")
			if !ok {
				schema, base = "", name
			}
			if got := ask(schema, base); got != want {
				t.Errorf("%s %s: got %d, want %s", words[1], name, got, words[0])
			}
		}
	}
}

// placing is the last part of TestServer.
func placing(t *testing.T, d *database) {
	d.make(t, placingSchema)
	t.Run("table", func(t *testing.T) { checkPlacing(t, d.snapshot(t, nil)) })
	t.Run("odd session", func(t *testing.T) {
		other := &database{d.herd, d.admin, connect(t, d.herd, herd.UserMD5, "client_encoding=LATIN1 standard_conforming_strings=off escape_string_warning=off")}
		checkPlacing(t, other.snapshot(t, nil))
	})
	t.Run("anything", func(t *testing.T) { checkUnnamed(t, d) })
	t.Run("changes", func(t *testing.T) { checkPlacingChanges(t, d) })
	t.Run("isolation", func(t *testing.T) { checkIsolation(t, d) })
}

// checkUnnamed creates, one by one, what a text does not name.
func checkUnnamed(t *testing.T, d *database) {
	if got := d.snapshot(t, nil).Placing().Anything(); got != route.Reads {
		t.Errorf("a function written like a column, which the text names, counts as unnamed: %v", got)
	}
	before := d.snapshot(t, nil)
	for _, c := range []struct {
		make, undo string
		want       route.Known
	}{
		{"CREATE OPERATOR @#@ (FUNCTION = keeper, RIGHTARG = int)", "DROP OPERATOR @#@ (NONE, int)", route.Writes},
		{"CREATE OPERATOR @#@ (FUNCTION = pg_notify, LEFTARG = text, RIGHTARG = text)", "DROP OPERATOR @#@ (text, text)", route.Writes},
		{"CREATE OPERATOR @#@ (FUNCTION = twice, RIGHTARG = int)", "DROP OPERATOR @#@ (NONE, int)", route.Reads},
		{"CREATE CAST (int AS point) WITH FUNCTION to_point(int)", "DROP CAST (int AS point)", route.Writes},
		{"CREATE DOMAIN loud AS int CHECK (VALUE > vol())", "DROP DOMAIN loud", route.Writes},
		{"CREATE DOMAIN loud AS bigint CHECK (VALUE > nextval('counted'))", "DROP DOMAIN loud", route.Writes},
		{"CREATE DOMAIN loud AS int DEFAULT vol()", "DROP DOMAIN loud", route.Writes},
		{"CREATE DOMAIN loud AS timestamptz CHECK (VALUE < now())", "DROP DOMAIN loud", route.Reads},
		{"CREATE FUNCTION loud(anyelement, int DEFAULT 1) RETURNS int LANGUAGE sql AS 'SELECT 1'", "DROP FUNCTION loud(anyelement, int)", route.Reads},
		{"CREATE OPERATOR CLASS loud FOR TYPE int USING hash AS FUNCTION 1 keeper(int)", "DROP OPERATOR FAMILY loud USING hash", route.Writes},
	} {
		d.exec(t, c.make)
		after := d.snapshot(t, before)
		d.exec(t, c.undo)
		if before = d.snapshot(t, after); before.Placing().Anything() != route.Reads || after.Placing().Anything() != c.want {
			t.Errorf("%s: got %v, and without it %v", c.make, after.Placing().Anything(), before.Placing().Anything())
		}
	}
}

// checkPlacingChanges checks that the next question notices each of these changes, and that the
// answer then differs.
func checkPlacingChanges(t *testing.T, d *database) {
	d.exec(t, "CREATE TABLE moody (a int); CREATE VIEW sees_moody AS SELECT a FROM moody; CREATE FUNCTION moods() RETURNS int STABLE LANGUAGE sql AS 'SELECT 1'")
	last := d.snapshot(t, nil)
	for _, c := range []struct {
		sql, kind, name string
		want            route.Known
	}{
		{"ALTER TABLE moody SET UNLOGGED", "relation", "sees_moody", route.Unlogged},
		{"ALTER TABLE moody SET LOGGED", "relation", "sees_moody", route.Reads},
		{"CREATE OR REPLACE VIEW sees_moody AS SELECT vol() AS a", "relation", "sees_moody", route.Writes},
		{"CREATE OR REPLACE VIEW sees_moody AS SELECT moods() AS a", "relation", "sees_moody", route.Reads},
		{"ALTER FUNCTION moods() VOLATILE", "relation", "sees_moody", route.Writes},
		{"ALTER FUNCTION moods() IMMUTABLE", "function", "moods", route.Reads},
		{"CREATE SEQUENCE novel", "relation", "novel", route.System},
		{"DROP SEQUENCE novel", "relation", "novel", route.Unheard},
		{"CREATE UNLOGGED TABLE moody_child () INHERITS (moody)", "relation", "moody", route.Unlogged},
		{"ALTER TABLE moody_child NO INHERIT moody", "relation", "moody", route.Reads},
		{"CREATE FUNCTION initcap(int) RETURNS text LANGUAGE sql AS 'SELECT 1::text'", "function", "initcap", route.Writes},
	} {
		d.exec(t, c.sql)
		last = d.snapshot(t, last)
		ask := last.Placing().Relation
		if c.kind == "function" {
			ask = last.Placing().Function
		}
		if got := ask("", c.name); got != c.want {
			t.Errorf("after %s: %s is %v, want %v", c.sql, c.name, got, c.want)
		}
	}
}

// checkIsolation checks that READ COMMITTED is reported only if nothing can set another level.
func checkIsolation(t *testing.T, d *database) {
	fresh := func(options string) *Snapshot {
		other := &database{d.herd, d.admin, connect(t, d.herd, herd.UserMD5, options)}
		return other.snapshot(t, nil)
	}
	if !fresh("").ReadCommitted() {
		t.Error("the level is not reported as READ COMMITTED")
	}
	for _, options := range []string{"default_transaction_isolation=serializable", "default_transaction_isolation='read committed'"} {
		if fresh(options).ReadCommitted() {
			t.Errorf("a session with %s does not report the database's default", options)
		}
	}
	last := fresh("")
	for _, c := range []struct{ make, undo string }{
		{"ALTER ROLE nobody SET default_transaction_isolation = 'serializable'", "ALTER ROLE nobody RESET default_transaction_isolation"},
		{"ALTER ROLE nobody IN DATABASE app SET default_transaction_isolation = 'read committed'", "ALTER ROLE nobody IN DATABASE app RESET ALL"},
		{"ALTER DATABASE postgres SET default_transaction_isolation = 'repeatable read'", "ALTER DATABASE postgres RESET ALL"},
		{"ALTER ROLE ALL SET default_transaction_isolation = 'serializable'", "ALTER ROLE ALL RESET ALL"},
	} {
		d.exec(t, "DO $$BEGIN CREATE ROLE nobody; EXCEPTION WHEN duplicate_object THEN END$$;"+c.make)
		if last = d.snapshot(t, last); last.ReadCommitted() {
			t.Errorf("the next question does not notice: %s", c.make)
		}
		d.exec(t, c.undo)
		if last = d.snapshot(t, last); !last.ReadCommitted() {
			t.Errorf("the next question does not notice: %s", c.undo)
		}
	}
	d.rows(t, "SET default_transaction_isolation = serializable")
	if other := d.snapshot(t, last); other.ReadCommitted() || other == last || other.version != last.version || !last.ReadCommitted() {
		t.Error("the setting of the session that asks makes another Snapshot of the same version")
	}
}

// TestPlacingBlind checks that if nothing is known of a database only certain answers are given.
func TestPlacingBlind(t *testing.T) {
	for name, s := range map[string]*Snapshot{"nil": nil, "too long": {version: "1", unread: true}} {
		p := s.Placing()
		for what, c := range map[string][2]route.Known{
			"anything":       {p.Anything(), route.Unheard},
			"function":       {p.Function("", "f"), route.Unheard},
			"lower":          {p.Function("pg_catalog", "lower"), route.Unheard},
			"query_to_xml":   {p.Function("", "query_to_xml"), route.Writes},
			"field":          {p.Field("f"), route.Unheard},
			"relation":       {p.Relation("", "t"), route.Unheard},
			"pg_class":       {p.Relation("", "pg_class"), route.System},
			"tables":         {p.Relation("information_schema", "tables"), route.System},
			"temporary":      {p.Relation("pg_temp", "t"), route.Temporary},
			"public.pg_user": {p.Relation("public", "pg_user"), route.Unheard},
		} {
			if c[0] != c[1] {
				t.Errorf("%s: %s: got %v, want %v", name, what, c[0], c[1])
			}
		}
		if s.ReadCommitted() {
			t.Errorf("%s: READ COMMITTED is not reported", name)
		}
	}
}

// TestPlacingAllocates checks that nothing is allocated, because route asks for every statement.
func TestPlacingAllocates(t *testing.T) {
	s, err := Read(nil, [][]string{{"version", "1", "", "", ""}, {"names", "rp", "", "t/u", ""}, {"function", "f", "sql", "sf1", "SELECT 1"}})
	if err != nil {
		t.Fatal(err)
	}
	got := testing.AllocsPerRun(100, func() {
		p := s.Placing()
		if p.Function("", "f") != route.Reads || p.Relation("public", "u") != route.Reads || p.Field("f") != route.Reads || p.Field("a") != route.Unheard || p.Anything() != route.Reads {
			t.Error("the script has been changed")
		}
	})
	if got != 0 {
		t.Errorf("got %v allocations, want none", got)
	}
}

// TestPlacingRoutes checks that route uses the catalog's answers.
func TestPlacingRoutes(t *testing.T) {
	s, err := Read(nil, [][]string{{"version", "1", "", "", ""}, {"names", "rp", "", "t", ""}, {"names", "ru", "", "u", ""}, {"function", "f", "sql", "vf1", ""}})
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]route.Where{
		"SELECT lower(a) FROM t": route.Anywhere, "TABLE u": route.Primary, "SELECT f(a) FROM t": route.Primary,
		"SELECT t.a FROM t": route.Anywhere, "SELECT (a).f FROM t": route.Primary, "SELECT t.nextval FROM t": route.Primary, "TABLE other": route.Primary,
	} {
		r := route.Request{Text: []byte(text), Script: query.Parse([]byte(text), query.Syntax{}), Catalog: s.Placing()}
		if got := route.Place(&r, &route.Settings{Balance: true}); got.Where != want {
			t.Errorf("%s: placed on %v by rule %s: %s", text, got.Where, got.Rule, got.Why)
		}
	}
}
