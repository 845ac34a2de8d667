package config

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// tableRows reads a text file of rows whose columns are separated by " | ". Lines that begin with ## are comments.
func tableRows(t *testing.T, file string, columns int) [][]string {
	t.Helper()
	text, err := os.ReadFile("testdata/" + file)
	if err != nil {
		t.Fatal(err)
	}
	var rows [][]string
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSuffix(line, "\n")
		if line == "" || strings.HasPrefix(line, "##") {
			continue
		}
		row := strings.Split(line, " | ")
		if len(row) != columns {
			t.Fatalf("%s: %d columns in %q", file, len(row), line)
		}
		rows = append(rows, row)
	}
	if len(rows) < 10 {
		t.Fatalf("%s: only %d rows", file, len(rows))
	}
	return rows
}

// ours is the last column of a row, which is pgherd's value; if that is missing, it is Pgpool-II's.
func ours(row []string) string {
	if own := row[len(row)-1]; own != "the same" {
		return own
	}
	return row[len(row)-2]
}

// TestLinesAsPgpoolReadsThem checks how a line is read, and where that differs from Pgpool-II.
func TestLinesAsPgpoolReadsThem(t *testing.T) {
	for _, row := range tableRows(t, "pgpool-values.txt", 3) {
		name, value, err := parseLine(row[0])
		got := "<" + value + ">"
		switch {
		case err != nil:
			got = "error"
		case name == "":
			got = "nothing"
		}
		if got != ours(row) {
			t.Errorf("%s: got %s (%v), want %s", row[0], got, err, ours(row))
		}
		if err != nil {
			continue
		}
		if again, rest, err := cutQuoted(quote(value)[1:]); again != value || rest != "" || err != nil {
			t.Errorf("%s: written as %s, it is read as %s, with the rest %q, error %v", row[0], quote(value), again, rest, err)
		}
	}
}

func TestListsAsPgpoolSplitsThem(t *testing.T) {
	for _, row := range tableRows(t, "pgpool-lists.txt", 3) {
		sep, text := row[0][:1], row[0][2:]
		items := splitList(text, sep)
		got := "nothing"
		if len(items) > 0 {
			got = "<" + strings.Join(items, "> <") + ">"
		}
		if got != ours(row) {
			t.Errorf("%s: got %s, want %s", row[0], got, ours(row))
		}
		if again := splitList(joinList(items, sep), sep); !slices.Equal(again, items) {
			t.Errorf("%s: joined as %s, it is split into %q", row[0], joinList(items, sep), again)
		}
	}
}

// TestPatternsOfThePgpoolManual checks that the example of Pgpool-II's manual, as it is written
// there, has these entries.
func TestPatternsOfThePgpoolManual(t *testing.T) {
	c := parse(t, oneNode+`primary_routing_query_pattern_list = 'SELECT \* FROM table_name1\;;SELECT col1, col2 FROM table_name2 WHERE col1 LIKE \'%a%\'\;;.*table_name3.*'`)
	want := []string{`SELECT \* FROM table_name1;`, `SELECT col1, col2 FROM table_name2 WHERE col1 LIKE \'%a%\';`, `.*table_name3.*`}
	if !slices.Equal(c.Balance.PrimaryPatterns, want) {
		t.Errorf("got %q", c.Balance.PrimaryPatterns)
	}
}

// TestBooleansAsPgpoolReadsThem checks that the beginnings of the words count too, in upper and
// lower case.
func TestBooleansAsPgpoolReadsThem(t *testing.T) {
	for _, words := range []string{"on true yes 1 t tr tru y ye ON True YES", "off false no 0 of f fa fal fals n OFF False NO"} {
		want := strings.HasPrefix(words, "on")
		for word := range strings.FieldsSeq(words) {
			if c := parse(t, oneNode+"log_connections = "+word); c.Log.Connections != want {
				t.Errorf("word %s is read as %v", word, c.Log.Connections)
			}
		}
	}
}
