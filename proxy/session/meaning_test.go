package session

import (
	"slices"
	"testing"

	"pgherd/proxy/wire"
)

// meaningSQL returns another result under another DateStyle.
const meaningSQL = "SELECT '01/02/03'::date"

// preparesA lets the client prepare statement a on a server that is then returned.
func (w *world) preparesA(s *side) {
	w.greeted(w.sends(wire.AppendParse(nil, "a", meaningSQL, nil), syncs))
	w.then(s.words(w.t, "Parse pgherd_1 "+meaningSQL, "Sync"), s.says(wire.AppendParseComplete(nil), ready))
	w.then(w.told(1, "ParseComplete", "ReadyForQuery I"))
}

// runsA lets the client execute a under DateStyle = German on a server that does not have it. The
// statement is prepared there, by this name, under the settings from before.
func (w *world) runsA(s *side, name string, first ...string) {
	set := []string{"Bind pgherd_set", "Execute", "Close pgherd_set", "Close pgherd_set"}
	w.then(s.words(w.t, slices.Concat(first, []string{`Parse pgherd_set SET LOCAL "datestyle" TO DEFAULT`}, set,
		[]string{"Parse " + name + " " + meaningSQL, `Parse pgherd_set SET LOCAL "datestyle" TO 'german'`}, set, []string{"Bind " + name, "Execute", "Sync"})...),
		s.says(setLocally, wire.AppendParseComplete(nil), setLocally, wire.AppendBindComplete(nil), complete("SELECT 1"), ready))
}

// TestMeaningIsKept checks that a statement is prepared on every server under the settings under which
// the client prepared it.
func TestMeaningIsKept(t *testing.T) {
	w, s := sharingWorld(t, 3)
	w.preparesA(s[0])
	w.setOn(s[1], "SET DateStyle = German")
	w.then(w.told(2, setText...), w.sends(bindOf("a"), syncs))
	s[2].in = append(s[2].in, slices.Concat(complete("SET"), ready))
	w.runsA(s[2], "pgherd_1", `Query SET "datestyle" TO 'german';`)
	w.then(w.told(3, "BindComplete", "CommandComplete SELECT 1", "ReadyForQuery I"), w.sends(terminate))
	w.run()
	if s[2].server.Prepared.Find(meaningSQL+"\x00\x00\x00") == nil {
		t.Error("the server has no statement by the key that other clients share")
	}
}

// TestMeaningIsKeptDuringACancel checks that the server is asked what the transaction has left,
// even while a cancel on its way holds it (I10).
func TestMeaningIsKeptDuringACancel(t *testing.T) {
	w, s := sharingWorld(t, 2)
	w.preparesA(s[0])
	w.then(w.sends(simple("BEGIN")))
	w.then(s[1].words(t, "Query BEGIN"), s[1].says(inside("BEGIN")))
	w.then(w.sends(simple("SET DateStyle = German")))
	w.then(s[1].says(failed("57014")))
	w.then(w.sends(simple("ROLLBACK")))
	w.then(w.cancels)
	w.then(s[1].words(t, "Query SET DateStyle = German", "Query ROLLBACK"), w.strikes(s[1]), s[1].says(done("ROLLBACK")))
	w.then(s[1].words(t, "Query STATE"), s[1].says(state()))
	w.then(s[1].words(t), func() { same2(t, "servers returned", len(w.returned), 1) }, w.answered)
	w.then(func() { w.free = append(w.free, s[1].server) }, w.sends(simple("SET DateStyle = German")))
	w.then(s[1].words(t, "Query SET DateStyle = German"), s[1].says(done("SET")))
	w.then(func() { w.free = append(w.free, s[1].server) }, w.sends(bindOf("a"), syncs))
	w.runsA(s[1], "pgherd_1")
	w.then(w.sends(terminate))
	w.run()
	same2(t, "servers returned", len(w.returned), 4)
}

// TestMeaningIsAskedFor checks that the server is asked for its settings before a statement is prepared again, if they are not
// known, because the server is pinned anyway or the client did not wait.
func TestMeaningIsAskedFor(t *testing.T) {
	german := state("s DateStyle german")
	t.Run("the server stays", func(t *testing.T) {
		w, s := sharingWorld(t, 2)
		w.preparesA(s[0])
		w.then(w.sends(simple("SELECT keeper()")))
		w.then(s[1].words(t, "Query SELECT keeper()"), s[1].says(selected))
		w.setOn(s[1], "SET DateStyle = German")
		w.then(w.sends(bindOf("a"), syncs))
		w.then(s[1].words(t, "Query STATE"), s[1].says(german))
		w.runsA(s[1], "pgherd_1")
		w.then(w.client.leaves())
		w.then(s[1].words(t, "Query DISCARD ALL"), s[1].says(done("DISCARD ALL")))
		w.run()
	})
	t.Run("the client did not wait", func(t *testing.T) {
		w, s := sharingWorld(t, 2)
		w.preparesA(s[0])
		w.then(w.sends(simple("BEGIN"), simple("SELECT asker()"), simple("COMMIT"), bindOf("a"), syncs))
		w.then(s[1].words(t, "Query BEGIN", "Query SELECT asker()", "Query COMMIT"),
			s[1].says(inside("BEGIN"), inside("SELECT 1"), done("COMMIT")))
		w.then(s[1].words(t, "Query STATE"), s[1].says(german))
		w.runsA(s[1], "pgherd_1")
		w.then(w.sends(terminate))
		w.run()
	})
	t.Run("the question fails", func(t *testing.T) {
		w, s := sharingWorld(t, 2)
		w.preparesA(s[0])
		w.then(w.sends(simple("SELECT keeper()")))
		w.then(s[1].words(t, "Query SELECT keeper()"), s[1].says(selected))
		w.then(w.sends(simple("BEGIN")))
		w.then(s[1].words(t, "Query BEGIN"), s[1].says(inside("BEGIN")))
		w.then(w.sends(simple("SET DateStyle = German")))
		w.then(s[1].words(t, "Query SET DateStyle = German"), s[1].says(failed("57014")))
		w.then(w.sends(bindOf("a"), syncs))
		w.then(s[1].words(t, "Parse pgherd_1 "+meaningSQL, "Bind pgherd_1", "Execute", "Sync"), s[1].says(failed("25P02")))
		w.then(w.sends(simple("ROLLBACK")))
		w.then(s[1].words(t, "Query ROLLBACK"), s[1].says(done("ROLLBACK")))
		w.setOn(s[1], "SET DateStyle = German")
		w.then(w.sends(bindOf("a"), syncs))
		w.then(s[1].words(t, "Query STATE"), s[1].says(german))
		w.runsA(s[1], "pgherd_2")
		w.then(w.client.leaves())
		w.then(s[1].words(t, "Query DISCARD ALL"), s[1].says(done("DISCARD ALL")))
		w.run()
	})
	t.Run("a name is taken", func(t *testing.T) {
		w, s := sharingWorld(t, 2)
		w.preparesA(s[0])
		w.then(w.sends(simple("SELECT keeper()")))
		w.then(s[1].words(t, "Query SELECT keeper()"), s[1].says(selected))
		w.then(w.sends(wire.AppendParse(nil, "a", "SELECT 1", nil), syncs))
		w.then(s[1].words(t, "Query STATE"), s[1].says(state()))
		w.then(s[1].words(t, "Parse pgherd_1 "+meaningSQL, "Parse pgherd_1 SELECT 1", "Sync"),
			s[1].says(wire.AppendParseComplete(nil), fault("ERROR", "42P05"), ready))
		w.then(w.client.leaves())
		w.then(s[1].words(t, "Query DISCARD ALL"), s[1].says(done("DISCARD ALL")))
		w.run()
	})
}

// TestMayBeGone checks that a pinned server is asked whether it still has a statement, after code
// that may have deallocated it.
func TestMayBeGone(t *testing.T) {
	german := state("s DateStyle german")
	w, s := sharingWorld(t, 2)
	w.preparesA(s[0])
	w.then(w.sends(simple("SELECT keeper()")))
	w.then(s[1].words(t, "Query SELECT keeper()"), s[1].says(selected))
	w.setOn(s[1], "SET DateStyle = German")
	w.then(w.sends(bindOf("a"), syncs))
	w.then(s[1].words(t, "Query STATE"), s[1].says(german))
	w.runsA(s[1], "pgherd_1")
	w.then(w.sends(simple("SELECT keeper()")))
	w.then(s[1].words(t, "Query SELECT keeper()"), s[1].says(selected))
	w.then(w.sends(bindOf("a"), syncs))
	w.then(s[1].words(t, "Query STATE"), s[1].says(german)) // the server no longer has the statement
	w.then(s[1].words(t, "Bind a", "Execute", "Sync"), s[1].says(fault("ERROR", "26000"), ready))
	w.then(w.client.leaves())
	w.then(s[1].words(t, "Query DISCARD ALL"), s[1].says(done("DISCARD ALL")))
	w.run()
}

// TestMeaningOfWhatIsRefused checks that a Parse in a failed transaction prepares nothing, so that nothing pins the server on
// which the setting was made.
func TestMeaningOfWhatIsRefused(t *testing.T) {
	for name, got := range map[string]string{"": "Parse ", "a": "Parse pgherd_1 "} {
		w, s := sharingWorld(t, 1)
		w.greeted(w.sends(simple("BEGIN")))
		w.then(s[0].words(t, "Query BEGIN"), s[0].says(inside("BEGIN")))
		w.then(w.sends(simple("SET DateStyle = German")))
		w.then(s[0].words(t, "Query SET DateStyle = German"), s[0].says(inside("SET")))
		w.then(w.sends(simple("SELECT 1/0")))
		w.then(s[0].words(t, "Query SELECT 1/0"), s[0].says(failed("22012")))
		w.then(w.sends(wire.AppendParse(nil, name, meaningSQL, nil), syncs))
		w.then(s[0].words(t, got+meaningSQL, "Sync"), s[0].says(failed("25P02")))
		w.then(w.sends(simple("ROLLBACK")))
		w.then(s[0].words(t, "Query ROLLBACK"), s[0].says(done("ROLLBACK")))
		w.then(s[0].words(t, "Query STATE"), s[0].says(state()))
		w.then(w.sends(terminate))
		w.run()
		same2(t, "servers that were pinned", w.pins, 0)
		s[0].words(t)() // there is no reset
		w.ended("returned")
	}
}

// TestMeaningOfAnEnd checks that a COMMIT or ROLLBACK that was prepared under other settings is prepared again in a failed
// transaction, which accepts no other statement.
func TestMeaningOfAnEnd(t *testing.T) {
	w, s := sharingWorld(t, 3)
	w.greeted(w.sends(wire.AppendParse(nil, "a", "ROLLBACK", nil), syncs))
	w.then(s[0].words(t, "Parse pgherd_1 ROLLBACK", "Sync"), s[0].says(wire.AppendParseComplete(nil), ready))
	w.setOn(s[1], "SET DateStyle = German")
	w.then(w.sends(simple("BEGIN")))
	w.then(s[2].words(t, `Query SET "datestyle" TO 'german';`, "Query BEGIN"), s[2].says(done("SET"), inside("BEGIN")))
	w.then(w.sends(simple("SELECT 1/0")))
	w.then(s[2].words(t, "Query SELECT 1/0"), s[2].says(failed("22012")))
	w.then(w.sends(wire.AppendParse(nil, "b", "-- nothing", nil), bindOf("a"), syncs))
	w.then(s[2].words(t, "Parse pgherd_1 -- nothing", "Parse pgherd_2 ROLLBACK", "Bind pgherd_2", "Execute", "Sync"),
		s[2].says(wire.AppendParseComplete(nil), wire.AppendParseComplete(nil), wire.AppendBindComplete(nil), done("ROLLBACK")))
	w.then(func() { same2(t, "the empty statement is known", w.session.statements.Named("b") != nil, true) }, w.sends(terminate))
	w.run()
}

// setLocally is the answer to a SET LOCAL of pgherd's own.
var setLocally = slices.Concat(wire.AppendParseComplete(nil), wire.AppendBindComplete(nil), complete("SET"),
	wire.AppendCloseComplete(nil), wire.AppendCloseComplete(nil))
