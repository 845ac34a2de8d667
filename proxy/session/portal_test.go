package session

import (
	"testing"

	"pgherd/proxy/pool"
	"pgherd/proxy/wire"
)

// TestParseBeforeThePortalIsDone checks that a write that is only prepared does not end the portal
// that is bound on the standby. The session moves once the write is bound.
func TestParseBeforeThePortalIsDone(t *testing.T) {
	w, s := routedWorld(t, pool.Transaction, 1, 0)
	parsed, bound := wire.AppendParseComplete(nil), wire.AppendBindComplete(nil)
	insert := wire.AppendParse(nil, "a", "INSERT INTO t VALUES (1)", nil)
	w.greeted(w.sends(simple("BEGIN")))
	w.then(w.told(0, "CommandComplete BEGIN", "ReadyForQuery T"),
		w.sends(parse("SELECT 1"), wire.AppendBind(nil, &wire.BindView{}), insert, wire.AppendExecute(nil, "", 0), syncs))
	w.then(s[0].words(t, "Query BEGIN", "Parse SELECT 1", "Bind", "Parse pgherd_1 INSERT INTO t VALUES (1)", "Execute", "Sync"),
		s[0].says(inside("BEGIN"), parsed, bound, parsed, inside("SELECT 1")))
	w.then(w.told(0, "ParseComplete", "BindComplete", "ParseComplete", "CommandComplete SELECT 1", "ReadyForQuery T"),
		w.sends(wire.AppendBind(nil, &wire.BindView{Statement: []byte("a")}), wire.AppendExecute(nil, "", 0), syncs))
	w.then(s[0].words(t, "Query ROLLBACK"), s[0].says(done("ROLLBACK")))
	w.then(s[1].words(t, "Query BEGIN", "Query SELECT", "Parse pgherd_1 INSERT INTO t VALUES (1)", "Bind pgherd_1", "Execute", "Sync"),
		s[1].says(inside("BEGIN"), inside("SELECT 0"), parsed, bound, inside("INSERT 0 1")))
	w.then(w.told(1, "BindComplete", "CommandComplete INSERT 0 1", "ReadyForQuery T"), w.sends(simple("COMMIT")))
	w.then(s[1].words(t, "Query COMMIT"), s[1].says(done("COMMIT")))
	w.then(w.told(2, "CommandComplete COMMIT", "ReadyForQuery I"), w.sends(terminate))
	w.run()
}
