package track

import (
	"fmt"
	"strings"
	"testing"

	"pgherd/proxy/effect"
	"pgherd/proxy/effect/effecttest"
	"pgherd/proxy/query"
	"pgherd/proxy/wire"
)

// life runs the events that a session and its server tell a Tracker. An event is the text of a
// statement, which is sent when the server owes nothing, or one of these:
//
//	+text    sent while the server owes replies
//	=TAG     the tag of a CommandComplete
//	!CODE    an error
//	end      between two transactions: known, or else "the server is asked"
//	says x=y the server's answer to the question: these settings
func life(t *testing.T, f *Tracker, by effect.Judge, reported []wire.Param, events ...string) (asked int) {
	t.Helper()
	for _, event := range events {
		rest := event[1:]
		switch {
		case event[0] == '+':
			e := effect.Of(query.Parse([]byte(rest), query.Syntax{}), by)
			f.Note(&e, false)
		case event[0] == '=':
			f.Confirm([]byte(rest))
		case event[0] == '!':
			f.Failed(rest, true)
		case event == "end" && f.Certain():
			f.Commit(reported)
		case event == "end":
			asked++
		case event == "discarded":
			f.Discarded()
		case strings.HasPrefix(event, "says"):
			a := new(Answer)
			for _, word := range strings.Fields(event)[1:] {
				name, value, _ := strings.Cut(word, "=")
				a.settings = a.settings.With(name, value)
			}
			f.Adopt(a)
		default:
			e := effect.Of(query.Parse([]byte(event), query.Syntax{}), by)
			f.Note(&e, true)
		}
	}
	return asked
}

func same(t *testing.T, what string, got, want any) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

// TestLifeOfSettings checks what a session has set, by its statements and their outcomes, and that the server is asked if these
// do not tell.
func TestLifeOfSettings(t *testing.T) {
	for _, row := range []struct {
		what   string
		events string // separated by " | "
		want   string // the settings that follow the session
		asked  int
	}{
		{"nothing", "SELECT 1 | =SELECT 1 | end", "", 0},
		{"a SET by itself", "SET work_mem='1MB' | =SET | end", "work_mem='1MB'", 0},
		{"the last of two SETs counts", "SET work_mem='1MB' | =SET | end | SET work_mem='2MB' | =SET | end", "work_mem='2MB'", 0},
		{"a SET that fails", "SET work_mem='x' | !22023 | end", "", 1},
		{"a SET that fails after another one", "SET work_mem='1MB' | =SET | end | SET work_mem='x' | !22023 | end | says work_mem='1MB' | end", "work_mem='1MB'", 1},
		{"taken back by name", "SET work_mem='1MB' | =SET | end | RESET work_mem | =RESET | end", "", 0},
		{"taken back as the default", "SET work_mem='1MB' | =SET | end | SET work_mem TO DEFAULT | =SET | end", "", 0},
		{"committed", "BEGIN | =BEGIN | SET work_mem='1MB' | =SET | COMMIT | =COMMIT | end", "work_mem='1MB'", 0},
		{"rolled back", "BEGIN | =BEGIN | SET work_mem='1MB' | =SET | ROLLBACK | =ROLLBACK | end", "", 0},
		{"rolled back to what it was", "SET work_mem='1MB' | =SET | end | BEGIN | =BEGIN | SET work_mem='2MB' | =SET | ROLLBACK | =ROLLBACK | end", "work_mem='1MB'", 0},
		{"several in one transaction", "BEGIN | =BEGIN | SET work_mem='1MB' | =SET | SET lock_timeout=5 | =SET | SET work_mem='3MB' | =SET | COMMIT | =COMMIT | end",
			"lock_timeout='5' work_mem='3MB'", 0},
		{"a SET LOCAL, until the transaction's end", "BEGIN | =BEGIN | SET LOCAL work_mem='1MB' | =SET | COMMIT | =COMMIT | end", "", 0},
		{"for the session, then for the transaction", "BEGIN | =BEGIN | SET work_mem='1MB' | =SET | SET LOCAL work_mem='2MB' | =SET | COMMIT | =COMMIT | end", "work_mem='1MB'", 0},
		{"for the transaction, then for the session", "BEGIN | =BEGIN | SET LOCAL work_mem='1MB' | =SET | SET work_mem='2MB' | =SET | COMMIT | =COMMIT | end", "work_mem='2MB'", 0},
		{"a transaction that has failed cannot be committed", "BEGIN | =BEGIN | SET work_mem='1MB' | =SET | SELECT 1/0 | !22012 | COMMIT | =ROLLBACK | end | says", "", 1},
		{"failed, then rolled back", "BEGIN | =BEGIN | SET work_mem='1MB' | =SET | SELECT 1/0 | !22012 | ROLLBACK | =ROLLBACK | end | says", "", 1},
		{"the COMMIT fails", "BEGIN | =BEGIN | SET work_mem='1MB' | =SET | COMMIT | !23503 | end | says", "", 1},
		{"a savepoint that is taken back", "BEGIN | =BEGIN | SAVEPOINT a | =SAVEPOINT | SET work_mem='1MB' | =SET | ROLLBACK TO a | =ROLLBACK | COMMIT | =COMMIT | end | says", "", 1},
		{"a savepoint that is released", "BEGIN | =BEGIN | SAVEPOINT a | =SAVEPOINT | SET work_mem='1MB' | =SET | RELEASE a | =RELEASE | COMMIT | =COMMIT | end", "work_mem='1MB'", 0},
		{"rolled back and chained", "BEGIN | =BEGIN | SET work_mem='1MB' | =SET | ROLLBACK AND CHAIN | =ROLLBACK | COMMIT | =COMMIT | end | says", "", 1},
		{"a script, as a whole", "SET work_mem='1MB'; SET lock_timeout=5 | =SET | =SET | end | says work_mem='1MB' lock_timeout='5'", "lock_timeout='5' work_mem='1MB'", 1},
		{"pipelined", "SET work_mem='1MB' | +SET lock_timeout=5 | =SET | =SET | end", "lock_timeout='5' work_mem='1MB'", 0},
		{"pipelined with a rollback that may take it back", "SET work_mem='1MB' | +ROLLBACK | =SET | =ROLLBACK | end | says work_mem='1MB'", "work_mem='1MB'", 1},
		{"pipelined with a rollback of its own transaction", "BEGIN | +SET work_mem='1MB' | +ROLLBACK | =BEGIN | =SET | =ROLLBACK | end | says", "", 1},
		{"bound and never executed", "SET work_mem='1MB' | end | says", "", 1},
		{"something that may have set anything", "SELECT asker() | =SELECT 1 | end | says work_mem='7MB'", "work_mem='7MB'", 1},
		{"the server is asked at the end of the transaction, not within it", "BEGIN | =BEGIN | SELECT asker() | =SELECT 1 | SET work_mem='1MB' | =SET | COMMIT | =COMMIT | end | says work_mem='1MB' lock_timeout='9'",
			"lock_timeout='9' work_mem='1MB'", 1},
		{"rolled back after something that may have set anything", "BEGIN | =BEGIN | SELECT asker() | =SELECT 1 | SET work_mem='1MB' | =SET | ROLLBACK | =ROLLBACK | end | says", "", 1},
		{"the server's answer counts", "SET work_mem='1MB' | =SET | end | SELECT asker() | =SELECT 1 | end | says", "", 1},
		{"everything is discarded", "SET work_mem='1MB' | =SET | end | DISCARD ALL | =DISCARD ALL | discarded | end", "", 0},
		{"a role", "SET ROLE r | =SET | end", "role='r'", 0},
		{"a role that is reset", "SET ROLE r | =SET | end | RESET ROLE | =RESET | end", "", 0},
		{"values that the server reports in full", "SET DateStyle = German | =SET | SET TIME ZONE 'utc' | =SET | end", "datestyle='ISO, \"MDY\"' timezone='Etc/UTC'", 0},
		{"a report of a value that is reset", "SET TIME ZONE 'utc' | =SET | end | RESET TIME ZONE | =RESET | end", "", 0},
	} {
		by := effect.Judge{Known: effecttest.Known(t)}
		var f Tracker
		reported := []wire.Param{{Name: "DateStyle", Value: `ISO, "MDY"`}, {Name: "TimeZone", Value: "Etc/UTC"}, {Name: "work_memory", Value: "x"}}
		asked := life(t, &f, by, reported, strings.Split(row.events, " | ")...)
		if got := f.Settings.String(); got != row.want || asked != row.asked {
			t.Errorf("%s: got %q, want %q; the server was asked %d times, want %d", row.what, got, row.want, asked, row.asked)
		}
		if row.asked == 0 && (len(f.changes) > 0 || f.confirmed != 0) {
			t.Errorf("%s: between transactions there are changes %v", row.what, f.changes)
		}
	}
}

// TestWhatKeepsTheServer checks what pins the server, and until when.
func TestWhatKeepsTheServer(t *testing.T) {
	by := effect.Judge{Known: effecttest.Known(t)}
	for _, row := range []struct{ events, kept, suspect string }{
		{"SELECT 1", "", ""},
		{"SELECT keeper()", "function keeper", ""},
		{"SELECT keeper() | =SELECT 1 | DO 'BEGIN END'", "function keeper", ""}, // the first reason stays
		{"SELECT keeper() | !22012", "function keeper", ""},                     // a lock or a seed outlasts an error
		{"SELECT keeper() | =SELECT 1 | DISCARD ALL | =DISCARD ALL | discarded", "", ""},
		{"SELEKT", "", "a statement that pgherd cannot read (syntax error)"},
		{"SELEKT | !42601", "", ""}, // the server cannot parse it, either
		{"SELEKT | !22012", "", "a statement that pgherd cannot read (syntax error)"},
		{"PREPARE p AS SELECT keeper()", "", ""}, // the function does not run yet
	} {
		var f Tracker
		life(t, &f, by, nil, strings.Split(row.events, " | ")...)
		if f.Pinned() != row.kept || f.suspect != row.suspect {
			t.Errorf("%s: pinned by %q, want %q; suspect %q, want %q", row.events, f.Pinned(), row.kept, f.suspect, row.suspect)
		}
	}
}

// TestMeaning checks that only settings that change how a statement is parsed are kept for that.
func TestMeaning(t *testing.T) {
	var f Tracker
	by := effect.Judge{Known: effecttest.Known(t)}
	life(t, &f, by, nil, "SET work_mem='1MB'", "=SET", "end")
	same(t, "with work_mem", f.Mean.String(), "")
	life(t, &f, by, nil, "SET search_path=a, b", "=SET")
	same(t, "within the transaction", f.Mean.String(), "search_path='a', 'b'")
	life(t, &f, by, nil, "end")
	same(t, "after it", f.Mean.String(), "search_path='a', 'b'")
	life(t, &f, by, nil, "BEGIN", "=BEGIN", "SET LOCAL search_path=c", "=SET")
	same(t, "in the next", f.Mean.String(), "search_path='c'")
	life(t, &f, by, nil, "ROLLBACK")
	same(t, "rolled back", f.Mean.String(), "search_path='a', 'b'")
	life(t, &f, by, nil, "=ROLLBACK", "end", "BEGIN", "SET LOCAL DateStyle=ISO", "=BEGIN", "=SET", "COMMIT", "=COMMIT", "end")
	same(t, "after a SET LOCAL", f.Mean.String(), "search_path='a', 'b'")
	life(t, &f, by, nil, "SELECT asker()", "=SELECT 1", "end", "says datestyle='ISO'")
	same(t, "as the server says", f.Mean.String(), "datestyle='ISO'")
	f.Discarded()
	same(t, "discarded", f.Mean.String(), "")
}

// TestPlaceholdersAreAskedFor checks that the server is asked for placeholder settings, which
// pg_settings does not list.
func TestPlaceholdersAreAskedFor(t *testing.T) {
	var f Tracker
	by := effect.Judge{Known: effecttest.Known(t)}
	life(t, &f, by, nil, "SET app.tenant = '1'", "=SET", "end", "SELECT set_config('App.Other', 'x', false)", "=SELECT 1", "end",
		"SET work_mem='1MB'", "=SET", "SELECT set_config('app.tenant', '2', false)")
	same(t, "names", strings.Join(f.names, " "), "app.tenant app.other")
	for i := range 3 * namesLimit {
		f.name(fmt.Sprint("app.n", i))
	}
	if len(f.names) > namesLimit {
		t.Errorf("the question asks for %d names", len(f.names))
	}
}
