package query

import (
	"bufio"
	"os"
	"strings"
	"testing"

	"pgherd/bench/herd"
	"pgherd/bench/herd/herdtest"
)

func ask(t *testing.T, h *herd.Herd, sql string) string {
	t.Helper()
	out, err := h.Exec(t.Context(), sql)
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return strings.TrimSpace(out)
}

// TestAgainstServer compares what we believe with a running PostgreSQL.
func TestAgainstServer(t *testing.T) {
	h := herdtest.Start(t, herd.Settings{})
	t.Run("functions", func(t *testing.T) { checkFunctions(t, h) })
	t.Run("replay", func(t *testing.T) { checkReplay(t, h) })
}

// checkFunctions fails if a function has a volatility that the files do not say, and,
// with PostgreSQL 15, if they lack more than a few functions or have more than a few
// that it has not: minor releases differ in what pg_upgrade calls, for one. What the
// files lack counts as unknown, so that nothing wrong comes of it.
func checkFunctions(t *testing.T, h *herd.Herd) {
	exact := strings.HasPrefix(ask(t, h, "SHOW server_version"), "15.")
	rows := ask(t, h, `SELECT proname || ' ' || bool_or(provolatile <> 'i') FROM pg_proc
		WHERE pronamespace = 'pg_catalog'::regnamespace GROUP BY proname`)
	seen := map[string]bool{}
	var lacking, strange []string
	for line := range strings.Lines(rows) {
		name, volatile, _ := strings.Cut(strings.TrimSpace(line), " ")
		seen[name] = true
		known, ok := builtins()[name]
		if !ok {
			lacking = append(lacking, name)
		} else if known.volatile != (volatile == "true") {
			t.Errorf("%s: volatile %v, not immutable in PostgreSQL %s", name, known.volatile, volatile)
		}
	}
	for name := range builtins() {
		if !seen[name] {
			strange = append(strange, name)
		}
	}
	const few = 10
	if exact && (len(lacking) > few || len(strange) > few) {
		t.Errorf("not in the files: %v; not in PostgreSQL: %v", lacking, strange)
	}
	if len(seen) < 2_000 {
		t.Errorf("asked for %d functions only", len(seen))
	}
}

// checkReplay sets what the table of sessions sets, once as it was said and once
// by name and Value, and once more where backslashes escape.
func checkReplay(t *testing.T, h *herd.Herd) {
	_, rows := readTable(t, "testdata/sessions.txt")
	said, checked := map[string]string{}, 0
	for _, r := range rows {
		st := Parse([]byte(r.sql), Syntax{}).Statements[0]
		if st.Kind == Set && !st.Local && st.Value != "" && st.Name != "seed" && r.sql != `SET "Work_Mem" TO on` {
			show := "; SELECT current_setting('" + st.Name + "')"
			said[r.sql] = ask(t, h, r.sql+show)
			if again := ask(t, h, replay(st)+show); again != said[r.sql] {
				t.Errorf("%s: %q, and %s: %q", r.sql, said[r.sql], replay(st), again)
			}
			checked++
		}
	}
	ask(t, h, "ALTER ROLE postgres SET standard_conforming_strings = off; ALTER ROLE postgres SET escape_string_warning = off")
	for sql, want := range said {
		st := Parse([]byte(sql), Syntax{}).Statements[0]
		if again := ask(t, h, replay(st)+"; SELECT current_setting('"+st.Name+"')"); again != want {
			t.Errorf("%s: %q, and where backslashes escape %q", sql, want, again)
		}
	}
	if checked < 15 {
		t.Errorf("only %d settings were compared", checked)
	}
}

func replay(st Statement) string { return "SET " + st.Name + " TO " + st.Value }

// TestFunctionsFile checks what the reader of the file would forgive.
func TestFunctionsFile(t *testing.T) {
	file, err := os.Open("functions.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	last := ""
	for lines := bufio.NewScanner(file); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if fields[0] == "#" {
			continue
		}
		if len(fields) < 3 || len(fields) > 4 || fields[0] <= last || fields[1] != "s" && fields[1] != "v" {
			t.Errorf("not in order or not of three or four words: %s", lines.Text())
			continue
		}
		last = fields[0]
		if !strings.Contains(" unknown harmless write session ", " "+fields[2]+" ") {
			t.Errorf("no such mark: %s", lines.Text())
		}
		for _, effect := range strings.Split(strings.Join(fields[3:], ""), ",") {
			if effect != "" && effectNamed(effect) == 0 {
				t.Errorf("no such effect: %s", lines.Text())
			}
		}
	}
}
