package session

import (
	"slices"
	"testing"

	"pgherd/proxy/catalog"
	"pgherd/proxy/effect/effecttest"
	"pgherd/proxy/pool"
	"pgherd/proxy/query"
	"pgherd/proxy/wire"
)

// TestResidue checks that a server on which a reset has left something is closed, in every mode.
func TestResidue(t *testing.T) {
	for name, c := range map[string]struct {
		mode    pool.Mode
		residue []string
		want    string
	}{
		"session mode, nothing":                                  {pool.Session, nil, "returned"},
		"session mode, a slot":                                   {pool.Session, []string{"t"}, "discarded"},
		"session mode, it may hold another object":               {pool.Session, []string{"f", "t"}, "discarded"},
		"transaction mode, nothing":                              {pool.Transaction, nil, "returned"},
		"transaction mode, a slot":                               {pool.Transaction, []string{"t"}, "discarded"},
		"transaction mode, other objects were looked for before": {pool.Transaction, []string{"f", "t"}, "returned"},
	} {
		t.Run(name, func(t *testing.T) {
			w, s := sharingWorld(t, 1)
			w.set.Modes.Default, w.set.ResetQueries = c.mode, []string{"DISCARD ALL"}
			s[0].residue = c.residue
			w.greeted(w.sends(simple("SELECT keeper()")))
			w.then(s[0].words(t, "Query SELECT keeper()"), s[0].says(selected))
			w.then(w.client.leaves())
			w.then(s[0].words(t, "Query DISCARD ALL"), s[0].says(done("DISCARD ALL")))
			w.run()
			w.ended(c.want)
		})
	}
}

// TestResidueUnanswered checks that the server is closed if it does not say what is left.
func TestResidueUnanswered(t *testing.T) {
	w := newWorld(t)
	s := w.server()
	w.greeted(w.client.says(simple("SELECT 1")))
	w.then(s.words(t, "Query SELECT 1"), s.says(selected))
	w.then(w.client.leaves())
	w.then(s.says(done("DISCARD ALL")[:10]), func() { s.asked = false })
	w.then(s.says(done("DISCARD ALL")[10:], erred("42501")))
	w.run()
	w.ended("discarded")
}

// watchedWorld is one in session mode, in a database of which the question after a reset has said
// that it has code that may leave what outlasts DISCARD ALL.
func watchedWorld(t *testing.T) (*world, *side) {
	w := newWorld(t)
	w.set.Statements, w.set.Catalogs = query.NewCache(100, 1<<20), catalog.NewShared()
	s := w.server()
	s.residue = []string{"f", "t"}
	w.greeted(w.client.says(simple("SELECT 1")))
	w.then(s.words(t, "Query SELECT 1"), s.says(selected))
	w.then(w.client.gets(t, selectedText...), w.client.leaves())
	w.then(s.words(t, "Query DISCARD ALL"), s.says(done("DISCARD ALL")))
	w.run()
	w.ended("discarded") // the statements before that were not watched
	entry := w.set.Catalogs.Entry("app")
	if !entry.Holds() {
		t.Error("the database is not watched, want it watched")
	}
	ticket, _ := entry.Claim(w.now, 1<<40, false)
	entry.Store(ticket, effecttest.Known(t, []string{"function", "remote", "c", "vf", ""}))
	next := &side{name: "client", cut: wire.CutReplies()}
	w.client, w.discarded = next, nil
	s = w.server()
	s.residue = []string{"f", "t"}
	return w, s
}

// TestWatched checks that in session mode, in a database with code that may leave what outlasts
// DISCARD ALL, the server of a client that may have left it is closed, and those of others are not.
func TestWatched(t *testing.T) {
	prepared := slices.Concat(wire.AppendParse(nil, "a", "SELECT remote()", nil), syncs)
	call := func(number uint32) []byte {
		return wire.AppendFunctionCall(nil, &wire.FunctionCallView{Function: number})
	}
	answers := map[byte][]byte{'Q': done("X"), 'P': append(wire.AppendParseComplete(nil), ready...),
		'F': append(wire.AppendFunctionCallResponse(nil, nil), ready...)}
	for name, c := range map[string]struct {
		request []byte
		want    string
	}{
		"nothing":                       {simple("SELECT quiet()"), "returned"},
		"what a reset ends":             {simple("SELECT keeper()"), "returned"},
		"what stays":                    {simple("SELECT 1, remote()"), "discarded"},
		"a DO block, which may call it": {simple("DO $$ BEGIN END $$"), "discarded"},
		"a prepared call":               {prepared, "discarded"},
		"it, in SQL":                    {simple("PREPARE a AS SELECT remote()"), "discarded"},
		"what is not known":             {simple("SELECT strange()"), "discarded"},
		"a definition":                  {simple("CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'"), "discarded"},
		"a FunctionCall":                {call(20000), "discarded"},
		"a FunctionCall of PostgreSQL's set_config": {call(2078), "discarded"},
		"a FunctionCall for large objects":          {call(952), "returned"},
		"a long text":                               {simple("SELECT '" + string(make([]byte, wire.WholeLimit)) + "'"), "discarded"},
		"LOAD":                                      {simple("LOAD 'x'"), "discarded"},
	} {
		t.Run(name, func(t *testing.T) {
			w, s := watchedWorld(t)
			w.greeted(w.client.says(c.request))
			w.then(s.says(answers[c.request[0]]))
			w.then(w.client.leaves())
			if c.want == "returned" {
				w.then(s.says(done("DISCARD ALL")))
			}
			w.run()
			w.ended(c.want)
		})
	}
}

// TestWatchedSuperuser checks that a superuser's statements count as well if they call PostgreSQL's own functions, and that the
// database is not asked for that.
func TestWatchedSuperuser(t *testing.T) {
	for sql, want := range map[string]string{
		"SELECT 1": "returned", "SELECT strange()": "returned", "LOAD 'x'": "discarded", "SELECT pg_backup_start('x')": "discarded",
	} {
		w := newWorld(t)
		w.set.Statements, w.set.Catalogs = query.NewCache(100, 1<<20), catalog.NewShared()
		w.template = append(w.template, wire.Param{Name: "is_superuser", Value: "on"})
		s := w.server()
		w.then(w.client.says(simple(sql)))
		w.then(s.words(t, "Query "+sql), s.says(done("X")))
		w.then(w.client.leaves())
		if want == "returned" {
			w.then(s.words(t, "Query DISCARD ALL"), s.says(done("DISCARD ALL")))
		}
		w.run()
		w.ended(want)
	}
}

// TestWatchedCatalog checks that the catalog is asked for again after a period, but not where the question would destroy a
// statement of the client's.
func TestWatchedCatalog(t *testing.T) {
	w, s := watchedWorld(t)
	w.greeted(func() { w.set.Catalogs.Entry("app").Changed() }, w.client.says(simple("SELECT quiet()")))
	w.then(s.words(t, "Query SELECT quiet()"), s.says(selected)) // no server could be asked by then
	w.then(w.client.gets(t, selectedText...), w.client.says(slices.Concat(wire.AppendParse(nil, "a", "SELECT 1", nil), syncs)))
	w.then(s.words(t, "Parse a SELECT 1", "Sync"), s.says(wire.AppendParseComplete(nil), ready))
	w.then(w.client.gets(t, "ParseComplete", "ReadyForQuery I"), w.client.says(simple("SELECT quiet()")))
	w.then(s.words(t, "Query CATALOG"), s.says(slices.Concat(
		wire.AppendTextColumns(nil, "what", "a", "b", "c", "d"), wire.AppendTextRow(nil, "version", "2", "", "", ""),
		wire.AppendTextRow(nil, "function", "quiet", "c", "vf", ""), done("SELECT 2"))))
	w.then(s.words(t, "Query SELECT quiet()"), s.says(selected))
	w.then(w.client.gets(t, selectedText...), w.client.leaves())
	w.run()
	w.ended("discarded") // the function has been replaced
}

// TestBehindDiscardAll checks that requests behind a DISCARD ALL in one pipeline pin the server if
// it is exposed, because a Bind is not analyzed there.
func TestBehindDiscardAll(t *testing.T) {
	w, s := sharingWorld(t, 1)
	w.greeted(w.sends(simple("SELECT * FROM pg_prepared_statements")))
	w.then(s[0].says(ready, selected))
	w.then(w.client.gets(t, selectedText...), w.sends(parse("DISCARD ALL"), execute, parse("DECLARE c CURSOR WITH HOLD FOR SELECT 1"), execute, syncs))
	begun := slices.Concat(wire.AppendParseComplete(nil), wire.AppendBindComplete(nil))
	w.then(s[0].says(begun, complete("DISCARD ALL"), begun, complete("DECLARE CURSOR"), ready))
	w.then(func() {
		same2(t, "why the server is pinned", w.session.View().Pinned, "what was sent behind DISCARD ALL")
	}, w.client.leaves())
	w.then(s[0].says(done("DISCARD ALL")))
	w.run()
	w.ended("returned")
}

// TestLastsByItsOwnName checks the same for a statement that is prepared behind a DISCARD ALL and leaves what outlasts that.
func TestLastsByItsOwnName(t *testing.T) {
	w, s := sharingWorld(t, 1)
	w.greeted(w.sends(simple("SELECT * FROM pg_prepared_statements")))
	w.then(s[0].says(ready, selected))
	w.then(w.client.gets(t, selectedText...), w.sends(parse("LOAD 'x'"), execute, syncs))
	w.then(s[0].says(wire.AppendParseComplete(nil), wire.AppendBindComplete(nil), complete("LOAD"), ready))
	w.then(w.client.leaves())
	w.run()
	w.ended("discarded")
}
