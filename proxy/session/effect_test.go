package session

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"pgherd/proxy/catalog"
	"pgherd/proxy/query"
)

var update = flag.Bool("update", false, "write what effectOf says into testdata/effects.txt, to be reviewed")

// knownCatalog is of a database in which names say what they do: functions
// quiet, asker and keeper; tables plain, asked, kept and kept_rows (by its
// policy, so to read it); more says what is true of every statement.
func knownCatalog(t *testing.T, more ...[]string) *catalog.Snapshot {
	t.Helper()
	rows := append([][]string{
		{"version", "1:1", "", "", ""},
		{"function", "quiet", "sql", "vf", "SELECT 1"},
		{"function", "asker", "plpgsql", "vf1", "BEGIN LISTEN x; END"},
		{"function", "keeper", "plpgsql", "vf1", "BEGIN PERFORM set_config('app.user', 'x', false); END"},
		{"function", "lower", "plpgsql", "vf", "BEGIN PERFORM set_config('app.user', 'x', false); END"},
		{"function", "shows", "sql", "vf", "SELECT name FROM pg_prepared_statements"},
		{"uses", "rshown", "bpg_prepared_statement", "", ""},
		{"function", "definer", "plpgsql", "vf", "BEGIN CREATE OR REPLACE VIEW x AS SELECT 1; END"},
		{"function", "calls_definer", "sql", "vf", "SELECT definer()"},
		{"uses", "wasked", "fasker", "", ""},
		{"uses", "wkept", "fkeeper", "", ""},
		{"uses", "rkept_rows", "fkeeper", "", ""},
		{"uses", "wkept_rows", "fkeeper", "", ""},
	}, more...)
	s, err := catalog.Read(nil, rows)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// words writes an effect as a line of testdata/effects.txt has it.
func (e *Effect) words(by judge) string {
	var list []string
	say := func(is bool, format string, args ...any) {
		if is {
			list = append(list, fmt.Sprintf(format, args...))
		}
	}
	say(e.Begin, "begin")
	for _, c := range e.Changes {
		text := "reset " + c.Name
		if c.Value != "" {
			text = "set " + c.Name + "=" + c.Value
		}
		say(c.Local, "%s local", text)
		say(!c.Local, "%s", text)
	}
	say(e.Undo, "undo")
	say(e.Partly, "partly")
	say(e.Ask, "ask")
	say(e.Pins != "", "pins %s", e.Pins)
	say(e.Keep != "", "keep %s", e.Keep)
	say(e.Forgets, "forgets")
	say(e.Alone, "alone")
	say(e.Drawn, "drawn")
	say(e.Drew != "", "drew %s", e.Drew)
	say(e.Peeks, "peeks")
	say(len(e.Runs) > 0, "runs %s", strings.Join(e.Runs, ","))
	say(len(e.Closes) > 0, "closes %s", strings.Join(e.Closes, ","))
	for _, objects := range e.defined {
		say(true, "%s", strings.TrimSpace("defines "+strings.Join(objects, ",")))
	}
	say(e.Suspect, "suspect")
	say(e.Spoils, "spoils")
	say(e.Reveals, "reveals")
	say(e.Stays, "stays")
	say(len(e.names) > 0, "names %s", strings.Join(e.names, ","))
	for _, name := range slices.Sorted(maps.Keys(e.prepares)) {
		var inner Effect
		for _, st := range e.prepares[name] {
			inner.add(st, by)
		}
		say(true, "prepares %s {%s}", name, inner.words(by))
	}
	if list == nil {
		return "nothing"
	}
	return strings.Join(list, "; ")
}

// TestEffects reads testdata/effects.txt: a script on a line, what it does on
// the next, indented.
func TestEffects(t *testing.T) {
	const file, indent = "testdata/effects.txt", "    "
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	by := judge{known: knownCatalog(t), lasting: true, harmless: func(schema, name string) bool { return schema == "ext" || name == "trusted" }}
	var said strings.Builder
	sql, rows := "", 0
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSuffix(line, "\n"); strings.HasPrefix(line, indent) {
			e := effectOf(query.Parse([]byte(sql), query.Syntax{}), by)
			if got := indent + e.words(by); got != line {
				t.Errorf("%s\n got %s\nwant %s", sql, got, line)
				line = got
			}
			rows++
		} else {
			sql = line
		}
		said.WriteString(line + "\n")
	}
	if *update {
		if err := os.WriteFile(file, []byte(said.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if rows < 100 {
		t.Errorf("%d scripts are judged, at least 100 were", rows)
	}
}

// TestEffectsOfDatabases: what a text does not name is the database's to say.
func TestEffectsOfDatabases(t *testing.T) {
	quiet := knownCatalog(t)
	anything := knownCatalog(t, []string{"uses", "a", "fkeeper", "", ""})
	asks := knownCatalog(t, []string{"uses", "a", "fasker", "", ""})
	lasting := knownCatalog(t, []string{"function", "remote", "c", "vf", ""}, []string{"uses", "wplain", "fremote", "", ""})
	events := knownCatalog(t, []string{"uses", "d", "fkeeper", "", ""})
	const everything = "an operator, cast or type of this database"
	for _, row := range []struct {
		what   string
		known  *catalog.Snapshot
		syntax query.Syntax
		sql    string
		want   string
	}{
		{"an operator that keeps", anything, query.Syntax{}, "SELECT 1", "ask; keep " + everything},
		{"an operator that asks", asks, query.Syntax{}, "SELECT 1", "ask"},
		{"an event trigger", events, query.Syntax{}, "DROP TABLE x", "ask; keep an event trigger; forgets; drawn; defines"},
		{"an event trigger, and a table of what is read", events, query.Syntax{}, "SELECT 1 INTO x", "ask; keep an event trigger; drawn; defines"},
		{"the event trigger of no definition", events, query.Syntax{}, "SELECT 1", "nothing"},
		{"nothing is known of the database", nil, query.Syntax{}, "SELECT 1", "ask; keep " + everything + "; spoils"},
		{"nor of its tables", nil, query.Syntax{}, "SELECT * FROM plain", "ask; keep table plain; spoils"},
		{"what outlasts DISCARD ALL", lasting, query.Syntax{}, "SELECT remote()", "ask; keep function remote; drawn; spoils"},
		{"it, in a table", lasting, query.Syntax{}, "INSERT INTO plain VALUES (1)", "ask; keep table plain; drawn; spoils"},
		{"what is seen leaves no more for it", lasting, query.Syntax{}, "SELECT keeper()", "ask; keep function keeper; drawn"},
		{"code that may call it", lasting, query.Syntax{}, "DO $$ BEGIN END $$", "ask; keep DO; drawn; spoils"},
		{"code that nothing can be called by", quiet, query.Syntax{}, "DO $$ BEGIN END $$", "ask; keep DO; drawn"},
		{"a function that nobody knows", lasting, query.Syntax{}, "SELECT strange()", "ask; keep function strange; drawn; spoils"},
		{"SQL given as text", lasting, query.Syntax{}, "SELECT query_to_xml('SELECT remote()', true, true, '')", "ask; keep function query_to_xml; drawn; spoils"},
		{"what cannot be read", lasting, query.Syntax{}, "SELEKT remote()",
			"ask; keep a statement that pgherd cannot read (syntax error); alone; drawn; peeks; suspect; spoils; stays"},
		{"nothing", lasting, query.Syntax{}, "SELECT 1", "nothing"},
		{"backslashes escape", quiet, query.Syntax{BackslashEscapes: true}, `SELECT '\'' , keeper() --'`, "ask; keep function keeper; drawn"},
		{"backslashes do not", quiet, query.Syntax{}, `SELECT '\'' , keeper() --'`, "nothing"},
		{"an encoding with quotes in its characters", quiet, query.Syntax{UnsafeEncoding: true}, "SELECT '\x81'",
			"ask; keep a statement that pgherd cannot read (non-ASCII text in an unsafe client encoding); alone; drawn; peeks; suspect; stays"},
		{"a long text", quiet, query.Syntax{}, "SELECT '" + strings.Repeat("x", query.MaxBytes) + "'",
			"ask; keep a statement that pgherd cannot read (longer than the limit); alone; drawn; peeks; suspect; stays"},
		{"a deep text", quiet, query.Syntax{}, "SELECT " + strings.Repeat("(", 2*query.MaxNesting) + "1" + strings.Repeat(")", 2*query.MaxNesting),
			"ask; keep a statement that pgherd cannot read (nested deeper than the limit); alone; drawn; peeks; suspect; stays"},
		{"an empty text", quiet, query.Syntax{}, "", "nothing"},
		{"a comment", quiet, query.Syntax{}, "-- SELECT keeper()", "nothing"},
	} {
		e := effectOf(query.Parse([]byte(row.sql), row.syntax), judge{known: row.known})
		if got := e.words(judge{known: row.known}); got != row.want {
			t.Errorf("%s: %s\n got %s\nwant %s", row.what, row.sql[:min(len(row.sql), 60)], got, row.want)
		}
	}
}
