package session

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgherd/proxy/effect"
	"pgherd/proxy/effect/effecttest"
	"pgherd/proxy/pool"
	"pgherd/proxy/query"
	"pgherd/proxy/wire"
)

// life plays what a session and its server tell follow. Events are a
// statement's text, which is sent when the server owes nothing, or:
//
//	+text    sent while the server owes replies
//	=TAG     the tag of a CommandComplete
//	!CODE    an error
//	end      between two transactions: known, or else "the server is asked"
//	says x=y the server's answer to the question: these settings
func life(t *testing.T, f *follow, by effect.Judge, reported []wire.Param, events ...string) (asked int) {
	t.Helper()
	for _, event := range events {
		rest := event[1:]
		switch {
		case event[0] == '+':
			e := effect.Of(query.Parse([]byte(rest), query.Syntax{}), by)
			f.note(&e, false)
		case event[0] == '=':
			f.tag([]byte(rest))
		case event[0] == '!':
			f.erred(rest, true)
		case event == "end" && f.certain():
			f.commit(reported)
		case event == "end":
			asked++
		case event == "discarded":
			f.discarded()
		case strings.HasPrefix(event, "says"):
			a := new(answered)
			for _, word := range strings.Fields(event)[1:] {
				name, value, _ := strings.Cut(word, "=")
				a.settings = a.settings.With(name, value)
			}
			f.adopt(a)
		default:
			e := effect.Of(query.Parse([]byte(event), query.Syntax{}), by)
			f.note(&e, true)
		}
	}
	return asked
}

// settingsText writes settings in order.
func settingsText(s pool.Settings) string {
	var list []string
	for _, name := range slices.Sorted(maps.Keys(s)) {
		list = append(list, name+"="+s[name])
	}
	return strings.Join(list, " ")
}

// TestLifeOfSettings: what a session has set, as its statements and their
// outcomes tell, and where they do not tell, that the server is asked.
func TestLifeOfSettings(t *testing.T) {
	for _, row := range []struct {
		what   string
		events string // separated by " | "
		want   string // what follows the session
		asked  int
	}{
		{"nothing", "SELECT 1 | =SELECT 1 | end", "", 0},
		{"a SET by itself", "SET work_mem='1MB' | =SET | end", "work_mem='1MB'", 0},
		{"the last one counts", "SET work_mem='1MB' | =SET | end | SET work_mem='2MB' | =SET | end", "work_mem='2MB'", 0},
		{"one that fails", "SET work_mem='x' | !22023 | end", "", 1},
		{"one that fails after another", "SET work_mem='1MB' | =SET | end | SET work_mem='x' | !22023 | end | says work_mem='1MB' | end", "work_mem='1MB'", 1},
		{"taken back by name", "SET work_mem='1MB' | =SET | end | RESET work_mem | =RESET | end", "", 0},
		{"taken back as the default", "SET work_mem='1MB' | =SET | end | SET work_mem TO DEFAULT | =SET | end", "", 0},
		{"committed", "BEGIN | =BEGIN | SET work_mem='1MB' | =SET | COMMIT | =COMMIT | end", "work_mem='1MB'", 0},
		{"rolled back", "BEGIN | =BEGIN | SET work_mem='1MB' | =SET | ROLLBACK | =ROLLBACK | end", "", 0},
		{"rolled back to what it was", "SET work_mem='1MB' | =SET | end | BEGIN | =BEGIN | SET work_mem='2MB' | =SET | ROLLBACK | =ROLLBACK | end", "work_mem='1MB'", 0},
		{"several in one transaction", "BEGIN | =BEGIN | SET work_mem='1MB' | =SET | SET lock_timeout=5 | =SET | SET work_mem='3MB' | =SET | COMMIT | =COMMIT | end",
			"lock_timeout='5' work_mem='3MB'", 0},
		{"until the transaction's end", "BEGIN | =BEGIN | SET LOCAL work_mem='1MB' | =SET | COMMIT | =COMMIT | end", "", 0},
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
		{"pipelined with what takes back nobody knows how much", "SET work_mem='1MB' | +ROLLBACK | =SET | =ROLLBACK | end | says work_mem='1MB'", "work_mem='1MB'", 1},
		{"pipelined with a rollback of its own transaction", "BEGIN | +SET work_mem='1MB' | +ROLLBACK | =BEGIN | =SET | =ROLLBACK | end | says", "", 1},
		{"bound and never executed", "SET work_mem='1MB' | end | says", "", 1},
		{"something that may have set anything", "SELECT asker() | =SELECT 1 | end | says work_mem='7MB'", "work_mem='7MB'", 1},
		{"asked at the end of the transaction, not within", "BEGIN | =BEGIN | SELECT asker() | =SELECT 1 | SET work_mem='1MB' | =SET | COMMIT | =COMMIT | end | says work_mem='1MB' lock_timeout='9'",
			"lock_timeout='9' work_mem='1MB'", 1},
		{"rolled back, but what has gone on is not known", "BEGIN | =BEGIN | SELECT asker() | =SELECT 1 | SET work_mem='1MB' | =SET | ROLLBACK | =ROLLBACK | end | says", "", 1},
		{"the server's word is the last", "SET work_mem='1MB' | =SET | end | SELECT asker() | =SELECT 1 | end | says", "", 1},
		{"everything is discarded", "SET work_mem='1MB' | =SET | end | DISCARD ALL | =DISCARD ALL | discarded | end", "", 0},
		{"who it is", "SET ROLE r | =SET | end", "role='r'", 0},
		{"who it is no more", "SET ROLE r | =SET | end | RESET ROLE | =RESET | end", "", 0},
		{"what the server writes in full", "SET DateStyle = German | =SET | SET TIME ZONE 'utc' | =SET | end", "datestyle='ISO, \"MDY\"' timezone='Etc/UTC'", 0},
		{"what it reports is not taken for what is taken back", "SET TIME ZONE 'utc' | =SET | end | RESET TIME ZONE | =RESET | end", "", 0},
	} {
		by := effect.Judge{Known: effecttest.Known(t)}
		var f follow
		reported := []wire.Param{{Name: "DateStyle", Value: `ISO, "MDY"`}, {Name: "TimeZone", Value: "Etc/UTC"}, {Name: "work_memory", Value: "x"}}
		asked := life(t, &f, by, reported, strings.Split(row.events, " | ")...)
		if got := settingsText(f.settings); got != row.want || asked != row.asked {
			t.Errorf("%s: %q, want %q; the server was asked %d times, not %d", row.what, got, row.want, asked, row.asked)
		}
		if row.asked == 0 && (len(f.changes) > 0 || f.confirmed != 0) {
			t.Errorf("%s: between transactions there are %v", row.what, f.changes)
		}
	}
}

// TestWhatKeepsTheServer, and until when.
func TestWhatKeepsTheServer(t *testing.T) {
	by := effect.Judge{Known: effecttest.Known(t)}
	for _, row := range []struct{ events, kept, suspect string }{
		{"SELECT 1", "", ""},
		{"SELECT keeper()", "function keeper", ""},
		{"SELECT keeper() | =SELECT 1 | DO 'BEGIN END'", "function keeper", ""}, // the first one stays the reason
		{"SELECT keeper() | !22012", "function keeper", ""},                     // a lock or a seed outlasts an error
		{"SELECT keeper() | =SELECT 1 | DISCARD ALL | =DISCARD ALL | discarded", "", ""},
		{"SELEKT", "", "a statement that pgherd cannot read (syntax error)"},
		{"SELEKT | !42601", "", ""}, // the server cannot read it either
		{"SELEKT | !22012", "", "a statement that pgherd cannot read (syntax error)"},
		{"PREPARE p AS SELECT keeper()", "", ""}, // nothing runs yet
	} {
		var f follow
		life(t, &f, by, nil, strings.Split(row.events, " | ")...)
		if f.pinned() != row.kept || f.suspect != row.suspect {
			t.Errorf("%s: %q, want %q; suspect %q, want %q", row.events, f.pinned(), row.kept, f.suspect, row.suspect)
		}
	}
}

// TestMeaning: of the settings in force, those that statements are parsed under.
func TestMeaning(t *testing.T) {
	var f follow
	by := effect.Judge{Known: effecttest.Known(t)}
	life(t, &f, by, nil, "SET work_mem='1MB'", "=SET", "end")
	same2(t, "with work_mem", settingsText(f.mean), "")
	life(t, &f, by, nil, "SET search_path=a, b", "=SET")
	same2(t, "within the transaction", settingsText(f.mean), "search_path='a', 'b'")
	life(t, &f, by, nil, "end")
	same2(t, "after it", settingsText(f.mean), "search_path='a', 'b'")
	life(t, &f, by, nil, "BEGIN", "=BEGIN", "SET LOCAL search_path=c", "=SET")
	same2(t, "in the next", settingsText(f.mean), "search_path='c'")
	life(t, &f, by, nil, "ROLLBACK")
	same2(t, "rolled back", settingsText(f.mean), "search_path='a', 'b'")
	life(t, &f, by, nil, "=ROLLBACK", "end", "BEGIN", "SET LOCAL DateStyle=ISO", "=BEGIN", "=SET", "COMMIT", "=COMMIT", "end")
	same2(t, "after a SET LOCAL", settingsText(f.mean), "search_path='a', 'b'")
	life(t, &f, by, nil, "SELECT asker()", "=SELECT 1", "end", "says datestyle='ISO'")
	same2(t, "as the server says", settingsText(f.mean), "datestyle='ISO'")
	f.discarded()
	same2(t, "discarded", settingsText(f.mean), "")
}

// TestPlaceholdersAreAskedFor: pg_settings does not list them.
func TestPlaceholdersAreAskedFor(t *testing.T) {
	var f follow
	by := effect.Judge{Known: effecttest.Known(t)}
	life(t, &f, by, nil, "SET app.tenant = '1'", "=SET", "end", "SELECT set_config('App.Other', 'x', false)", "=SELECT 1", "end",
		"SET work_mem='1MB'", "=SET", "SELECT set_config('app.tenant', '2', false)")
	same2(t, "names", strings.Join(f.names, " "), "app.tenant app.other")
	for i := range 3 * namesLimit {
		f.name(fmt.Sprint("app.n", i))
	}
	if len(f.names) > namesLimit {
		t.Errorf("%d names are asked for", len(f.names))
	}
}
