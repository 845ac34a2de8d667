package session

import (
	"errors"
	"testing"
	"time"

	"pgherd/proxy/catalog"
	"pgherd/proxy/effect/effecttest"
	"pgherd/proxy/query"
	"pgherd/proxy/wire"
)

// definedAnew is the catalog once another client has redefined the function quiet, which now sets something for which the server
// cannot be asked.
func definedAnew(t *testing.T) *catalog.Snapshot {
	t.Helper()
	s, err := catalog.Read(nil, [][]string{{"version", "2:2", "", "", ""},
		{"function", "quiet", "plpgsql", "vf1", "BEGIN PERFORM set_config('app.user', 'x', false); END"}})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestJudgedBeforeItWaits checks that a server is pinned if another client has changed what a function
// does while its caller waited for a server, or while the function ran.
func TestJudgedBeforeItWaits(t *testing.T) {
	for name, trace := range map[string]struct{ request, answer []byte }{
		"simple":   {simple("SELECT quiet()"), selected},
		"extended": {append(extended("SELECT quiet()"), syncs...), join(wire.AppendParseComplete(nil), wire.AppendBindComplete(nil), complete("SELECT 1"), ready)},
	} {
		for moment, during := range map[string]bool{"while it waits": false, "while it runs": true} {
			t.Run(name+", "+moment, func(t *testing.T) {
				w, s := sharingWorld(t, 1)
				w.free = nil
				entry := w.set.Catalogs.Entry("app")
				change := func() {
					n := entry.Begin([]string{"quiet"})
					entry.Changed()
					entry.End(n)
					ticket, _ := entry.Claim(w.now, time.Hour, true)
					entry.Store(ticket, definedAnew(t))
				}
				w.greeted(w.sends(trace.request))
				if during {
					w.then(w.grants(s[0]))
					w.then(change, s[0].says(trace.answer))
				} else {
					w.then(change, w.grants(s[0]))
					w.then(s[0].says(trace.answer))
				}
				w.then(w.is(Idle), func() { same2(t, "why the server is pinned", w.session.tracker.Pinned(), "function quiet") })
				w.then(func() { same2(t, "servers returned", len(w.returned), 0) }, w.sends(terminate))
				w.then(s[0].says(done("ABORT"), done("DISCARD ALL")))
				w.run()
			})
		}
	}
}

// TestExecuteIsJudgedAgain checks the same for the statement of a SQL PREPARE. If that has been deallocated by then, it is not
// known what it did.
func TestExecuteIsJudgedAgain(t *testing.T) {
	parse := func(sql string) *query.Script { return query.Parse([]byte(sql), query.Syntax{}) }
	for name, want := range map[string]string{"p": "function quiet", "gone": "EXECUTE while definitions changed"} {
		w, _ := sharingWorld(t, 1)
		s := &Session{}
		s.set = w.set
		s.entry = w.set.Catalogs.Entry("app")
		s.entry.Store(s.entry.Ask(time.Unix(0, 0)), definedAnew(t))
		s.tracker.Runs = map[string][]*query.Statement{"p": {&parse("SELECT quiet()").Statements[0]}}
		s.redo.later = []*query.Script{parse("EXECUTE " + name)}
		s.judgeLater()
		same2(t, "why the server stays after EXECUTE "+name, s.tracker.Pinned(), want)
	}
}

// TestDefinitionIsToldFirst checks that all sessions know of a definition before its client gets
// the answer. If the client does not wait for that, the definition may take effect until its server
// has ended.
func TestDefinitionIsToldFirst(t *testing.T) {
	create := simple("CREATE FUNCTION a() RETURNS int LANGUAGE sql AS 'SELECT 1'")
	t.Run("the client waits for the answer", func(t *testing.T) {
		w, s := sharingWorld(t, 1)
		entry := w.set.Catalogs.Entry("app")
		var before, during uint64
		w.greeted(func() { before = entry.Tick() }, w.sends(create))
		w.then(func() { during = entry.Tick() }, s[0].says(complete("CREATE FUNCTION")))
		w.then(w.told(0, "CommandComplete CREATE FUNCTION"), func() {
			same2(t, "other sessions were warned before the definition was sent, and told of it before its client", during > before && entry.Tick() > during, true)
		}, s[0].says(ready))
		w.then(func() { s[0].out = nil }, s[0].says(state()))
		w.then(w.told(0, "ReadyForQuery I"), func() { s[0].out = nil }, s[0].says(wire.AppendTextColumns(nil, "a"), done("SELECT")))
		w.then(w.sends(terminate))
		w.then(s[0].says(done("ABORT"), done("DISCARD ALL")))
		w.run()
	})
	t.Run("the client does not wait", func(t *testing.T) {
		w, s := sharingWorld(t, 1)
		entry := w.set.Catalogs.Entry("app")
		w.greeted(w.sends(create))
		w.then(w.client.hangs(errors.New("connection reset by peer")))
		w.run()
		w.ended("aborted")
		same2(t, "the catalog is stale while the definition may take effect", entry.Stale(), true)
		entry.Store(entry.Ask(time.Unix(0, 0)), effecttest.Known(t))
		same2(t, "and does while others ask", entry.Stale(), true)
		s[0].server.Closed()
		entry.Store(entry.Ask(time.Unix(0, 0)), effecttest.Known(t))
		same2(t, "the catalog is stale once the server has ended", entry.Stale(), false)
	})
}

// TestDefinitionInSessionMode checks that other sessions learn of a definition by its tag, because
// in session mode statements are not analyzed.
func TestDefinitionInSessionMode(t *testing.T) {
	for _, row := range []struct {
		tags []string // of the statements of a block, which the last one ends
		want bool
	}{
		{[]string{"CREATE FUNCTION"}, true},
		{[]string{"BEGIN", "CREATE TRIGGER", "COMMIT"}, true},
		{[]string{"BEGIN", "ALTER TABLE", "ROLLBACK"}, true},
		{[]string{"INSERT 0 1"}, false},
		{[]string{"BEGIN", "SELECT 1", "COMMIT"}, false},
	} {
		w := newWorld(t)
		catalogs := catalog.NewShared()
		w.set.Catalogs = catalogs
		s := w.server()
		w.greeted(w.sends(simple("q")))
		entry := catalogs.Entry("app")
		before := entry.Tick()
		for i, tag := range row.tags {
			answer := inside(tag)
			if i == len(row.tags)-1 {
				answer = done(tag)
			}
			w.then(s.says(answer))
			if i < len(row.tags)-1 {
				w.then(w.sends(simple("q")))
			}
		}
		w.then(func() { same2(t, row.tags[0], entry.Tick() != before, row.want) }, w.client.says(terminate))
		w.then(s.says(done("DISCARD ALL")))
		w.run()
	}
}
