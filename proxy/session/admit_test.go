package session

import (
	"errors"
	"slices"
	"testing"
	"time"

	"pgherd/proxy/nodes"
	"pgherd/proxy/pool"
	"pgherd/proxy/wire"
)

var (
	letInOn = pool.Finding{Whose: "1/2", State: "x"}
	found   = func(f pool.Finding) []byte {
		return slices.Concat(complete("SET"), complete("SET"), complete("SET"), wire.AppendTextColumns(nil, "whose", "state", "loaded"),
			wire.AppendTextRow(nil, f.Whose, f.State, f.Loaded), complete("SELECT 1"), ready)
	}
)

// doubtful is a world in which PostgreSQL was not asked lately about log-ins.
func doubtful(t *testing.T) *world {
	w := newWorld(t)
	w.stale, w.admission = true, letInOn.Admit(nil)
	return w
}

// letIn makes a free server with this Admission.
func (w *world) letIn(on *pool.Admission) *side {
	s := w.server()
	s.server.Admission = on
	return s
}

func TestLogInIsConfirmed(t *testing.T) {
	w := doubtful(t)
	s := w.letIn(w.admission)
	w.then(s.gets(t, "Query "+pool.AdmissionQuestion), w.client.gets(t), s.says(found(letInOn)))
	w.greeted(w.client.leaves())
	w.run()
	w.ended("returned")
	if !slices.Equal(w.findings, []pool.Finding{letInOn}) {
		t.Errorf("findings are %v, want %v", w.findings, []pool.Finding{letInOn})
	}
}

// TestLogInIsJudgedAnew checks that a client gets no idle server whose Admission is over, but a new one or none.
func TestLogInIsJudgedAnew(t *testing.T) {
	for name, answer := range map[string][]byte{
		"another state": found(pool.Finding{Whose: "1/2", State: "y"}),
		"another role":  found(pool.Finding{Whose: "3/2", State: "x"}),
		"an error":      append(fault("ERROR", "42704"), ready...),
		"it has ended":  nil,
	} {
		t.Run(name, func(t *testing.T) {
			w := doubtful(t)
			old, fresh := w.letIn(w.admission), w.opened()
			fresh.server.Admission = (pool.Finding{Whose: "3/2", State: "y"}).Admit(nil)
			if answer == nil {
				w.then(old.hangs(errors.New("gone")))
			} else {
				w.then(old.says(answer))
			}
			w.then(func() { w.ended("discarded"); w.stale = false }, w.grants(fresh))
			w.greeted(w.client.leaves())
			w.run()
			w.ended("returned discarded")
			same2(t, "the session's Admission", w.session.admission, fresh.server.Admission)
		})
		t.Run(name+", and the new log-in is refused", func(t *testing.T) {
			w := doubtful(t)
			old := w.letIn(w.admission)
			if answer == nil {
				w.then(old.hangs(errors.New("gone")))
			} else {
				w.then(old.says(answer))
			}
			w.then(w.refuses(&wire.Fault{Severity: "FATAL", Code: "28000", Message: "not permitted"}))
			w.run()
			w.client.gets(t, "ErrorResponse FATAL 28000")()
		})
	}
}

// TestLogInWithoutAServer checks that a client may log in although PostgreSQL cannot be asked now, because it may want to
// ask pgherd for the reason. It gets no server before PostgreSQL was asked.
func TestLogInWithoutAServer(t *testing.T) {
	for name, why := range map[string]error{
		"none is free":    nil,
		"no node answers": &wire.Fault{Severity: "FATAL", Code: "08001", Message: "cannot connect"},
		"it starts up":    &wire.Fault{Severity: "FATAL", Code: "57P03", Message: "starting up"},
		"it was fenced":   pool.Unused{Node: 0},
	} {
		t.Run(name, func(t *testing.T) {
			w := doubtful(t)
			if why == nil {
				w.then(w.is(WaitServer), w.passes(2*time.Second))
			} else {
				w.then(w.refuses(why))
			}
			w.greeted(func() {
				s := w.letIn(w.admission)
				w.then(s.gets(t, "Query "+pool.AdmissionQuestion), s.says(found(letInOn)))
				w.then(s.gets(t, "Query select 1"), s.says(selected))
				w.then(w.client.gets(t, selectedText...))
				w.bows(s)
			}, w.client.says(simple("select 1")))
			w.run()
			w.ended("returned")
		})
	}
}

// TestPrimaryIsLostDuringTheLogIn checks that a log-in about which the next primary must be asked waits for a server of that
// primary.
func TestPrimaryIsLostDuringTheLogIn(t *testing.T) {
	w := doubtful(t)
	w.set.FailoverWait = 30 * time.Second
	s := w.opened()
	view, template := w.view, w.template
	w.then(func() {
		w.template = nil
		w.view = &nodes.View{Nodes: []nodes.Node{{Index: 0, Role: nodes.Primary, Status: nodes.Down}}}
	}, w.refuses(pool.Unused{Node: 0}))
	w.then(w.is(WaitServer), func() { w.view, w.template, w.stale = view, template, false })
	w.then(w.grants(s))
	w.greeted(w.client.leaves())
	w.run()
	w.ended("returned")
}

// TestTheNameIsAnothers checks that a session whose role or database was dropped never gets a server of a new role or
// database with the same name.
func TestTheNameIsAnothers(t *testing.T) {
	w := newWorld(t)
	w.admission = letInOn.Admit(nil)
	w.greeted(w.client.says(simple("select 1")))
	s := w.letIn((pool.Finding{Whose: "3/2", State: "x"}).Admit(nil))
	w.run()
	w.client.gets(t, "ErrorResponse FATAL 28000")()
	s.gets(t)()
	w.ended("discarded")
}

// TestSettingsOfTheRoleHaveChanged checks that a session goes on with servers of the same role after its settings have
// changed.
func TestSettingsOfTheRoleHaveChanged(t *testing.T) {
	w := newWorld(t)
	w.admission = letInOn.Admit(nil)
	over := w.letIn((pool.Finding{Whose: "1/2", State: "y"}).Admit(nil))
	over.server.Admission.End()
	s := w.letIn((pool.Finding{Whose: "1/2", State: "z"}).Admit(nil))
	w.greeted(w.client.says(simple("select 1")))
	w.then(over.gets(t), s.gets(t, "Query select 1"), s.says(selected))
	w.then(w.client.gets(t, selectedText...))
	w.bows(s)
	w.run()
	w.ended("returned discarded")
}

// TestDoubtBeforeTheAuthorHears checks that other sessions know of a statement that may change what log-ins rest on, and of
// its commit, before its client gets the answer, in either protocol.
func TestDoubtBeforeTheAuthorHears(t *testing.T) {
	for tag, doubts := range map[string]int{
		"ALTER ROLE": 2, "DROP ROLE": 2, "GRANT ROLE": 2, "REVOKE": 2, "ALTER DATABASE": 2, "CREATE DATABASE": 2,
		"COMMIT PREPARED": 2, "SELECT 1": 0, "ALTER TABLE": 0, "COMMIT": 0,
	} {
		w := newWorld(t)
		s := w.server()
		w.greeted(w.client.says(simple("x")))
		w.then(s.says(complete(tag)))
		w.then(func() { w.same(tag+": doubts", w.doubts, doubts/2) }, w.client.gets(t, "CommandComplete "+tag), s.says(ready))
		w.then(func() { w.same(tag+": doubts", w.doubts, doubts) }, w.client.gets(t, "ReadyForQuery I"), func() { s.out = nil })
		w.bows(s)
		w.run()
	}
	w := newWorld(t)
	s := w.server()
	inside := func(tag string) []byte {
		return append(complete(tag), wire.AppendReadyForQuery(nil, wire.InTransaction)...)
	}
	w.greeted(w.client.says(simple("x"), simple("x"), simple("x"), simple("x")))
	w.then(s.says(inside("BEGIN"), inside("ALTER ROLE")))
	w.then(func() { w.doubts = 0 }, s.says(complete("COMMIT")))
	w.then(func() { w.same("doubts at its COMMIT", w.doubts, 1) }, s.says(ready, done("SELECT 1")))
	w.then(func() { w.same("doubts behind it", w.doubts, 2); s.out = nil })
	w.quits(s)
	w.run()
}

// TestLogInsShareAnAnswer checks that a log-in waits for a while if another one is asking
// PostgreSQL.
func TestLogInsShareAnAnswer(t *testing.T) {
	w := doubtful(t)
	w.claimed = true
	w.then(w.client.gets(t))
	w.then(func() { w.stale = false })
	w.greeted(w.client.leaves())
	w.run()
	same2(t, "checkouts", len(w.asked), 0)

	w = doubtful(t)
	w.claimed = true
	w.then(w.passes(2 * time.Second))
	w.greeted(w.client.leaves())
	w.run()
	same2(t, "PostgreSQL is yet to be asked", w.session.unproved, true)
}

// TestLogInWithoutAPrimary checks that a log-in like an earlier one does not wait for a primary. If PostgreSQL has lately
// confirmed that one, reads go to a standby; else the next primary is asked before the client gets a server, unless the
// standby is known to answer (teller_test.go).
func TestLogInWithoutAPrimary(t *testing.T) {
	for name, stale := range map[string]bool{"confirmed lately": false, "to be asked": true} {
		t.Run(name, func(t *testing.T) {
			w, _ := routedWorld(t, pool.Transaction)
			w.set.FailoverWait, w.stale, w.admission = 30*time.Second, stale, letInOn.Admit(nil)
			up := w.view
			w.view = &nodes.View{Epoch: 2, Nodes: []nodes.Node{{Role: nodes.Primary, Status: nodes.Down}, up.Nodes[1]}}
			s := w.letIn(w.admission)
			s.server.Key = w.who.Target.On(1)
			if stale {
				s.server.Key = w.who.Target.On(0)
			}
			w.greeted(w.sends(simple(read)))
			if stale {
				w.then(s.words(t), w.is(WaitServer), func() { w.view = up })
				w.then(s.gets(t, "Query "+pool.AdmissionQuestion), s.says(found(letInOn)))
			}
			w.then(s.gets(t, "Query "+read), s.says(selected))
			w.then(w.hears(selectedText...), w.sends(terminate))
			w.run()
		})
	}
}
