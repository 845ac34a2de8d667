package session

import (
	"slices"
	"testing"

	"pgherd/proxy/pool"
	"pgherd/proxy/wire"
)

// TestErrorBeforeAnyServer checks that an error fails a block whose BEGIN is held back, as it does on a server.
func TestErrorBeforeAnyServer(t *testing.T) {
	w, _ := routedWorld(t, pool.Transaction)
	w.set.RefusePins = true
	w.greeted(w.sends(simple("BEGIN")))
	w.then(w.told(0, "CommandComplete BEGIN", "ReadyForQuery T"), w.sends(simple("LISTEN a")))
	w.then(w.told(0, "ErrorResponse ERROR 0A000", "ReadyForQuery E"), w.sends(simple("INSERT INTO t VALUES (1)")))
	w.then(w.told(0, "ErrorResponse ERROR 25P02", "ReadyForQuery E"), w.sends(simple("COMMIT")))
	w.then(w.told(0, "CommandComplete ROLLBACK", "ReadyForQuery I"), w.sends(terminate))
	w.run()
	w.nodesAsked()
}

// TestRollbackWithoutAServer checks that a block that got no server can be ended in the extended protocol, too, and that more
// requests may follow.
func TestRollbackWithoutAServer(t *testing.T) {
	begin := func(t *testing.T) (*world, *side) {
		w, _ := routedWorld(t, pool.Transaction)
		s := w.opened()
		w.greeted(w.sends(simple("BEGIN")))
		w.then(w.told(0, "CommandComplete BEGIN", "ReadyForQuery T"), w.sends(simple("INSERT INTO t VALUES (1)")))
		w.then(w.refuses(tooMany))
		w.then(w.told(0, "ErrorResponse ERROR 53300", "ReadyForQuery E"), w.sends(parse("SELECT 1"), execute, syncs))
		return w, s
	}
	end := func(w *world, s *side) {
		w.then(w.grants(s))
		w.then(s.words(w.t, "Query BEGIN", "Query refused by pgherd"), s.says(inside("BEGIN"), failed("42601")))
	}
	for _, sql := range []string{"ROLLBACK", "COMMIT"} {
		t.Run("extended "+sql, func(t *testing.T) {
			w, _ := begin(t)
			described := wire.AppendDescribe(wire.AppendDescribe(nil, 'S', "end"), 'P', "")
			named := slices.Concat(wire.AppendParse(nil, "end", sql, nil), wire.AppendBind(nil, &wire.BindView{Statement: []byte("end")}), described,
				wire.AppendExecute(nil, "", 0))
			w.then(w.told(0, "ErrorResponse ERROR 25P02", "ReadyForQuery E"), w.sends(extended("SELECT 1"), syncs))
			w.then(w.told(0, "ErrorResponse ERROR 25P02", "ReadyForQuery E"), w.sends(extended(sql), syncs))
			w.then(w.told(0, "ParseComplete", "BindComplete", "CommandComplete ROLLBACK", "ReadyForQuery I"), w.sends(simple("BEGIN"), simple("LISTEN a")))
			w.then(w.refuses(tooMany))
			w.then(w.told(0, "CommandComplete BEGIN", "ReadyForQuery T", "ErrorResponse ERROR 53300", "ReadyForQuery E"), w.sends(named, syncs))
			w.then(w.told(0, "ParseComplete", "BindComplete", "ParameterDescription", "NoData", "NoData", "CommandComplete ROLLBACK", "ReadyForQuery I"), w.sends(terminate))
			w.run()
		})
	}
	t.Run("several statements", func(t *testing.T) {
		w, s := begin(t)
		w.then(w.told(0, "ErrorResponse ERROR 25P02", "ReadyForQuery E"), w.sends(simple("ROLLBACK; SELECT 1")))
		end(w, s)
		w.then(s.words(t, "Query ROLLBACK; SELECT 1"), s.says(complete("ROLLBACK"), done("SELECT 1")))
		w.then(s.words(t, "Query STATE"), s.says(state()))
		w.then(w.told(1, "CommandComplete ROLLBACK", "CommandComplete SELECT 1", "ReadyForQuery I"), w.sends(terminate))
		w.run()
	})
}

// TestBoundBeginBelongsToThePrimary checks that the primary gets a BEGIN if another request comes between its Bind and its
// Execute. On a standby the session would not know of the block, and a write would run outside it.
func TestBoundBeginBelongsToThePrimary(t *testing.T) {
	w, s := routedWorld(t, pool.Transaction, 0)
	between := wire.AppendParse(nil, "a", "SELECT 1", nil)
	parsed, bound := wire.AppendParseComplete(nil), wire.AppendBindComplete(nil)
	w.greeted(w.sends(parse("BEGIN"), wire.AppendBind(nil, &wire.BindView{}), between, wire.AppendExecute(nil, "", 0), syncs))
	w.then(s[0].words(t, "Parse pgherd_1 BEGIN", "Bind pgherd_1", "Parse pgherd_2 SELECT 1", "Execute", "Sync"),
		s[0].says(parsed, bound, parsed, inside("BEGIN")))
	w.then(w.told(0, "ParseComplete", "BindComplete", "ParseComplete", "CommandComplete BEGIN", "ReadyForQuery T"), w.sends(simple("INSERT INTO t VALUES (1)")))
	w.then(s[0].words(t, "Query INSERT INTO t VALUES (1)"), s[0].says(inside("INSERT 0 1")))
	w.then(w.told(0, "CommandComplete INSERT 0 1", "ReadyForQuery T"), w.sends(simple("ROLLBACK")))
	w.then(s[0].words(t, "Query ROLLBACK"), s[0].says(done("ROLLBACK")))
	w.then(w.told(1, "CommandComplete ROLLBACK", "ReadyForQuery I"), w.sends(terminate))
	w.run()
	w.nodesAsked(0)
}
