package config

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// versionRow is a row of testdata/pgpool-versions.txt.
type versionRow struct{ name, value, from, to, today string }

func versionRows(t *testing.T) []versionRow {
	t.Helper()
	var rows []versionRow
	for _, row := range tableRows(t, "pgpool-versions.txt", 5) {
		rows = append(rows, versionRow{row[0], row[1], row[2], row[3], row[4]})
	}
	return rows
}

// inVersion compares versions with one digit before the point and one after it.
func inVersion(version, from, to string) bool { return from <= version && (to == "-" || version <= to) }

// at is the row's line for this number.
func (r versionRow) at(number int) (name, value string) {
	digits := fmt.Sprint(number)
	return numbered(r.name, digits), strings.ReplaceAll(r.value, "hostN", "host"+digits)
}

func numbered(name, digits string) string {
	if strings.HasSuffix(name, "N+1") {
		return strings.TrimSuffix(name, "N+1") + "1" // the number after 0
	}
	if base, ok := strings.CutSuffix(name, "N"); ok {
		return base + digits
	}
	return name
}

// TestEveryNameOfEveryVersion checks that a line with each name is accepted, and that a warning names the present name if
// that is another one.
func TestEveryNameOfEveryVersion(t *testing.T) {
	for _, row := range versionRows(t) {
		name, value := row.at(0)
		c, warnings, err := Parse(files{"/c": oneNode + name + " = " + value}.open, "/c", CommandLine{})
		if err != nil {
			t.Errorf("%s: got error %v", row.name, err)
			continue
		}
		var told string
		for _, w := range warnings {
			if w.Line == 2 {
				told += w.Text
			}
		}
		today, word := row.today, strings.TrimPrefix(row.today, "word ")
		switch {
		case today == "kept":
			expectLine(t, c, name, told, "")
		case today == "gone":
			if !strings.HasPrefix(told, name+" is a parameter of older versions: ") {
				t.Errorf("%s: got warning %q", row.name, told)
			}
		case word != today:
			expectLine(t, c, name, told, name+": "+value+" is the old word for "+word)
		case today == clusteringMode:
			if !strings.HasPrefix(told, name+" is an old name of "+today) {
				t.Errorf("%s: got warning %q", row.name, told)
			}
		default:
			expectLine(t, c, numbered(today, "0"), told, name+" is the old name of "+numbered(today, "0")+", which gets its value")
		}
	}
}

// expectLine checks that the second line has set a parameter, with this warning.
func expectLine(t *testing.T, c *Config, name, told, want string) {
	t.Helper()
	if s, ok := c.Show(name); !ok || s.Source != "/c:2" || told != want {
		t.Errorf("%s: is set by %q, with the warning %q", name, s.Source, told)
	}
}

// TestVersionsAreComplete checks that no name of the present Pgpool-II is missing, and that every
// old name is in some version.
func TestVersionsAreComplete(t *testing.T) {
	text, err := os.ReadFile("testdata/pgpool-params.tsv")
	if err != nil {
		t.Fatal(err)
	}
	has := map[string]bool{}
	for _, row := range versionRows(t) {
		has[row.name] = true
	}
	for _, line := range strings.Split(strings.TrimSpace(string(text)), "\n")[1:] {
		if name, _, _ := strings.Cut(line, "\t"); !has[name] {
			t.Errorf("%s is missing", name)
		}
	}
	for _, f := range formerNames {
		if !has[f.name] && !has[f.name+"N"] && f.name != "backend_use_ssl" { // files have this one, but no version knows it
			t.Errorf("%s is missing", f.name)
		}
	}
}

// TestFilesOfEveryVersion checks that a file with every parameter of a version, in each of its modes, is accepted, or refused
// only because of the mode.
func TestFilesOfEveryVersion(t *testing.T) {
	rows, tried := versionRows(t), 0
	for _, mode := range tableRows(t, "pgpool-modes.txt", 5) {
		for _, version := range []string{"3.0", "3.1", "3.2", "3.3", "3.4", "3.5", "3.6", "3.7", "4.0", "4.1", "4.2", "4.3", "4.4", "4.5", "4.6", "4.7", "4.8"} {
			if !inVersion(version, mode[0], mode[1]) {
				continue
			}
			tried++
			text := fileOf(version, rows, mode[2] == "2") + strings.ReplaceAll(mode[3], "; ", "\n")
			if strings.Contains(mode[3], "use_watchdog = on") { // the versions before 4.2 had neither the file nor this name
				text += "\nhostname0 = a\nwd_authkey = 12345678"
			}
			c, _, err := Parse(files{"/c": text, "/pgpool_node_id": "0"}.open, "/c", CommandLine{})
			got := "starts"
			if err != nil {
				got = err.Error()
				if _, after, ok := strings.Cut(got, ": "); ok && strings.HasPrefix(got, "/c:") {
					got = after
				}
			}
			if got != mode[4] {
				t.Errorf("%s with %s and %s nodes:\n got: %s\nwant: %s", version, mode[3], mode[2], got, mode[4])
			}
			if c != nil && (fmt.Sprint(len(c.Nodes)) != mode[2] || c.Nodes[0].Host != "host0" || len(c.Pool.ResetQueries) != 2) {
				t.Errorf("%s with %s: got nodes %+v", version, mode[3], c.Nodes)
			}
		}
	}
	if tried < 100 {
		t.Errorf("only %d files", tried)
	}
}

// fileOf is a file with all parameters of a version. The settings of a mode come last, so that they count.
func fileOf(version string, rows []versionRow, two bool) string {
	var b strings.Builder
	for _, row := range rows {
		if !inVersion(version, row.from, row.to) {
			continue
		}
		for number := range 2 {
			if name, value := row.at(number); number == 0 || two && name != row.name {
				fmt.Fprintf(&b, "%s = %s\n", name, value)
			}
		}
	}
	return b.String()
}
