package session

import (
	"testing"

	"pgherd/proxy/pool"
	"pgherd/proxy/wire"
)

// TestReloadWhileARequestWaits checks that it is known what a statement leaves in its session, even
// if the configuration is read again between its analysis and its run.
func TestReloadWhileARequestWaits(t *testing.T) {
	set := "SET lock_timeout = 5"
	for name, trace := range map[string]struct{ request, answer []byte }{
		"simple":   {simple(set), done("SET")},
		"extended": {append(extended(set), syncs...), join(wire.AppendParseComplete(nil), wire.AppendBindComplete(nil), done("SET"))},
	} {
		t.Run(name, func(t *testing.T) {
			w, s := sharingWorld(t, 2)
			first, second := s[0], s[1]
			w.free = nil
			w.greeted(w.sends(trace.request))
			again := *w.set
			w.then(func() { w.session.Configure(&again) }, w.is(WaitServer))
			w.then(w.grants(first))
			w.then(func() { first.out = nil }, first.says(trace.answer))
			w.then(func() { w.client.out = nil }, w.sends(simple("SELECT 1")))
			w.then(w.grants(second))
			w.then(second.words(t, `Query SET "lock_timeout" TO '5';`, "Query SELECT 1"), second.says(done("SET"), selected))
			w.then(w.told(2, selectedText...), w.sends(terminate))
			w.run()
		})
	}
}

// TestReloadKeepsTheRoute checks that a block that reads on a standby ends there, or on the
// primary, even if the new configuration sends all statements to the primary.
func TestReloadKeepsTheRoute(t *testing.T) {
	w, s := routedWorld(t, pool.Transaction, 1, 0)
	standby, primary := s[0], s[1]
	plain := *w.set
	plain.Routing = nil
	w.greeted(w.sends(simple("BEGIN")))
	w.then(w.told(0, "CommandComplete BEGIN", "ReadyForQuery T"), w.sends(simple("SELECT FROM t")))
	w.then(standby.words(t, "Query BEGIN", "Query SELECT FROM t"), standby.says(inside("BEGIN"), inside("SELECT 1")))
	w.then(w.told(0, "CommandComplete SELECT 1", "ReadyForQuery T"), func() { w.session.Configure(&plain) })
	w.then(w.sends(simple("INSERT INTO t VALUES (1)")))
	w.then(standby.words(t, "Query ROLLBACK"), standby.says(done("ROLLBACK")))
	w.then(primary.words(t, "Query BEGIN", "Query SELECT", "Query INSERT INTO t VALUES (1)"),
		primary.says(inside("BEGIN"), inside("SELECT 0"), inside("INSERT 0 1")))
	w.then(w.told(1, "CommandComplete INSERT 0 1", "ReadyForQuery T"), w.sends(simple("COMMIT")))
	w.then(primary.words(t, "Query COMMIT"), primary.says(done("COMMIT")))
	w.then(w.told(2, "CommandComplete COMMIT", "ReadyForQuery I"), w.sends(terminate))
	w.run()
	same2(t, "routing", w.session.set.Routing == nil, true)
}
