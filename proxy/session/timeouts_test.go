package session

import (
	"testing"
	"time"

	"pgherd/proxy/pool"
	"pgherd/proxy/wire"
)

// TestIdleSessionTimeout checks that the timeout counts for the client that has set it and has no
// server, and that PostgreSQL does not apply it to the client that has the server next.
func TestIdleSessionTimeout(t *testing.T) {
	w, s := sharingWorld(t, 1)
	w.greeted(w.sends(simple("SET idle_session_timeout = '5s'")))
	w.then(s[0].words(t, "Query SET idle_session_timeout = '5s'"), s[0].says(done("SET")))
	w.then(s[0].words(t, "Query "+pool.QuietSQL), s[0].says(done("SET")))
	var since time.Time
	w.then(w.told(1, "CommandComplete SET", "ReadyForQuery I"), func() {
		since = w.now
		w.same("what the server has", s[0].server.Settings["idle_session_timeout"], "0")
	})
	w.run()
	w.client.words(t, "ErrorResponse FATAL 57P05")()
	w.same("time until the client is ended", w.now.Sub(since), 5*time.Second)
}

// TestIdleSessionTimeoutOfTheLogin checks a timeout that is set for the role, for example. It is in
// force again while the client has the server.
func TestIdleSessionTimeoutOfTheLogin(t *testing.T) {
	w, s := sharingWorld(t, 1)
	w.timeouts.IdleSession = time.Minute
	s[0].server.Timeouts, s[0].server.Settings = w.timeouts, pool.Settings(nil).Quiet()
	w.greeted(w.sends(simple("SELECT 1")))
	w.then(s[0].words(t, `Query RESET "idle_session_timeout";`, "Query SELECT 1"), s[0].says(done("RESET"), selected))
	w.then(s[0].words(t, "Query "+pool.QuietSQL), s[0].says(done("SET")))
	w.then(w.told(1, selectedText...), w.passes(59*time.Second), w.sends(simple("")))
	w.then(func() { w.free = append(w.free, s[0].server) })
	w.then(w.grants(s[0]))
	w.then(func() { w.client.out = nil }, s[0].says(done("RESET"), wire.AppendEmptyQueryResponse(nil), ready))
	w.then(s[0].says(done("SET")))
	before := w.now
	w.run()
	if w.now.Sub(before) < 2*time.Minute-time.Second {
		t.Errorf("the client was ended after %v", w.now.Sub(before))
	}
}

// TestTimeoutsOfAHeldBegin checks that pgherd applies the timeouts to a block that no server knows
// of.
func TestTimeoutsOfAHeldBegin(t *testing.T) {
	for name, c := range map[string]struct {
		timeouts pool.Timeouts
		want     string
	}{
		"idle in transaction": {pool.Timeouts{IdleInTransaction: time.Second, Transaction: time.Minute, IdleSession: time.Millisecond}, "ErrorResponse FATAL 25P03"},
		"transaction":         {pool.Timeouts{IdleInTransaction: time.Minute, Transaction: time.Second}, "ErrorResponse FATAL 25P04"},
	} {
		t.Run(name, func(t *testing.T) {
			w, _ := routedWorld(t, pool.Transaction)
			w.timeouts = c.timeouts
			w.greeted(w.sends(simple("BEGIN")))
			var since time.Time
			w.then(w.told(0, "CommandComplete BEGIN", "ReadyForQuery T"), func() { since = w.now })
			w.run()
			w.client.words(t, c.want)()
			w.same("time until the end", w.now.Sub(since), time.Second)
			w.nodesAsked()
		})
	}
}

// TestTransactionTimeoutOfALateBegin checks that the timeout counts from the moment when the
// client's BEGIN was answered.
func TestTransactionTimeoutOfALateBegin(t *testing.T) {
	w, s := routedWorld(t, pool.Transaction, 0)
	s[0].server.Timeouts.Transaction = time.Minute
	w.timeouts.Transaction = time.Minute
	w.greeted(w.sends(simple("BEGIN")))
	w.then(w.told(0, "CommandComplete BEGIN", "ReadyForQuery T"), w.passes(50*time.Second))
	w.then(w.sends(simple("DELETE FROM t")))
	w.then(s[0].says(inside("BEGIN"), inside("DELETE 1")))
	var since time.Time
	w.then(w.told(0, "CommandComplete DELETE 1", "ReadyForQuery T"), func() { since = w.now })
	w.run()
	w.client.words(t, "ErrorResponse FATAL 25P04")()
	w.same("time until the end", w.now.Sub(since), 10*time.Second+w.set.ResetTimeout) // the server does not answer
}
