// Package effecttest has the catalog of a database for tests of effects, and writes effects in
// words.
package effecttest

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgherd/proxy/catalog"
	"pgherd/proxy/effect"
)

// Known is the catalog of a database in which names say what they do. It has the functions quiet,
// asker and keeper, and the tables plain, asked, kept and kept_rows, whose policy runs when it is
// read. more are further rows of the answer about the catalog.
func Known(t *testing.T, more ...[]string) *catalog.Snapshot {
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

// Words writes an effect in the words of testdata/effects.txt.
func Words(e *effect.Effect, by effect.Judge) string {
	var list []string
	say := func(is bool, format string, args ...any) {
		if is {
			list = append(list, fmt.Sprintf(format, args...))
		}
	}
	say(e.Has(effect.Begin), "begin")
	for _, c := range e.Changes {
		text := "reset " + c.Name
		if c.Value != "" {
			text = "set " + c.Name + "=" + c.Value
		}
		say(c.Local, "%s local", text)
		say(!c.Local, "%s", text)
	}
	say(e.Has(effect.Undo), "undo")
	say(e.Has(effect.Partly), "partly")
	say(e.Has(effect.Ask), "ask")
	say(e.Pins != "", "pins %s", e.Pins)
	say(e.Keep != "", "keep %s", e.Keep)
	say(e.Has(effect.Forgets), "forgets")
	say(e.Has(effect.Alone), "alone")
	say(e.Has(effect.Drawn), "drawn")
	say(e.Has(effect.Recalls), "drew %s", e.Recalled)
	say(e.Has(effect.Peeks), "peeks")
	say(len(e.Runs) > 0, "runs %s", strings.Join(e.Runs, ","))
	say(len(e.Closes) > 0, "closes %s", strings.Join(e.Closes, ","))
	for _, objects := range e.Defined {
		say(true, "%s", strings.TrimSpace("defines "+strings.Join(objects, ",")))
	}
	say(e.Has(effect.Suspect), "suspect")
	say(e.Has(effect.Spoils), "spoils")
	say(e.Has(effect.Reveals), "reveals")
	say(e.Has(effect.Stays), "stays")
	say(len(e.Names) > 0, "names %s", strings.Join(e.Names, ","))
	for _, name := range slices.Sorted(maps.Keys(e.Prepares)) {
		var inner effect.Effect
		for _, st := range e.Prepares[name] {
			inner.Include(st, by)
		}
		say(true, "prepares %s {%s}", name, Words(&inner, by))
	}
	if list == nil {
		return "nothing"
	}
	return strings.Join(list, "; ")
}
