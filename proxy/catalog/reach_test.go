package catalog

import (
	"strings"
	"testing"
	"time"

	"pgherd/proxy/query"
)

// reachable is the Snapshot of a database in which a view and a trigger lead to functions.
func reachable(t *testing.T) *Snapshot {
	t.Helper()
	s, err := Read(nil, [][]string{{"version", "1", "", "", ""},
		{"names", "rp", "", "plain/orders/items", ""}, {"names", "vp", "", "report", ""},
		{"function", "audit", "plpgsql", "vf", "BEGIN PERFORM note(); INSERT INTO items VALUES (1); END"},
		{"function", "note", "sql", "vf1", "SELECT 1"},
		{"function", "alone", "sql", "vf", "SELECT 1"},
		{"uses", "worders", "faudit", "", ""},
		{"uses", "rreport", "rorders", "", ""}})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestConcerns checks which statements may do something else once a function or relation has
// changed. What is not known yet may be named in the text of any function.
func TestConcerns(t *testing.T) {
	s := reachable(t)
	for _, row := range []struct {
		objects, sql string
		want         bool
	}{
		{"note", "SELECT 1", false},
		{"note", "SELECT * FROM plain", false},
		{"note", "SELECT alone()", false},
		{"note", "SELECT note(1)", true},
		{"note", "SELECT audit()", true},
		{"note", "SELECT x.note FROM plain x", true},
		{"note", "INSERT INTO orders VALUES (1)", true},
		{"note", "SELECT * FROM orders", false},
		{"note", "PREPARE p AS INSERT INTO orders VALUES (1)", true},
		{"note", "EXECUTE p", true},
		{"note", "DO 'BEGIN END'", true},
		{"items", "INSERT INTO orders VALUES (1)", true}, // the trigger's function names it
		{"orders", "SELECT * FROM report", true},
		{"orders", "SELECT * FROM orders", true},
		{"plain, note", "SELECT * FROM orders, plain", true},
		{"unheard", "SELECT * FROM plain", false},
		{"unheard", "SELECT * FROM unheard", true},
		{"unheard", "SELECT alone()", true},
		{"unheard", "INSERT INTO orders VALUES (1)", true},
		{"unheard", "SELECT * FROM report", false},
		{"", "SELECT 1", true},
		{"note", "SELECT (", true},
	} {
		objects := strings.FieldsFunc(row.objects, func(r rune) bool { return r == ',' || r == ' ' })
		if got := s.Concerns(objects, query.Parse([]byte(row.sql), query.Syntax{})); got != row.want {
			t.Errorf("a change of %q concerns %s: %v, want %v", row.objects, row.sql, got, row.want)
		}
	}
}

// TestConcerning counts the definitions that concern what no answer distinguishes.
func TestConcerning(t *testing.T) {
	e := NewShared().Entry("app")
	e.Store(e.Ask(time.Time{}), reachable(t))
	_, asOf := e.Present()
	calls := query.Parse([]byte("SELECT note(1)"), query.Syntax{})
	define := func(objects ...string) uint64 {
		n := e.Begin(objects)
		e.Changed()
		e.End(n)
		return n
	}
	want := func(what string, want int, own ...uint64) {
		t.Helper()
		if got := e.Concerning(calls, asOf, own); got != want {
			t.Errorf("%s: %d definitions concern it, want %d", what, got, want)
		}
	}
	want("nothing was defined", 0)
	define("alone")
	want("another function", 0)
	n := define("note")
	want("this function", 1)
	want("by the session itself", 0, n)
	e.Store(e.Ask(time.Time{}), reachable(t))
	want("one that an answer tells", 1)
	define("note")
	want("one that no answer tells yet", 2)
	e.Store(e.Ask(time.Time{}), reachable(t))
	open := e.Begin([]string{"note"})
	want("one that began after the answer", 3)
	e.End(open)
	for range flightsLimit {
		define("alone")
	}
	want("more than are told apart", flightsLimit)
}
