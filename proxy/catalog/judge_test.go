package catalog

import (
	"strings"
	"testing"
)

// bodies are bodies of functions, with what these may leave.
var bodies = []struct {
	language string
	want     Verdict
	source   string
}{
	{"sql", Harmless, "SELECT 1"},
	{"sql", Harmless, ""},
	{"plpgsql", Harmless, "DECLARE x int; BEGIN SELECT 1 INTO x; UPDATE t SET a = 1; RETURN x; END"},

	// These are about settings.
	{"sql", Keeps, "SELECT set_config('a.b', $1, false)"},
	{"sql", Keeps, "SELECT set_config($1, $2, $3)"},
	{"sql", Keeps, `SELECT "set_config"('a.b', 'x', true AND false)`},
	{"sql", Keeps, "SELECT set_config('a.b', 'x', NOT true)"},
	{"sql", Keeps, "SELECT set_config('a', 'b', true), set_config('a', 'b', false)"},
	{"sql", Keeps, "SELECT set_config('a.b', set_config('c.d', 'x', false), true)"},
	{"sql", Keeps, "SELECT set_config('a.b', 'x', true"},
	{"sql", Keeps, "SELECT set_config"},
	{"sql", Keeps, "SELECT set_config()"},
	{"sql", runs, `SELECT U&"set\005fconfig"('a', 'b', false)`},
	{"sql", Harmless, "SELECT set_config('a.b', 'x', true)"},
	{"sql", Harmless, "SELECT pg_catalog.Set_Config('a.b', coalesce(x, f(1, 2), (3)), /* local */ TRUE)"},
	{"sql", Harmless, "SELECT set_config(setting_name => 'a', new_value => 'b', is_local => true)"},
	{"sql", Keeps, "SELECT set_config(is_local => true, setting_name => 'a', new_value => 'b')"},
	{"sql", Harmless, "SELECT current_setting('app.user', true)"},
	{"sql", Harmless, "SELECT 'set_config' -- set_config('a', 'b', false)"},
	{"plpgsql", Asks, "BEGIN SET work_mem = '1MB'; END"},
	{"plpgsql", Asks, "BEGIN IF x THEN SET SESSION work_mem = '1MB'; END IF; END"},
	{"plpgsql", Asks, "BEGIN IF x THEN NULL; ELSE SET work_mem = '1MB'; END IF; END"},
	{"plpgsql", Asks, "BEGIN LOOP SET work_mem = '1MB'; END LOOP; END"},
	{"plpgsql", Asks, "BEGIN <<here>> SET work_mem = '1MB'; END"},
	{"plpgsql", Asks, "BEGIN EXCEPTION WHEN others THEN RESET work_mem; END"},
	{"plpgsql", Asks, "BEGIN SET TIME ZONE 'UTC'; END"},
	{"plpgsql", Asks, "BEGIN SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY; END"},
	{"plpgsql", Keeps, "BEGIN SET app.user = 'x'; END"},
	{"plpgsql", Keeps, "BEGIN SET SESSION app.user TO 'x'; END"},
	{"plpgsql", Keeps, "BEGIN SET session.user TO 'x'; END"},
	{"plpgsql", Keeps, "BEGIN SET local.user TO 'x'; END"},
	{"plpgsql", Keeps, `BEGIN SET "App.User" TO 'x'; END`},
	{"plpgsql", Keeps, "BEGIN SET ROLE x; END"},
	{"plpgsql", Keeps, `BEGIN SET "Role" TO x; END`},
	{"plpgsql", Keeps, "BEGIN SET SESSION AUTHORIZATION x; END"},
	{"plpgsql", Keeps, "BEGIN RESET ALL; END"},
	{"plpgsql", Keeps, "BEGIN RESET app.user; END"},
	{"plpgsql", Spoils, "BEGIN SET seed TO 0.5; END"},
	{"plpgsql", Harmless, "BEGIN SET LOCAL app.user = 'x'; SET CONSTRAINTS ALL DEFERRED; SET TRANSACTION READ ONLY; END"},
	{"sql", Asks, "SET work_mem = '1MB'"},
	{"sql", Asks, "SET"},
	{"sql", Keeps, "UPDATE pg_settings SET setting = 'x'"},
	{"sql", Harmless, "SELECT setting FROM pg_settings"},
	{"sql", Spoils, "SELECT setseed(0.5)"},

	// These run dynamic SQL.
	{"plpgsql", runs, "BEGIN EXECUTE 'SELECT 1'; END"},
	{"plpgsql", runs, "BEGIN RETURN QUERY EXECUTE x; END"},
	{"plpgsql", runs, "BEGIN DO $x$ BEGIN END $x$; END"},
	{"plpgsql", runs, "BEGIN CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'; END"},
	{"plpgsql", Harmless, `BEGIN INSERT INTO t VALUES (1) ON CONFLICT DO NOTHING; RAISE NOTICE 'EXECUTE'; x := "EXECUTE"; END`},
	{"sql", runs, "SELECT query_to_xml($1, true, true, '')"},
	{"plpgsql", Spoils, "BEGIN LOAD 'x'; END"},

	// These make temporary objects, or other things for which the server can be asked.
	{"plpgsql", Asks, "BEGIN CREATE TEMP TABLE x (a int) ON COMMIT DROP; END"},
	{"plpgsql", Asks, "BEGIN CREATE TABLE x (a int); END"},
	{"plpgsql", Asks, "BEGIN CREATE OR REPLACE VIEW x AS SELECT 1; END"},
	{"plpgsql", Asks, "BEGIN DROP TABLE IF EXISTS x; END"},
	{"plpgsql", Asks, "BEGIN INSERT INTO pg_temp.x VALUES (1); END"},
	{"sql", Asks, "SELECT 1 AS a INTO x"},
	{"plpgsql", Asks, "BEGIN LISTEN x; END"},
	{"plpgsql", Harmless, "BEGIN NOTIFY x; PERFORM pg_notify('a', 'b'); END"},
	{"sql", Asks, "PREPARE x AS SELECT 1"},
	{"sql", Asks, "DECLARE c CURSOR WITH HOLD FOR SELECT 1"},
	{"sql", Harmless, "DECLARE c CURSOR FOR SELECT 1"},
	{"sql", Asks, "SELECT pg_advisory_lock(1)"},
	{"sql", Asks, "SELECT pg_try_advisory_lock_shared(1)"},
	{"sql", Harmless, "SELECT pg_advisory_xact_lock(1), nextval('s'), currval('s'), lastval()"},
	{"sql", Asks, "SELECT lo_open(1, 2)"},
	{"sql", Spoils, "SELECT pg_start_backup('x')"},

	// These only look like the above, or cannot be parsed.
	{"plpgsql", Harmless, "BEGIN -- SET x = 1;\n /* ; EXECUTE /* ; */ ; LISTEN x */ RETURN 'x; SET a.b = 1'; END"},
	{"plpgsql", Harmless, "BEGIN RETURN $q$; EXECUTE $q$ || E'\\'; EXECUTE '; END"},
	{"plpgsql", runs, `BEGIN RETURN '\'; EXECUTE x; --'; END`},
	{"plpgsql", runs, `BEGIN RETURN '\' || '; EXECUTE x; --'; END`}, // this is only code if backslashes escape
	{"plpgsql", runs, "BEGIN RETURN 'unterminated"},
	{"plpgsql", runs, "BEGIN /* unterminated"},
}

func TestJudge(t *testing.T) {
	for _, c := range bodies {
		if got := judge(c.source, c.language).verdict; got != c.want {
			t.Errorf("%s %q: got %v, want %v", c.language, c.source, got, c.want)
		}
	}
}

// TestDefinitions checks which statements fire event triggers.
func TestDefinitions(t *testing.T) {
	for source, want := range map[string]bool{
		"CREATE TABLE x (a int)": true, "COMMENT ON TABLE x IS 'y'": true, "SELECT 1; GRANT a TO b": true,
		"SELECT a INTO x": true, "INSERT INTO x VALUES (1)": false, "SELECT comment FROM x": false,
	} {
		if got := judge(source, "sql").ddl; got != want {
			t.Errorf("%q: got %v, want %v", source, got, want)
		}
	}
}

// TestNative checks that a function whose body is not read is judged by its declaration.
func TestNative(t *testing.T) {
	for _, c := range []struct {
		name, language, volatility string
		want                       Verdict
	}{
		{"f", "c", "vf", Spoils}, {"f", "c", "sf", Harmless}, {"f", "c", "if", Harmless},
		{"uuid_generate_v4", "c", "vf", Harmless}, {"crosstab", "c", "sf", Keeps},
		{"f", "forgetful", "vf", Harmless}, {"set_limit", "forgetful", "vf", Asks}, {"crosstab", "forgetful", "sf", Keeps},
		{"isn_weak", "c", "sf", Spoils}, {"f", "forgetful", "if", Harmless},
		{"f", "internal", "vf", Spoils}, {"f", "plpython3u", "sf", Spoils}, {"f", "plperl", "vf", Spoils},
		{"f", "plv8", "if", Harmless}, {"f", "unread", "sf", Keeps}, {"f", "internal", "ia", Harmless},
		{"f", "", "", Spoils},
	} {
		s, err := Read(nil, [][]string{{"version", "1", "", "", ""}, {"function", c.name, c.language, c.volatility, ""}})
		if err != nil {
			t.Fatal(err)
		}
		if got := s.Function("", c.name); got != c.want {
			t.Errorf("%+v: got %v", c, got)
		}
	}
}

// TestUnseen checks that a function whose body cannot be seen counts as the worst function that it could call.
func TestUnseen(t *testing.T) {
	dynamic := []string{"function", "dynamic", "plpgsql", "vf", "BEGIN EXECUTE x; END"}
	caller := []string{"function", "caller", "sql", "vf", "SELECT dynamic()"}
	keeper := []string{"function", "keeper", "sql", "vf", "SELECT set_config('a.b', 'c', false)"}
	for name, c := range map[string]struct {
		more []string
		want Verdict
	}{
		"nothing more":                 {[]string{"function", "f", "sql", "vf", "SELECT 1"}, Keeps},
		"a harmless extension":         {[]string{"function", "f", "forgetful", "vf", ""}, Keeps},
		"a pure function in C":         {[]string{"function", "f", "c", "if", ""}, Keeps},
		"another extension":            {[]string{"function", "f", "c", "vf", ""}, Spoils},
		"a function in plperl":         {[]string{"function", "f", "plperl", "vf", ""}, Spoils},
		"a language, which DO may use": {[]string{"language", "plperl", "", "", ""}, Spoils},
	} {
		s, err := Read(nil, [][]string{{"version", "1", "", "", ""}, dynamic, caller, keeper, {"uses", "wt", "fdynamic", "", ""}, {"uses", "a", "fcaller", "", ""}, c.more})
		if err != nil {
			t.Fatal(err)
		}
		for what, got := range map[string]Verdict{
			"its caller": s.Function("", "caller"), "it": s.Function("", "dynamic"),
			"a table": s.Relation("", "t", true), "anything": s.Anything(), "code": s.Unseen(), "of PostgreSQL's own": s.Function("", "query_to_xml"),
		} {
			if got != c.want {
				t.Errorf("%s, %s: got %v", name, what, got)
			}
		}
		if got := s.Function("", "x"); got != Spoils {
			t.Errorf("%s: got %v for an object that was made since, not through pgherd", name, got)
		}
		if got := s.Function("", "keeper"); got != Keeps {
			t.Errorf("%s: got %v for what the snapshot has", name, got)
		}
	}
}

// TestOutlasting checks that the functions whose effect outlasts DISCARD ALL are PostgreSQL's own, and
// that each is found in a body.
func TestOutlasting(t *testing.T) {
	for name := range outlasting {
		if builtins()[name] != Spoils || judge("SELECT "+name+"()", "sql").verdict != Spoils {
			t.Errorf("function %s: got %v", name, builtins()[name])
		}
	}
}

func TestKey(t *testing.T) {
	long := strings.Repeat("x", 63)
	for _, same := range [][2]string{
		{long + "yz", long}, {"Größe", "Gr\xf6\xdfe"}, {"Größe", "Gr\x80\x80\x80\x80e"},
	} {
		if key(same[0]) != key(same[1]) {
			t.Errorf("%q and %q have different results, want the same", same[0], same[1])
		}
	}
	for _, other := range [][2]string{{"a", "A"}, {"Größe", "Gre"}, {long, long[1:]}} {
		if key(other[0]) == key(other[1]) {
			t.Errorf("%q and %q have the same result, want different ones", other[0], other[1])
		}
	}
}
