package session

import (
	"testing"
	"time"

	"pgherd/proxy/catalog"
	"pgherd/proxy/expect"
	"pgherd/proxy/pool"
	"pgherd/proxy/wire"
)

// TestCancelRightBehind checks a cancel that comes in the same moment as its statement.
func TestCancelRightBehind(t *testing.T) {
	for name, sent := range map[string][]byte{
		"simple":   simple("q"),
		"extended": append(append(parse("q"), execute...), syncs...),
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			s := w.server()
			w.greeted(w.client.says(sent), w.cancels)
			w.then(w.strikes(s), s.says(fault("ERROR", "57014"), ready))
			w.then(w.client.gets(t, "ErrorResponse ERROR 57014", "ReadyForQuery I"), w.answered)
			w.quits(s)
			w.run()
		})
	}
}

// TestCancelIsNotForWhatComesLater checks that a later request waits until the cancel is answered
// (I10).
func TestCancelIsNotForWhatComesLater(t *testing.T) {
	w := newWorld(t)
	s := w.server()
	w.greeted(w.client.says(simple("first"), simple("second")))
	w.then(w.cancels, w.client.says(simple("third")))
	w.then(s.gets(t, "Query first", "Query second"), w.strikes(s), s.says(done("A"), done("B")))
	w.then(s.gets(t), w.client.gets(t, "CommandComplete A", "ReadyForQuery I", "CommandComplete B", "ReadyForQuery I"))
	w.then(s.gets(t), w.answered)
	w.then(s.gets(t, "Query third"), w.strikes(), s.says(done("C")))
	w.quits(s)
	w.run()
}

// TestCancelIsNotAnswered checks that a later request does not wait longer than a limit for a cancel that gets no answer.
func TestCancelIsNotAnswered(t *testing.T) {
	w := newWorld(t)
	s := w.server()
	w.greeted(w.client.says(simple("first")))
	w.then(w.cancels)
	w.then(w.strikes(s), s.says(done("A")), w.client.says(simple("second")))
	w.then(s.gets(t, "Query first"), w.passes(cancelHold-time.Second))
	w.then(s.gets(t), w.passes(time.Second))
	w.then(s.gets(t, "Query second"), s.says(done("B")), w.answered)
	w.quits(s)
	w.run()
}

// TestCancelBehindOurOwn checks that a cancel that comes while the server works on a request of pgherd's is not sent before the
// server works on the client's request.
func TestCancelBehindOurOwn(t *testing.T) {
	w, s := sharingWorld(t, 1)
	s[0].server.Settings = pool.Settings{"work_mem": "'1MB'"}
	w.greeted(w.sends(simple("SELECT 1")))
	w.then(s[0].words(t, `Query RESET "work_mem";`, "Query SELECT 1"), w.cancels)
	w.then(w.strikes(), s[0].says(done("RESET")))
	w.then(w.strikes(s[0]), s[0].says(selected))
	w.then(w.answered)
	w.then(w.sends(terminate))
	w.run()
	w.ended("returned")
}

// TestCancelDuringTheFirstQuestion checks a cancel of a statement that waits for a question of
// pgherd's.
func TestCancelDuringTheFirstQuestion(t *testing.T) {
	w, s := transactionWorld(t)
	w.set.Catalogs = catalog.NewShared()
	w.greeted(w.sends(simple("SELECT 1")), w.cancels)
	w.then(s.words(t, "Query CATALOG"), w.strikes(), s.says(catalogAnswer([]string{"version", "2:2", "", "", ""})))
	w.then(s.words(t, "Query SELECT 1"), w.strikes(s), s.says(failed("57014")))
	w.then(w.client.words(t, "ErrorResponse ERROR 57014", "ReadyForQuery E"), s.says(), w.answered)
	w.then(w.sends(terminate), func() { s.in = append(s.in, done("ROLLBACK")) })
	w.run()
}

// TestCancelIsDropped checks that a cancel is dropped once all that it was meant for is answered.
func TestCancelIsDropped(t *testing.T) {
	w, s := sharingWorld(t, 1)
	s[0].server.Settings = pool.Settings{"work_mem": "'1MB'"}
	w.greeted(w.sends(simple("SELECT 1")))
	w.then(w.cancels)
	w.then(s[0].says(done("RESET"), selected)) // both replies come at once
	w.then(w.strikes(), func() { w.same("a cancel is pending", w.session.Wishes(), false) }, w.sends(simple("SELECT 2")))
	w.then(w.strikes(), s[0].says(selected))
	w.then(w.strikes(), w.sends(terminate))
	w.run()
}

// TestCancelOfAStatementThatIsPrepared checks a cancel after a Close of pgherd's own, which the server has done, but which it
// answers only with the next answer.
func TestCancelOfAStatementThatIsPrepared(t *testing.T) {
	w, s := sharingWorld(t, 1)
	w.set.MaxPrepared = 1
	prepared := func(name string) []byte {
		b := wire.AppendParse(nil, name, "SELECT "+name, wire.MakeOIDs())
		b = wire.AppendBind(b, &wire.BindView{Statement: []byte(name)})
		return wire.AppendSync(wire.AppendExecute(b, "", 0))
	}
	ran := func(before ...[]byte) []byte {
		b := wire.AppendBindComplete(wire.AppendParseComplete(nil))
		for _, first := range before {
			b = append(first, b...)
		}
		return append(b, done("SELECT 1")...)
	}
	w.greeted(w.sends(prepared("a")))
	w.then(s[0].says(ran()))
	w.then(func() { s[0].out, w.free = nil, append(w.free, s[0].server) }, w.sends(prepared("b")))
	w.then(func() { w.same("disposition of the first reply owed", w.session.expect.Next(), expect.Swallow) }, w.cancels)
	w.then(w.strikes(s[0]), s[0].says(ran(wire.AppendCloseComplete(nil))))
	w.then(w.answered)
	w.then(w.sends(terminate))
	w.run()
}
