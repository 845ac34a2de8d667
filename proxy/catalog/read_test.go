package catalog

import (
	"strings"
	"testing"

	"pgherd/proxy/route"
)

// TestNothingKnown checks a nil Snapshot, and the Snapshot of an answer that was too long.
func TestNothingKnown(t *testing.T) {
	rows := [][]string{{"version", "1:2", "", "", ""}}
	for range maxRows {
		rows = append(rows, []string{"uses", "wx", "fy", "", ""})
	}
	long, err := Read(nil, rows)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := Read(long, rows[:1]); err != nil || again != long {
		t.Errorf("an answer that was too long is not accepted: %v", err)
	}
	for name, s := range map[string]*Snapshot{"nil": nil, "too long": long} {
		for _, got := range []Verdict{
			s.Function("", "f"), s.Function("", "now"), s.Function("public", "f"), s.Relation("", "t", false),
			s.Relation("public", "pg_t", true), s.Anything(), s.DDL(), s.Function("pg_temp_3", "now"),
		} {
			if got != Spoils {
				t.Errorf("%s: got %v", name, got)
			}
		}
		for _, got := range []Verdict{
			s.Function("pg_catalog", "now"), s.Relation("pg_catalog", "x", true),
			s.Relation("", "pg_class", false), s.Relation("information_schema", "tables", false),
		} {
			if got != Harmless {
				t.Errorf("%s: got %v", name, got)
			}
		}
	}
}

// TestEmpty checks that everything is known of a database without objects.
func TestEmpty(t *testing.T) {
	s, err := Read(nil, [][]string{{"version", "0:0", "", "", ""}})
	if err != nil {
		t.Fatal(err)
	}
	checkEmpty(t, s)
	for _, c := range []struct{ got, want Verdict }{
		{s.Function("", "f"), Spoils}, {s.Function("", "now"), Harmless}, {s.Function("pg_catalog", "set_config"), Keeps},
		{s.Function("information_schema", "_pg_expandarray"), Harmless}, {s.Function("pg_temp", "now"), Keeps},
		{s.Relation("", "t", true), Harmless}, {s.Relation("pg_temp_1", "t", false), Keeps},
	} {
		if c.got != c.want {
			t.Errorf("got %v, want %v", c.got, c.want)
		}
	}
}

// TestReadRefuses checks that a wrong answer does not count as that of an empty database.
func TestReadRefuses(t *testing.T) {
	version := []string{"version", "1:2", "", "", ""}
	for _, rows := range [][][]string{
		nil, {}, {nil}, {{"version"}}, {{"version", "", "", "", ""}}, {{"version", "' OR '", "", "", ""}},
		{{"function", "f", "sql", "vf", ""}}, {version, {"uses", "", "x", "", ""}}, {version, {"uses", "x", "", "", ""}},
		{version, {"other", "", "", "", ""}}, {version, {"function", "f"}},
		{version, {"names", "r", "", "t", ""}}, {version, {"names", "", "", "t", ""}},
	} {
		if s, err := Read(nil, rows); err == nil {
			t.Errorf("%q: got %+v", rows, s)
		}
	}
}

func TestPlain(t *testing.T) {
	for escaped, want := range map[string]string{
		"": "", "abc": "abc", `a\\b`: `a\b`, `\303\237x`: "\x80\x80x", `\\303`: `\303`, `\`: "\x80", `\3`: "\x80", `\\\`: "\\\x80",
		`a\057b`: "a/b", `\177\200`: "\x7f\x80", `\777`: "\x80", `\+57`: "\x80",
	} {
		if got := plain(escaped); got != want {
			t.Errorf("%q: got %q, want %q", escaped, got, want)
		}
	}
}

// TestLongChain checks that verdicts reach along chains of names of any length, and along circles.
func TestLongChain(t *testing.T) {
	rows := [][]string{{"version", "1", "", "", ""}}
	last := "x"
	for i := 0; i < 20_000; i++ {
		next := "x" + strings.Repeat("y", i%7) + strings.Repeat("z", i/7%60)
		rows = append(rows, []string{"uses", "w" + last, "w" + next, "", ""})
		last = next
	}
	rows = append(rows, []string{"uses", "w" + last, "bset_config", "", ""}, []string{"uses", "wx", "w" + last, "", ""})
	s, err := Read(nil, rows)
	if err != nil || s.Relation("", "x", true) != Keeps || s.Relation("", "x", false) != Harmless {
		t.Errorf("got error %v", err)
	}
}

func FuzzRead(f *testing.F) {
	f.Add("version|1:2||||function|f|sql|vf|SELECT set_config('a','b',true)|uses|wt|ff||")
	f.Add(`version|1||||function|\303|plpgsql|v|BEGIN \\' SET a.b; END|uses|a|d||`)
	f.Add("uses|r|b||")
	f.Add(`version|1||||names|ru||a\057b/c||uses|rv|ra||uses|pp|pc||function|g|sql|sf|SELECT 1 FROM c`)
	f.Fuzz(func(t *testing.T, text string) {
		var rows [][]string
		for fields := strings.Split(text, "|"); len(fields) > 0; {
			n := min(5, len(fields))
			rows, fields = append(rows, fields[:n]), fields[n:]
		}
		s, err := Read(nil, rows)
		if err != nil {
			return
		}
		if s.Relation("", "t", false) > s.Relation("", "t", true) {
			t.Error("a write counts as less than a read")
		}
		for name := range s.functions {
			s.Function("", name)
			if s.Placing().Function("public", name) == route.Unheard {
				t.Errorf("placing %q is not known", name)
			}
		}
		for name, p := range s.relations {
			if got := s.Placing().Relation("public", name); got != p.relation() {
				t.Errorf("%q is read as %v, asked for %v", name, p, got)
			}
		}
	})
}
