package route

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pgherd/proxy/query"
)

var update = flag.Bool("update", false, "write what Place says into testdata/*.txt, to be reviewed")

const indent = "    "

// database is the database of the tables in testdata.
type database struct{}

func (database) Function(_, name string) Known {
	return map[string]Known{"safe": Reads, "vol": Writes, "upper": Writes}[name]
}

func (database) Field(name string) Known {
	return map[string]Known{"safe": Reads, "vol": Writes}[name]
}

func (database) Anything() Known { return Reads }

// wild is the same database with an operator that writes.
type wild struct{ database }

func (wild) Anything() Known { return Writes }

func (database) Relation(_, name string) Known {
	if strings.HasPrefix(name, "pg_") {
		return System
	}
	return map[string]Known{"t": Reads, "u": Reads, "scratch": Temporary, "log": Unlogged, "sees_vol": Writes}[name]
}

// setting reads the words in brackets.
func setting(t *testing.T, text string) (set Settings, r Request) {
	t.Helper()
	set, r.Catalog = Settings{Balance: true, OnWrite: Transaction}, database{}
	for part := range strings.SplitSeq(text, ";") {
		switch part = strings.TrimSpace(part); part {
		case "", "comment in front":
			continue
		case "no catalog":
			r.Catalog = nil
			continue
		case "wild":
			r.Catalog = wild{}
			continue
		case "off":
			set.Balance = false
			continue
		case "comments":
			set.Comments = true
			continue
		}
		if name, value, ok := strings.Cut(part, "="); ok {
			configure(t, &set, name, value)
			continue
		}
		for word := range strings.FieldsSeq(part) {
			switch t := &r.Session.Transaction; word {
			case "snapshot":
				t.Isolation = max(t.Isolation, RepeatableRead)
			case "serializable":
				t.Isolation = Serializable
			default:
				*map[string]*bool{"open": &t.Open, "placed": &t.Placed, "readonly": &t.ReadOnly, "wrote": &r.Session.Wrote.Now,
					"wrote_block": &r.Session.Wrote.InBlock, "wrote_ever": &r.Session.Wrote.Ever}[word] = true
			}
		}
	}
	return set, r
}

func configure(t *testing.T, set *Settings, name, value string) {
	t.Helper()
	list := func() (all []*regexp.Regexp) {
		for item := range strings.SplitSeq(value, ",") {
			all = append(all, regexp.MustCompile(item))
		}
		return all
	}
	switch name {
	case "after":
		i := slices.Index([]string{"off", "transaction", "trans_transaction", "always"}, value)
		set.OnWrite = OnWrite(i)
	case "reads":
		set.ReadFunctions = list()
	case "writes":
		set.WriteFunctions = list()
	case "pattern":
		set.PrimaryPatterns = list()
	default:
		t.Fatalf("no setting is called %s", name)
	}
}

// say writes a decision in the words of testdata.
func say(d Decision) string {
	text := fmt.Sprintf("%v by %s: %s", d.Where, d.Rule, d.Why)
	if d.Where == Node {
		text = fmt.Sprintf("node %d by %s: %s", d.Index, d.Rule, d.Why)
	}
	return text
}

// TestPlace checks every decision of testdata/place.txt.
func TestPlace(t *testing.T) {
	const path = "testdata/place.txt"
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var set Settings
	var r Request
	var out strings.Builder
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSuffix(line, "\n")
		if strings.HasPrefix(line, indent) {
			continue
		}
		out.WriteString(line + "\n")
		switch {
		case line == "", strings.HasPrefix(line, "#"):
		case line[0] == '[':
			set, r = setting(t, strings.Trim(line, "[]"))
		default:
			r.Text, r.Script = []byte(line), query.Parse([]byte(line), query.Syntax{})
			out.WriteString(indent + say(Place(&r, &set)) + "\n")
		}
	}
	compare(t, path, string(text), out.String())
}

func compare(t *testing.T, path, want, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	a, b := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			t.Fatalf("%s:%d\n got %s\nwant %s", path, i+1, b[i], a[i])
		}
	}
	if len(a) != len(b) {
		t.Fatalf("%s has %d lines, want %d", path, len(a), len(b))
	}
}

// statementsOf are the statements of package query's tables, which have every form that the grammar knows.
func statementsOf(t *testing.T) (all []string) {
	t.Helper()
	paths, err := filepath.Glob("../query/testdata/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			if line = strings.TrimSuffix(line, "\n"); line != "" && line[0] != '#' && !strings.HasPrefix(line, indent) {
				all = append(all, line)
			}
		}
	}
	return all
}

// everything is a database in which nothing does harm.
type everything struct{}

func (everything) Function(_, _ string) Known { return Reads }
func (everything) Relation(_, _ string) Known { return Reads }
func (everything) Field(_ string) Known       { return Unheard }
func (everything) Anything() Known            { return Reads }

// TestEveryForm compares the routes of all forms of statements with testdata/forms.txt. They follow
// from the text alone, in a database in which nothing does harm.
func TestEveryForm(t *testing.T) {
	const path = "testdata/forms.txt"
	set := Settings{Balance: true, Comments: true, OnWrite: Transaction}
	out := strings.Builder{}
	out.WriteString("# Where each statement of ../../query/testdata goes, if no function and no relation does harm.\n")
	all := statementsOf(t)
	if len(all) < 400 {
		t.Fatalf("got %d statements, want at least 400", len(all))
	}
	for _, sql := range all {
		r := Request{Text: []byte(sql), Script: query.Parse([]byte(sql), query.Syntax{}), Catalog: everything{}}
		d := Place(&r, &set)
		out.WriteString(sql + "\n" + indent + say(d) + "\n")
		if d.Where == Anywhere {
			checkRead(t, sql, r.Script)
		}
		if r.Catalog = nil; Place(&r, &set).Where == Anywhere {
			t.Errorf("%s leaves the primary, but nothing is known of the database", sql)
		}
	}
	text, err := os.ReadFile(path)
	if err != nil && !*update {
		t.Fatal(err)
	}
	compare(t, path, string(text), out.String())
}

// checkRead checks that a statement that leaves the primary neither writes nor changes its session.
func checkRead(t *testing.T, sql string, script *query.Script) {
	t.Helper()
	for st := range all(script) {
		if bad := st.Effects &^ (query.UnknownFunction | query.ReadsClock); bad != 0 || st.Class == query.Write || st.Class == query.Session {
			t.Errorf("%s may go anywhere, but its class is %v and its effect %v", sql, st.Class, bad)
		}
	}
}

// TestNothingKnown checks that a statement that is too long, or is not SQL, stays on the primary.
func TestNothingKnown(t *testing.T) {
	set := Settings{Balance: true}
	for _, sql := range []string{"", "SELEC 1", "SELECT '", "SELECT " + strings.Repeat("(", 20_000), strings.Repeat("SELECT 1;", 200_000)} {
		r := Request{Text: []byte(sql), Script: query.Parse([]byte(sql), query.Syntax{}), Catalog: everything{}}
		if d := Place(&r, &set); d.Where != Primary || d.Rule != "unknown" {
			t.Errorf("%.20q: got %s", sql, say(d))
		}
	}
	if d := Place(&Request{}, &set); d.Where != Primary {
		t.Errorf("got %s", say(d))
	}
}

// TestExplain checks that Explain ends with Place's decision, and with no rule after it.
func TestExplain(t *testing.T) {
	set := Settings{Balance: true}
	for sql, want := range map[string]int{"SELECT 1": len(rules) + 1, "UPDATE t SET a = 1": ofSession + 7, "": ofSession + 4, "/*NO LOAD BALANCE*/ SELECT 1": ofSession + 3} {
		r := Request{Text: []byte(sql), Script: query.Parse([]byte(sql), query.Syntax{}), Catalog: everything{}}
		steps, d := Explain(&r, &set)
		if len(steps) != want || steps[len(steps)-1].Decision != d || d != Place(&r, &set) {
			t.Errorf("%q: got %d steps, %+v", sql, len(steps), steps)
		}
	}
}

// TestSignals checks that signals go to the node of their process, whatever else is believed of it, but not out of a
// transaction that keeps its node, nor against a hint of the client's.
func TestSignals(t *testing.T) {
	for _, row := range []struct {
		text      string
		session   Session
		elsewhere bool
		want      Where
	}{
		{"", Session{}, true, Process},
		{"", Session{Transaction: Block{Open: true}}, true, Process},
		{"", Session{Wrote: Wrote{Ever: true}}, true, Process},
		{"", Session{}, false, Primary},
		{"", Session{Transaction: Block{Open: true}, Wrote: Wrote{Now: true}}, true, Primary},
		{"", Session{Transaction: Block{Open: true, Isolation: Serializable}}, true, Primary},
		{"/*NO LOAD BALANCE*/ ", Session{}, true, Primary},
	} {
		sql := row.text + "SELECT pg_terminate_backend(5)"
		r := Request{Text: []byte(sql), Script: query.Parse([]byte(sql), query.Syntax{}), Session: row.session,
			Signals: true, Elsewhere: row.elsewhere, Owner: 2}
		d := Place(&r, &Settings{Balance: true, Comments: true, OnWrite: Always})
		if d.Where != row.want || d.Where == Process && d.Index != 2 {
			t.Errorf("%+v: got %s", row, say(d))
		}
		if MayWrite(&r, &Settings{}) {
			t.Error("a signal counts as a write")
		}
	}
}

func TestPlaceAllocatesNothing(t *testing.T) {
	set := Settings{Balance: true, OnWrite: Transaction}
	sql := []byte("SELECT abalance FROM t WHERE aid = 1")
	r := Request{Text: sql, Script: query.Parse(sql, query.Syntax{}), Catalog: everything{}}
	if n := testing.AllocsPerRun(100, func() {
		if Place(&r, &set).Where != Anywhere {
			t.Fatal("the statement may not go anywhere, want that it may")
		}
	}); n > 0 {
		t.Errorf("got %v allocations, want none", n)
	}
}

func BenchmarkPlace(b *testing.B) {
	set := Settings{Balance: true, OnWrite: Transaction}
	sql := []byte("SELECT abalance FROM t WHERE aid = 1")
	r := Request{Text: sql, Script: query.Parse(sql, query.Syntax{}), Catalog: everything{}}
	b.ReportAllocs()
	for b.Loop() {
		Place(&r, &set)
	}
}
