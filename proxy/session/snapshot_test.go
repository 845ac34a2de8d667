package session

import (
	"testing"

	"pgherd/proxy/pool"
	"pgherd/proxy/wire"
)

const snapshotBegin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"

// snapshotRead begins a block with one snapshot that reads on the standby s.
func (w *world) snapshotRead(s *side) {
	w.greeted(w.sends(simple(snapshotBegin)))
	w.then(w.told(0, "CommandComplete BEGIN", "ReadyForQuery T"), w.sends(simple("SELECT 1")))
	w.then(s.words(w.t, "Query "+snapshotBegin, "Query SELECT 1"), s.says(inside("BEGIN"), inside("SELECT 1")))
}

// TestSeveralStatementsEndASnapshot checks a text with a COMMIT and a write after it.
func TestSeveralStatementsEndASnapshot(t *testing.T) {
	const text = "COMMIT; INSERT INTO t VALUES (1)"
	w, s := routedWorld(t, pool.Transaction, 1, 0)
	w.snapshotRead(s[0])
	w.then(w.told(0, "CommandComplete SELECT 1", "ReadyForQuery T"), w.sends(simple(text)))
	w.then(s[0].words(t, "Query ROLLBACK"), s[0].says(done("ROLLBACK")))
	w.then(s[1].words(t, "Query "+snapshotBegin, "Query SELECT", "Query "+text), s[1].says(inside("BEGIN"), inside("SELECT 1"), complete("COMMIT"), done("INSERT 0 1")))
	w.then(w.told(2, "CommandComplete COMMIT", "CommandComplete INSERT 0 1", "ReadyForQuery I"), w.sends(terminate))
	w.run()
}

// TestSeveralStatementsEndAFailedBlock checks the same for a block that has failed, whether that is
// known or not.
func TestSeveralStatementsEndAFailedBlock(t *testing.T) {
	const text = "ROLLBACK; INSERT INTO t VALUES (1)"
	for _, pipelined := range []bool{false, true} {
		w, s := routedWorld(t, pool.Transaction, 1, 0)
		w.greeted(w.sends(simple("BEGIN")))
		if pipelined {
			w.then(w.told(0, "CommandComplete BEGIN", "ReadyForQuery T"), w.sends(simple("SELECT 1"), simple(text)))
			w.then(s[0].words(t, "Query BEGIN", "Query SELECT 1"), s[0].says(inside("BEGIN"), failed("22012")))
		} else {
			w.then(w.told(0, "CommandComplete BEGIN", "ReadyForQuery T"), w.sends(simple("SELECT 1")))
			w.then(s[0].words(t, "Query BEGIN", "Query SELECT 1"), s[0].says(inside("BEGIN"), failed("22012")))
			w.then(w.sends(simple(text)))
		}
		w.then(w.told(0, "ErrorResponse ERROR 22012", "ReadyForQuery E"), s[0].words(t, "Query ROLLBACK"), s[0].says(done("ROLLBACK")))
		w.then(s[1].words(t, "Query BEGIN", "Query refused by pgherd"), s[1].says(inside("BEGIN"), failed("42601")))
		w.then(s[1].words(t, "Query "+text), s[1].says(complete("ROLLBACK"), done("INSERT 0 1")))
		w.then(s[1].words(t, "Query STATE"), s[1].says(state()))
		w.then(w.told(2, "CommandComplete ROLLBACK", "CommandComplete INSERT 0 1", "ReadyForQuery I"), w.sends(terminate))
		w.run()
	}
}

// TestBehindTheEndOfASnapshot checks that requests that are sent after a COMMIT, before its answer, are no part of the block that
// stays on the standby.
func TestBehindTheEndOfASnapshot(t *testing.T) {
	const insert = "INSERT INTO t VALUES (1)"
	inserted := []string{"CommandComplete INSERT 0 1", "ReadyForQuery I"}
	t.Run("simple", func(t *testing.T) {
		w, s := routedWorld(t, pool.Transaction, 1, 0)
		w.snapshotRead(s[0])
		w.then(w.told(0, "CommandComplete SELECT 1", "ReadyForQuery T"), w.sends(simple("SELECT 2"), simple("COMMIT"), simple(insert)))
		w.then(s[0].words(t, "Query SELECT 2", "Query COMMIT"), s[0].says(inside("SELECT 1")))
		w.then(w.told(0, "CommandComplete SELECT 1", "ReadyForQuery T"), s[0].says(done("COMMIT")))
		w.then(s[1].words(t, "Query "+insert), s[1].says(done("INSERT 0 1")))
		w.then(w.told(2, append([]string{"CommandComplete COMMIT", "ReadyForQuery I"}, inserted...)...), w.sends(terminate))
		w.run()
	})
	t.Run("extended", func(t *testing.T) {
		w, s := routedWorld(t, pool.Transaction, 1, 0)
		parsed, bound := wire.AppendParseComplete(nil), wire.AppendBindComplete(nil)
		w.snapshotRead(s[0])
		w.then(w.told(0, "CommandComplete SELECT 1", "ReadyForQuery T"), w.sends(extended("COMMIT"), extended(insert), syncs))
		w.then(s[0].words(t, "Parse COMMIT", "Bind", "Execute", "Flush"), s[0].says(parsed, bound, complete("COMMIT")))
		w.then(s[0].words(t, "Sync"), s[0].says(ready))
		w.then(s[1].words(t, "Parse "+insert, "Bind", "Execute", "Sync"), s[1].says(parsed, bound, done("INSERT 0 1")))
		w.then(w.told(2, append([]string{"ParseComplete", "BindComplete", "CommandComplete COMMIT", "ParseComplete", "BindComplete"}, inserted...)...), w.sends(terminate))
		w.run()
	})
}
