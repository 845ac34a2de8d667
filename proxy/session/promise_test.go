package session

import (
	"encoding/binary"
	"testing"

	"pgherd/proxy/wire"
)

const promisedSQL = "SELECT a FROM plain WHERE a = $1"

// shaped is the answer to a Describe of a statement with one parameter and one column.
func shaped(parameter, column uint32) []byte {
	return join(wire.AppendParameterDescription(nil, wire.MakeOIDs(parameter)),
		wire.AppendRowDescription(nil, wire.Column{Name: []byte("a"), Type: column, Size: 4, Modifier: -1}))
}

const int4, float4 = 23, 700

// describes lets the client prepare and describe statement a on a server that is then returned.
func (w *world) describes(s *side) {
	w.greeted(w.sends(wire.AppendParse(nil, "a", promisedSQL, nil), wire.AppendDescribe(nil, 'S', "a"), syncs))
	w.then(s.words(w.t, "Parse pgherd_1 "+promisedSQL, "Describe", "Sync"), s.says(wire.AppendParseComplete(nil), shaped(int4, int4), ready))
	w.then(w.told(1, "ParseComplete", "ParameterDescription", "RowDescription", "ReadyForQuery I"))
}

// TestPromiseIsKept checks that another server gets the statement with the types of parameters that
// the client was told, and is asked for the types of the result before anything runs.
func TestPromiseIsKept(t *testing.T) {
	for name, trace := range map[string]struct {
		column uint32
		want   []string
	}{
		"the same type": {int4, []string{"BindComplete", "CommandComplete SELECT 1", "ReadyForQuery I"}},
		"changed":       {float4, []string{"ErrorResponse ERROR 0A000", "ReadyForQuery I"}},
	} {
		t.Run(name, func(t *testing.T) {
			w, s := sharingWorld(t, 2)
			w.describes(s[0])
			w.then(w.sends(bindOf("a"), syncs))
			typed := string(wire.AppendParse(nil, "pgherd_1", promisedSQL, wire.MakeOIDs(int4)))
			w.then(func() { same2(t, "the Parse that the server got", string(s[1].out[:len(typed)]), typed) }, s[1].words(t, "Parse pgherd_1 "+promisedSQL, "Describe", "Flush"),
				s[1].says(wire.AppendParseComplete(nil), shaped(int4, trace.column)))
			if trace.column == int4 {
				w.then(s[1].words(t, "Bind pgherd_1", "Execute", "Sync"), s[1].says(wire.AppendBindComplete(nil), done("SELECT 1")))
			} else {
				w.then(s[1].words(t, "Parse pgherd_set refused by pgherd", "Execute", "Sync"), s[1].says(fault("ERROR", "42601"), ready))
			}
			w.then(w.told(2, trace.want...), w.sends(terminate))
			w.run()
		})
	}
}

// TestParsedAnew checks that a Parse is sent to the server even if that has a statement with the same text, which is then closed.
// A statement whose Parse was answered without a server is prepared when it is needed.
func TestParsedAnew(t *testing.T) {
	t.Run("at once", func(t *testing.T) {
		w, s := sharingWorld(t, 1)
		s[0].server.Prepared.Add(promisedSQL+"\x00\x00\x00", 10)
		w.greeted(w.sends(simple("BEGIN")))
		w.then(s[0].words(t, "Query BEGIN"), s[0].says(inside("BEGIN")))
		w.then(w.told(0, "CommandComplete BEGIN", "ReadyForQuery T"), w.sends(wire.AppendParse(nil, "a", promisedSQL, nil), wire.AppendDescribe(nil, 'S', "a"), syncs))
		w.then(s[0].words(t, "Close pgherd_1", "Parse pgherd_2 "+promisedSQL, "Describe", "Sync"),
			s[0].says(wire.AppendCloseComplete(nil), wire.AppendParseComplete(nil), shaped(int4, int4), wire.AppendReadyForQuery(nil, wire.InTransaction)))
		w.then(w.told(0, "ParseComplete", "ParameterDescription", "RowDescription", "ReadyForQuery T"), w.sends(terminate))
		w.then(s[0].words(t, "Query ROLLBACK"), s[0].says(done("ROLLBACK")))
		w.run()
	})
	t.Run("ahead", func(t *testing.T) {
		w, s := sharingWorld(t, 1)
		key := promisedSQL + "\x00\x00\x00"
		s[0].server.Prepared.Add(key, 10)
		w.proven = []string{key}
		w.greeted(w.sends(wire.AppendParse(nil, "a", promisedSQL, nil), syncs))
		w.then(w.told(0, "ParseComplete", "ReadyForQuery I"), w.sends(bindOf("a"), syncs))
		w.then(s[0].words(t, "Close pgherd_1", "Parse pgherd_2 "+promisedSQL, "Bind pgherd_2", "Execute", "Sync"),
			s[0].says(wire.AppendCloseComplete(nil), wire.AppendParseComplete(nil), wire.AppendBindComplete(nil), done("SELECT 1")))
		w.then(w.told(1, "BindComplete", "CommandComplete SELECT 1", "ReadyForQuery I"), w.sends(terminate))
		w.run()
	})
}

// outdatedPlan is PostgreSQL's error for a plan whose result has changed.
func outdatedPlan() []byte {
	const fields = "SERROR\x00C0A000\x00Mcached plan must not change result type\x00RRevalidateCachedQuery\x00\x00"
	return append(binary.BigEndian.AppendUint32([]byte{'E'}, uint32(4+len(fields))), fields...)
}

// TestOutdatedPlan checks that a client that was told nothing of the statement gets the answer of a
// new one, and that a client that was told gets PostgreSQL's error. No other client runs into that
// plan.
func TestOutdatedPlan(t *testing.T) {
	parsed, bound := wire.AppendParseComplete(nil), wire.AppendBindComplete(nil)
	t.Run("told nothing", func(t *testing.T) {
		w, s := sharingWorld(t, 2)
		w.greeted(w.sends(wire.AppendParse(nil, "a", promisedSQL, nil), syncs))
		w.then(s[0].words(t, "Parse pgherd_1 "+promisedSQL, "Sync"), s[0].says(parsed, ready))
		s[1].server.Prepared.Add(promisedSQL+"\x00\x00\x00", 10)
		w.then(w.told(1, "ParseComplete", "ReadyForQuery I"), w.sends(bindOf("a"), syncs))
		w.then(s[1].words(t, "Bind pgherd_1", "Execute", "Sync"), s[1].says(outdatedPlan(), ready))
		w.then(s[1].words(t, "Close pgherd_1", "Parse pgherd_2 "+promisedSQL, "Bind pgherd_2", "Execute", "Sync"),
			s[1].says(wire.AppendCloseComplete(nil), parsed, bound, done("SELECT 1")))
		w.then(w.told(2, "BindComplete", "CommandComplete SELECT 1", "ReadyForQuery I"), w.sends(terminate))
		w.run()
	})
	t.Run("told", func(t *testing.T) {
		w, s := sharingWorld(t, 1)
		w.describes(s[0])
		w.free = append(w.free, s[0].server) // the same server again
		w.then(w.sends(bindOf("a"), syncs))
		w.then(s[0].words(t, "Bind pgherd_1", "Execute", "Sync"), s[0].says(outdatedPlan(), ready))
		w.then(w.told(2, "ErrorResponse ERROR 0A000", "ReadyForQuery I"), func() {
			same2(t, "the statement is marked as outdated for other clients", s[0].server.Prepared.Find(promisedSQL+"\x00\x00\x00").Outdated, true)
		}, w.sends(terminate))
		w.run()
	})
}

// TestSkippedNames checks that SQL that names a statement prepared by a Parse finds it on the server by the client's own name,
// unless the server skips both.
func TestSkippedNames(t *testing.T) {
	w, s := sharingWorld(t, 2)
	w.preparesA(s[0])
	w.then(w.sends(parse("SELECT 1/0"), execute, parse("PREPARE a AS SELECT 1"), execute, syncs))
	w.then(func() { same2(t, "the server is exposed", w.session.exposed, true) }, s[1].words(t, "Parse SELECT 1/0", "Bind", "Execute", "Parse PREPARE a AS SELECT 1", "Parse a "+meaningSQL,
		"Parse PREPARE a AS SELECT 1", "Bind", "Execute", "Sync"),
		s[1].says(wire.AppendParseComplete(nil), wire.AppendBindComplete(nil), fault("ERROR", "22012"), ready))
	w.then(func() { same2(t, "the server is exposed", w.session.exposed, false) }, w.sends(terminate))
	w.then(s[1].says(done("ABORT"), done("DISCARD ALL")))
	w.run()
}
