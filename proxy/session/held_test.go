package session

import (
	"testing"

	"pgherd/proxy/pool"
	"pgherd/proxy/wire"
)

// TestBoundBeginBelongsToThePrimary: something comes between the Bind and the Execute
// of a BEGIN, which a server has to know of then. On a standby nobody would know of
// the block, and a write would be one outside of it.
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
