package effect_test

import (
	"flag"
	"os"
	"strings"
	"testing"

	"pgherd/proxy/catalog"
	"pgherd/proxy/effect"
	"pgherd/proxy/effect/effecttest"
	"pgherd/proxy/query"
)

var update = flag.Bool("update", false, "write what effect.Of says into testdata/effects.txt, to be reviewed")

// TestEffects checks testdata/effects.txt, which has a script on one line and its effect on the next, indented.
func TestEffects(t *testing.T) {
	const file, indent = "testdata/effects.txt", "    "
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	by := effect.Judge{Known: effecttest.Known(t), Lasting: true, Harmless: func(schema, name string) bool { return schema == "ext" || name == "trusted" }}
	var said strings.Builder
	sql, rows := "", 0
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSuffix(line, "\n"); strings.HasPrefix(line, indent) {
			e := effect.Of(query.Parse([]byte(sql), query.Syntax{}), by)
			if got := indent + effecttest.Words(&e, by); got != line {
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
		t.Errorf("effects.txt has %d scripts, want at least 100", rows)
	}
}

// TestEffectsOfDatabases checks what statements do by the catalog, although their text does not
// show it.
func TestEffectsOfDatabases(t *testing.T) {
	quiet := effecttest.Known(t)
	anything := effecttest.Known(t, []string{"uses", "a", "fkeeper", "", ""})
	asks := effecttest.Known(t, []string{"uses", "a", "fasker", "", ""})
	lasting := effecttest.Known(t, []string{"function", "remote", "c", "vf", ""}, []string{"uses", "wplain", "fremote", "", ""})
	events := effecttest.Known(t, []string{"uses", "d", "fkeeper", "", ""})
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
		{"an event trigger, and a table made by SELECT INTO", events, query.Syntax{}, "SELECT 1 INTO x", "ask; keep an event trigger; drawn; defines"},
		{"an event trigger that no statement fires", events, query.Syntax{}, "SELECT 1", "nothing"},
		{"nothing is known of the database", nil, query.Syntax{}, "SELECT 1", "ask; keep " + everything + "; spoils"},
		{"nothing is known of its tables", nil, query.Syntax{}, "SELECT * FROM plain", "ask; keep table plain; spoils"},
		{"what outlasts DISCARD ALL", lasting, query.Syntax{}, "SELECT remote()", "ask; keep function remote; drawn; spoils"},
		{"what outlasts DISCARD ALL, in a table", lasting, query.Syntax{}, "INSERT INTO plain VALUES (1)", "ask; keep table plain; drawn; spoils"},
		{"a known function, which leaves no more", lasting, query.Syntax{}, "SELECT keeper()", "ask; keep function keeper; drawn"},
		{"a DO block that may call such a function", lasting, query.Syntax{}, "DO $$ BEGIN END $$", "ask; keep DO; drawn; spoils"},
		{"a DO block without such a function", quiet, query.Syntax{}, "DO $$ BEGIN END $$", "ask; keep DO; drawn"},
		{"an unknown function", lasting, query.Syntax{}, "SELECT strange()", "ask; keep function strange; drawn; spoils"},
		{"SQL given as text", lasting, query.Syntax{}, "SELECT query_to_xml('SELECT remote()', true, true, '')", "ask; keep function query_to_xml; drawn; spoils"},
		{"a text that cannot be parsed", lasting, query.Syntax{}, "SELEKT remote()",
			"ask; keep a statement that pgherd cannot read (syntax error); alone; drawn; peeks; suspect; spoils; stays"},
		{"nothing", lasting, query.Syntax{}, "SELECT 1", "nothing"},
		{"backslashes escape", quiet, query.Syntax{BackslashEscapes: true}, `SELECT '\'' , keeper() --'`, "ask; keep function keeper; drawn"},
		{"backslashes do not escape", quiet, query.Syntax{}, `SELECT '\'' , keeper() --'`, "nothing"},
		{"an encoding with quotes in its characters", quiet, query.Syntax{UnsafeEncoding: true}, "SELECT '\x81'",
			"ask; keep a statement that pgherd cannot read (non-ASCII text in an unsafe client encoding); alone; drawn; peeks; suspect; stays"},
		{"a long text", quiet, query.Syntax{}, "SELECT '" + strings.Repeat("x", query.MaxBytes) + "'",
			"ask; keep a statement that pgherd cannot read (longer than the limit); alone; drawn; peeks; suspect; stays"},
		{"a deep text", quiet, query.Syntax{}, "SELECT " + strings.Repeat("(", 2*query.MaxNesting) + "1" + strings.Repeat(")", 2*query.MaxNesting),
			"ask; keep a statement that pgherd cannot read (nested deeper than the limit); alone; drawn; peeks; suspect; stays"},
		{"an empty text", quiet, query.Syntax{}, "", "nothing"},
		{"a comment", quiet, query.Syntax{}, "-- SELECT keeper()", "nothing"},
	} {
		e := effect.Of(query.Parse([]byte(row.sql), row.syntax), effect.Judge{Known: row.known})
		if got := effecttest.Words(&e, effect.Judge{Known: row.known}); got != row.want {
			t.Errorf("%s: %s\n got %s\nwant %s", row.what, row.sql[:min(len(row.sql), 60)], got, row.want)
		}
	}
}
