package session

import (
	"testing"
	"time"

	"pgherd/proxy/pool"
	"pgherd/proxy/route"
	"pgherd/proxy/wire"
)

// TestBlockWithoutServer checks that a block whose first statement finds no server has failed for
// its client, and that COMMIT says so.
func TestBlockWithoutServer(t *testing.T) {
	w, _ := routedWorld(t, pool.Transaction)
	w.greeted(w.sends(simple("BEGIN"), simple("INSERT INTO t VALUES (1)")))
	w.then(w.is(WaitServer), w.refuses(tooMany))
	w.then(w.told(0, "CommandComplete BEGIN", "ReadyForQuery T", "ErrorResponse ERROR 53300", "ReadyForQuery E"), w.sends(simple("COMMIT")))
	w.then(w.told(0, "CommandComplete ROLLBACK", "ReadyForQuery I"), w.sends(terminate))
	w.run()
	w.nodesAsked(0)
}

// TestBoundBeginGoesOn checks that a BEGIN that is bound, but not executed when another request
// comes, goes to the server that gets that request.
func TestBoundBeginGoesOn(t *testing.T) {
	w, s := routedWorld(t, pool.Transaction, 0)
	bound, executed := wire.AppendBind(nil, &wire.BindView{}), wire.AppendExecute(nil, "", 0)
	w.greeted(w.sends(parse("BEGIN"), bound, wire.AppendParse(nil, "s", "SELECT 1", nil), executed, syncs))
	w.then(s[0].words(t, "Parse pgherd_1 BEGIN", "Bind pgherd_1", "Parse pgherd_2 SELECT 1", "Execute", "Sync"), s[0].says(wire.AppendParseComplete(nil),
		wire.AppendBindComplete(nil), wire.AppendParseComplete(nil), inside("BEGIN")))
	w.then(w.told(0, "ParseComplete", "BindComplete", "ParseComplete", "CommandComplete BEGIN", "ReadyForQuery T"), w.sends(simple("COMMIT")))
	w.then(s[0].words(t, "Query COMMIT"), s[0].says(done("COMMIT")))
	w.then(w.told(1, "CommandComplete COMMIT", "ReadyForQuery I"), w.sends(terminate))
	w.run()
}

// TestSetOnTheStandby checks that a server on which a block has set something is not used again.
func TestSetOnTheStandby(t *testing.T) {
	w, s := routedWorld(t, pool.Transaction, 1)
	w.greeted(w.sends(simple("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"), simple("SELECT 1")))
	w.then(s[0].says(inside("BEGIN"), inside("SELECT 1")))
	w.then(w.sends(simple("SET work_mem TO 5")))
	w.then(s[0].says(inside("SET")))
	w.then(w.sends(simple("COMMIT")))
	w.then(s[0].says(done("COMMIT")))
	w.then(w.sends(terminate))
	w.run()
	same2(t, "servers returned, discarded", [2]int{len(w.returned), len(w.discarded)}, [2]int{0, 1})
}

// TestBlocksAfterOneThatWrote checks that disable_load_balance_on_write = trans_transaction keeps later blocks on the primary, but
// no statement outside a block.
func TestBlocksAfterOneThatWrote(t *testing.T) {
	w, s := routedWorld(t, pool.Transaction, 0, 0, 1)
	w.set.Routing.Rules.OnWrite, w.set.Routing.Consistency = route.TransTransaction, route.Eventual
	w.greeted(w.sends(simple("BEGIN"), simple("DELETE FROM t")))
	w.then(s[0].says(inside("BEGIN"), inside("DELETE 1")))
	w.then(w.sends(simple("COMMIT")))
	w.then(s[0].says(done("COMMIT")))
	w.then(w.sends(simple("BEGIN"), simple("SELECT 1")))
	w.then(s[1].words(t, "Query BEGIN", "Query SELECT 1"), s[1].says(inside("BEGIN"), inside("SELECT 1")))
	w.then(w.sends(simple("COMMIT")))
	w.then(s[1].says(done("COMMIT")))
	w.then(w.sends(simple("SELECT 1")))
	w.then(s[2].words(t, "Query SELECT 1"), s[2].says(selected))
	w.then(w.sends(terminate))
	w.run()
	w.nodesAsked(0, 0, 1)
}

// TestRebornStandby checks that a read does not trust the position of a standby that may have been restarted since the position
// was asked for, as a server opened later shows.
func TestRebornStandby(t *testing.T) {
	w, s := routedWorld(t, pool.Transaction, 0, 1, 0)
	w.greeted(w.sends(simple("DELETE FROM t")))
	w.then(s[0].says(done("DELETE 1")), w.passes(time.Second))
	w.then(func() { w.written, w.replayed, w.asked2 = 100, 100, w.now.Add(time.Millisecond) }, func() { s[1].server.Opened = w.now.Add(time.Second) }, w.sends(simple("SELECT 1")))
	w.then(s[2].words(t, "Query SELECT 1"), s[2].says(selected))
	w.then(w.sends(terminate))
	w.run()
	w.nodesAsked(0, 1, 0)
}

// TestCommitIsTold checks that other sessions see a commit once its client may know of it, even if the client has sent only a
// Flush.
func TestCommitIsTold(t *testing.T) {
	w, s := routedWorld(t, pool.Transaction, 0)
	w.greeted(w.sends(simple("BEGIN"), simple("DELETE FROM t")))
	w.then(s[0].says(inside("BEGIN"), inside("DELETE 1")), w.passes(time.Second))
	w.then(w.sends(parse("COMMIT"), execute, wire.AppendFlush(nil)))
	w.then(s[0].says(wire.AppendParseComplete(nil), wire.AppendBindComplete(nil), complete("COMMIT")))
	w.then(func() { same2(t, "time of the last write", w.lastWrite, w.now) }, w.sends(syncs))
	w.then(s[0].says(ready))
	w.then(w.sends(terminate))
	w.run()
}
