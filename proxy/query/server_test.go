package query

import (
	"bufio"
	"fmt"
	"os"
	"slices"
	"strconv"
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

// TestAgainstServer compares the lists of functions, and the parser, with a running PostgreSQL.
func TestAgainstServer(t *testing.T) {
	h := herdtest.Start(t, herd.Settings{})
	t.Run("functions", func(t *testing.T) { checkFunctions(t, h) })
	t.Run("replay", func(t *testing.T) { checkReplay(t, h) })
}

// checkFunctions fails if a function's volatility differs from that in the files.
func checkFunctions(t *testing.T, h *herd.Herd) {
	rows := ask(t, h, `SELECT proname || ' ' || bool_or(provolatile <> 'i') FROM pg_proc
		WHERE pronamespace = 'pg_catalog'::regnamespace GROUP BY proname`)
	wrong, shared := compareFunctions(rows)
	if len(wrong) > 0 || shared < 2_000 {
		t.Errorf("PostgreSQL %s: of %d functions that are in the files, these differ: %s", ask(t, h, "SHOW server_version"), shared, strings.Join(wrong, "; "))
	}
	version, err := strconv.Atoi(ask(t, h, "SHOW server_version_num"))
	if missing := unlisted(rows); err != nil || version < nextVersion && len(missing) > fewUnlisted {
		t.Errorf("error %v; %d functions of PostgreSQL %d are missing in the files: %s", err, len(missing), version, strings.Join(missing, " "))
	}
}

// The files have the functions of all releases before this one, except for a few that minor releases have added.
const (
	nextVersion = 19_00_00
	fewUnlisted = 5
)

// unlisted are the functions that are missing in the files.
func unlisted(rows string) (missing []string) {
	for line := range strings.Lines(rows) {
		name, _, _ := strings.Cut(strings.TrimSpace(line), " ")
		if _, ok := builtins()[name]; !ok {
			missing = append(missing, name)
		}
	}
	return missing
}

// stricter has functions that are immutable in some releases, but not in all, so that the files do not list them as
// immutable.
var stricter = map[string]bool{
	"interval_out": true, // it is immutable up to PostgreSQL 14
}

// compareFunctions returns the functions whose volatility differs from that in the files, and the number of functions
// in both. A server may have functions that are missing in the files, which count as unknown; and it may lack others,
// which cannot be called then. Minor releases differ in what pg_upgrade calls, and major ones in more.
func compareFunctions(rows string) (wrong []string, shared int) {
	for line := range strings.Lines(rows) {
		name, volatile, _ := strings.Cut(strings.TrimSpace(line), " ")
		known, ok := builtins()[name]
		if !ok {
			continue
		}
		shared++
		if known.volatile != (volatile == "true") && !stricter[name] {
			wrong = append(wrong, fmt.Sprintf("%s: volatile %v, not immutable in PostgreSQL %s", name, known.volatile, volatile))
		}
	}
	return wrong, shared
}

// TestOtherReleases checks that the comparison accepts releases that lack functions or have others, such as 15.0 or
// 18, but no function with another volatility.
func TestOtherReleases(t *testing.T) {
	var rows []string
	for name, b := range builtins() {
		rows = append(rows, fmt.Sprintf("%s %v", name, b.volatile))
	}
	slices.Sort(rows)
	i := slices.Index(rows, "abs false")
	for _, c := range []struct {
		release string
		rows    []string
		wrong   []string
		missing int
	}{
		{"as the files", rows, nil, 0},
		{"with fewer functions", rows[40:], nil, 40},
		{"with more functions", append([]string{"any_other true", "one_more false"}, rows...), nil, 0},
		{"with a function that is no longer immutable", append([]string{"abs true"}, slices.Delete(slices.Clone(rows), i, i+1)...),
			[]string{"abs: volatile false, not immutable in PostgreSQL true"}, 0},
	} {
		wrong, shared := compareFunctions(strings.Join(c.rows, "\n"))
		if !slices.Equal(wrong, c.wrong) || shared != len(rows)-c.missing {
			t.Errorf("a release %s: got %v and %d functions, want %v and %d", c.release, wrong, shared, c.wrong, len(rows)-c.missing)
		}
	}
}

// checkReplay sets the settings of the table of sessions, once by the statement and once by name and Value, and once
// more where backslashes escape.
func checkReplay(t *testing.T, h *herd.Herd) {
	_, rows := readTable(t, "testdata/sessions.txt")
	said, checked := map[string]string{}, 0
	for _, r := range rows {
		st := Parse([]byte(r.sql), Syntax{}).Statements[0]
		if st.Kind == Set && !st.Local && st.Value != "" && st.Name != "seed" && r.sql != `SET "Work_Mem" TO on` {
			show := "; SELECT current_setting('" + st.Name + "')"
			said[r.sql] = ask(t, h, r.sql+show)
			if again := ask(t, h, replay(st)+show); again != said[r.sql] {
				t.Errorf("%s sets %q, but %s sets %q", r.sql, said[r.sql], replay(st), again)
			}
			checked++
		}
	}
	ask(t, h, "ALTER ROLE postgres SET standard_conforming_strings = off; ALTER ROLE postgres SET escape_string_warning = off")
	for sql, want := range said {
		st := Parse([]byte(sql), Syntax{}).Statements[0]
		if again := ask(t, h, replay(st)+"; SELECT current_setting('"+st.Name+"')"); again != want {
			t.Errorf("%s sets %q, but where backslashes escape %q", sql, want, again)
		}
	}
	if checked < 15 {
		t.Errorf("only %d settings were compared", checked)
	}
}

func replay(st Statement) string { return "SET " + st.Name + " TO " + st.Value }

// TestFunctionsFile checks the errors in the file that its reader would not notice.
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
			t.Errorf("this line is out of order, or does not have three or four words: %s", lines.Text())
			continue
		}
		last = fields[0]
		if !strings.Contains(" unknown harmless write session ", " "+fields[2]+" ") {
			t.Errorf("the mark does not exist: %s", lines.Text())
		}
		for _, effect := range strings.Split(strings.Join(fields[3:], ""), ",") {
			if effect != "" && effectNamed(effect) == 0 {
				t.Errorf("the effect does not exist: %s", lines.Text())
			}
		}
	}
}
