package session

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"pgherd/proxy/expect"
	"pgherd/proxy/nodes"
	"pgherd/proxy/wire"
)

var tooMany = &wire.Fault{Severity: "FATAL", Code: "53300", Message: "too many connections"}

// TestRefused checks that a client that gets no server gets an error as a server would give it,
// keeps its connection, and may try again.
func TestRefused(t *testing.T) {
	const refusal = "ErrorResponse ERROR 53300"
	for name, c := range map[string]struct {
		sent []byte
		want []string
	}{
		"simple":          {simple("q"), []string{refusal, "ReadyForQuery I"}},
		"function call":   {wire.AppendFunctionCall(nil, &wire.FunctionCallView{}), []string{refusal, "ReadyForQuery I"}},
		"extended":        {slices.Concat(parse("q"), execute, syncs), []string{refusal, "ReadyForQuery I"}},
		"before its Sync": {slices.Concat(parse("q"), execute, simple("q"), wire.AppendFlush(nil)), []string{refusal}},
		"twice": {slices.Concat(parse("q"), execute, syncs, syncs),
			[]string{refusal, "ReadyForQuery I", "ReadyForQuery I"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.greeted(w.client.says(c.sent))
			w.then(w.is(WaitServer), w.client.gets(t), w.refuses(tooMany))
			w.then(w.client.gets(t, c.want...), w.client.says(syncs))
			w.then(w.client.gets(t, "ReadyForQuery I"), w.is(Idle))
			s := w.server()
			w.free = nil
			w.then(w.client.says(simple("q")))
			w.then(w.is(WaitServer), w.grants(s))
			w.then(s.gets(t, "Query q"), s.says(done("Q")))
			w.then(w.client.gets(t, "CommandComplete Q", "ReadyForQuery I"))
			w.bows(s)
			w.run()
			w.ended("returned")
		})
	}
}

func TestWaitTimesOut(t *testing.T) {
	w := newWorld(t)
	w.greeted(w.client.says(simple("q")))
	w.then(w.is(WaitServer), w.passes(w.set.QueryWait-1))
	w.then(w.is(WaitServer), w.client.gets(t), w.passes(1))
	w.then(w.is(Idle), w.client.gets(t, "ErrorResponse ERROR 53300", "ReadyForQuery I"), w.client.leaves())
	w.run()
	same2(t, "time waited", w.session.View().Waited, w.set.QueryWait)
	if w.withdrawn == 0 {
		t.Error("the session has not withdrawn from the queue")
	}
}

func TestWaitForEver(t *testing.T) {
	w := newWorld(t)
	w.set.QueryWait = 0
	s := w.opened()
	w.greeted(w.client.says(simple("q")))
	w.then(w.is(WaitServer), w.passes(1000*time.Hour))
	w.then(w.is(WaitServer), w.grants(s))
	w.then(s.says(done("Q")))
	w.quits(s)
	w.run()
	w.ended("returned")
}

// cancels is the event that a cancel comes for the request that has arrived.
func (w *world) cancels() { w.wrongly(cancelKey, true)() }

// wrongly is the event that a cancel comes with this key. heard says whether the session accepts it.
func (w *world) wrongly(key string, heard bool) func() {
	return func() { w.t.Helper(); w.same("the cancel is accepted", w.session.Cancel([]byte(key)), heard) }
}

// strikes checks, as an event or at the end, that a cancel was sent to these servers since the last
// check.
func (w *world) strikes(want ...*side) func() {
	return func() {
		w.t.Helper()
		var got []string
		for _, server := range take(&w.canceled) {
			got = append(got, server.Endpoint.(*side).name)
		}
		for i := range max(len(got), len(want)) {
			if i >= len(got) || i >= len(want) || got[i] != want[i].name {
				w.t.Errorf("cancels were sent to servers %q, want %d cancels", got, len(want))
				return
			}
		}
	}
}

func (w *world) answered() { w.session.CancelDone(w.session.server, nil) }

const cancelKey = "\x01\x02\x03\x04"

func TestCancelWhileWaiting(t *testing.T) {
	w := newWorld(t)
	w.greeted(w.client.says(simple("q")))
	w.then(w.is(WaitServer), w.wrongly("\x01\x02\x03\x05", false))
	w.then(w.is(WaitServer), w.client.gets(t), w.cancels)
	w.then(w.is(Idle), w.client.gets(t, "ErrorResponse ERROR 57014", "ReadyForQuery I"), w.client.leaves())
	w.run()
	if w.withdrawn == 0 {
		t.Error("the session has not withdrawn from the queue")
	}
}

// TestCancelTooLate checks that a cancel of a wait that has ended at the same moment does not end the next wait.
func TestCancelTooLate(t *testing.T) {
	w := newWorld(t)
	w.greeted(w.client.says(simple("q")))
	w.then(w.is(WaitServer), w.cancels, w.refuses(tooMany))
	w.then(w.client.gets(t, "ErrorResponse ERROR 53300", "ReadyForQuery I"), w.client.says(simple("q")))
	w.then(w.is(WaitServer), w.client.gets(t))
	w.then(w.is(WaitServer), w.client.gets(t), w.client.leaves())
	w.run()
}

func TestCancelNothing(t *testing.T) {
	w := newWorld(t)
	s := w.server()
	w.greeted(w.cancels, w.client.says(simple("q"))) // the query comes after the cancel
	w.then(w.strikes(), w.wrongly("", false), w.wrongly("\x01\x02\x03", false), w.wrongly(cancelKey+"\x05", false), s.says(done("Q")))
	w.then(w.strikes(), w.is(Idle), w.cancels) // a server that does nothing is not canceled
	w.then(w.strikes(), w.client.says(terminate))
	w.then(w.is(Closing), w.wrongly(cancelKey, false), s.says(done("DISCARD ALL"))) // pgherd's own reset is not canceled, either
	w.run()
	w.ended("returned")
}

// TestCancelHoldsTheServer checks that the server is held until PostgreSQL has answered the cancel
// (I10).
func TestCancelHoldsTheServer(t *testing.T) {
	w := newWorld(t)
	s := w.server()
	w.greeted(w.client.says(simple("q")))
	w.then(w.cancels)
	w.then(w.strikes(s), w.cancels)
	w.then(w.strikes(s), s.says(done("Q")))
	w.then(w.client.says(terminate))
	held := func() {
		s.gets(t, "Query q")()
		s.out = simple("q")
		w.ended("")
	}
	w.then(w.is(Closing), held, w.passes(time.Second))
	w.then(held, w.answered)
	w.then(held, w.answered)
	w.then(s.gets(t, "Query q", "Query DISCARD ALL"), s.says(done("DISCARD ALL")))
	w.run()
	w.ended("returned")
}

// TestCancelIsNeverAnswered checks that the server is not held for ever, but closed.
func TestCancelIsNeverAnswered(t *testing.T) {
	w := newWorld(t)
	s := w.server()
	w.greeted(w.client.says(simple("q")))
	w.then(w.cancels)
	w.then(w.strikes(s), s.says(done("Q")))
	w.then(w.client.says(terminate))
	before := w.now
	w.run()
	w.ended("discarded")
	if held := w.now.Sub(before); held < cancelHold {
		t.Errorf("the server was held for %v, want longer", held)
	}
}

var shutdown = &wire.Fault{Severity: "FATAL", Code: "57P01", Message: "terminating connection due to administrator command"}

// TestEvicted checks that a session is told once, in every state, and ends.
func TestEvicted(t *testing.T) {
	const told = "ErrorResponse FATAL 57P01"
	t.Run("idle", func(t *testing.T) {
		w := newWorld(t)
		w.greeted(w.evicts(shutdown))
		w.run()
		w.client.gets(t, told)()
	})
	t.Run("active", func(t *testing.T) {
		w := newWorld(t)
		s := w.server()
		w.greeted(w.client.says(simple("q")))
		w.then(s.says(complete("Q")), w.evicts(shutdown))
		w.run()
		w.client.gets(t, told)()
		w.ended("aborted")
	})
	t.Run("waiting", func(t *testing.T) {
		w := newWorld(t)
		w.greeted(w.client.says(simple("q")))
		w.then(w.is(WaitServer), w.evicts(shutdown))
		w.run()
		w.client.gets(t, told)()
		if w.withdrawn == 0 {
			t.Error("the session has not withdrawn from the queue")
		}
	})
	t.Run("waiting for its first server", func(t *testing.T) {
		w := newWorld(t)
		w.template = nil
		w.then(w.is(WaitServer), w.evicts(shutdown))
		w.run()
		w.client.gets(t, told)()
	})
	t.Run("in the middle of a row", func(t *testing.T) {
		w := newWorld(t)
		s := w.server()
		w.greeted(w.client.says(simple("q")))
		w.then(s.says(wire.AppendTextRow(nil, strings.Repeat("x", 100))[:50]))
		w.then(w.evicts(shutdown))
		w.run()
		w.client.gets(t, "DataRow in pieces")() // no error can follow half of a message
		w.ended("aborted")
	})
}

// TestClientIdleLimit checks that the limit ends a client that is silent, and not one that waits.
func TestClientIdleLimit(t *testing.T) {
	w := newWorld(t)
	w.set.ClientIdle = time.Minute
	s := w.server()
	w.greeted(w.passes(59*time.Second), w.client.says(simple("q")))
	w.then(w.is(Active), w.passes(time.Hour), s.says(done("Q"))) // the server takes long
	w.then(w.is(Idle), w.client.gets(t, "CommandComplete Q", "ReadyForQuery I"), w.passes(59*time.Second))
	w.then(w.is(Idle), w.client.gets(t), w.passes(time.Second))
	w.then(w.is(Closing), s.says(done("DISCARD ALL")))
	w.run()
	w.client.gets(t, "ErrorResponse FATAL 57P05")()
	w.ended("returned")
}

// TestClientIdleButForUs checks that a client that sends only commands to pgherd does not count as idle.
func TestClientIdleButForUs(t *testing.T) {
	w := newShowWorld(t)
	w.set.ClientIdle = time.Minute
	w.greeted(w.passes(59*time.Second), w.client.says(simple("show a")))
	w.then(w.is(Idle), w.passes(59*time.Second), w.client.says(syncs))
	w.then(w.is(Idle), w.passes(59*time.Second))
	w.then(w.is(Idle), w.client.leaves())
	w.run()
}

// TestClientIdleInTransaction checks that the same limit counts inside of a transaction.
func TestClientIdleInTransaction(t *testing.T) {
	w := newWorld(t)
	w.set.ClientIdle = time.Minute
	s := w.server()
	w.greeted(w.client.says(simple("begin")))
	w.then(s.says(complete("BEGIN"), wire.AppendReadyForQuery(nil, wire.InTransaction)))
	w.then(w.is(InTransaction), w.passes(time.Minute))
	w.then(w.is(Closing), s.says(done("DISCARD ALL")))
	w.run()
	w.ended("returned")
}

// TestSlowClient checks that a slow client slows down its server, of which no more is read than a limit.
func TestSlowClient(t *testing.T) {
	w := newWorld(t)
	s := w.server()
	row := wire.AppendTextRow(nil, strings.Repeat("x", 64<<10))
	w.client.slow = true
	w.greeted(w.client.says(simple("q")))
	w.then(func() {
		for range 100 {
			s.in = append(s.in, row)
		}
	})
	rest := 0
	w.then(func() {
		if queued := w.client.Queued(); queued < queuedLimit || queued > queuedLimit+len(row) {
			t.Errorf("%d bytes are queued for the slow client", queued)
		}
		rest = len(s.in)
		w.client.in = append(w.client.in, simple("another")) // its next request is not read, either
	})
	w.then(func() {
		same2(t, "what is left with the server", len(s.in), rest)
		same2(t, "requests taken", len(w.client.in), 0+1)
		w.client.slow = false
	})
	w.then(func() { same2(t, "what is left with the server", len(s.in), 0) }, s.gets(t, "Query q", "Query another"), w.client.hangs(errBroken))
	w.run()
}

var errBroken = &wire.Fault{Message: "broken"}

// TestSlowServer checks that a slow server slows down its client.
func TestSlowServer(t *testing.T) {
	w := newWorld(t)
	s := w.server()
	data := wire.AppendCopyData(nil, strings.Repeat("x", 64<<10))
	w.greeted(w.client.says(simple("copy")))
	w.then(func() { s.slow = true }, s.says(wire.AppendCopyInResponse(nil, 0, nil)))
	w.then(func() {
		for range 100 {
			w.client.in = append(w.client.in, data)
		}
	})
	rest := 0
	w.then(func() {
		if queued := s.Queued(); queued < queuedLimit || queued > queuedLimit+len(data) {
			t.Errorf("%d bytes are queued for the slow server", queued)
		}
		rest = len(w.client.in)
	}, s.says(fault("ERROR", "57014"), ready)) // the session reads the server's error nevertheless
	w.then(w.client.gets(t, "CopyInResponse", "ErrorResponse ERROR 57014", "ReadyForQuery I"), func() {
		same2(t, "what is left with the client", len(w.client.in), rest)
		s.slow = false
	})
	w.then(func() { same2(t, "what is left with the client", len(w.client.in), 0) })
	w.quits(s)
	w.run()
	w.ended("returned")
}

// TestSlowServerParts checks that a server that did not read is given back after its copy has
// failed, and that what its client has sent after that does not wait for an event that never comes.
func TestSlowServerParts(t *testing.T) {
	w, s := transactionWorld(t)
	w.greeted(w.client.says(simple("copy sink from stdin")))
	w.then(func() { s.slow = true }, s.says(wire.AppendCopyInResponse(nil, 0, nil)))
	w.then(func() {
		w.client.in = slices.Repeat([][]byte{wire.AppendCopyData(nil, strings.Repeat("x", 64<<10))}, 100)
	})
	w.then(func() {
		if len(w.client.in) == 0 {
			t.Error("the client's data are still read, want it slowed down")
		}
	}, s.says(fault("ERROR", "57014"), ready))
	w.then(func() { same2(t, "what is left with the client", len(w.client.in), 0) }, w.client.says(terminate))
	w.run()
	w.ended("returned")
}

// TestManyOwed checks that requests are not read without a limit while their replies are owed (I5).
func TestManyOwed(t *testing.T) {
	w := newWorld(t)
	s := w.server()
	bind := wire.AppendBind(nil, &wire.BindView{})
	w.greeted(w.client.says(slices.Repeat(bind, expect.Limit+10)))
	w.then(func() {
		same2(t, "requests passed on", len(s.out)/len(bind), expect.Limit)
		s.says(slices.Repeat(wire.AppendBindComplete(nil), 10))()
	})
	w.then(func() { same2(t, "requests passed on", len(s.out)/len(bind), expect.Limit+10) },
		s.says(wire.AppendBindComplete(nil)), w.client.hangs(errBroken))
	w.run()
	w.ended("aborted")
}

// TestRowsInRuns checks that rows that have arrived together are forwarded together, in each form of a reply with rows.
func TestRowsInRuns(t *testing.T) {
	const rows = 1000
	w := newWorld(t)
	s := w.server()
	line := wire.AppendCopyData(nil, "a line")
	w.greeted(w.client.says(simple("select")))
	inFew := func(to *side) func() {
		return func() { same2(t, "in few pieces", to.forwarded < 20, true); to.forwarded = 0 }
	}
	w.then(s.says(bytes.Repeat(wire.AppendTextRow(nil, "a row"), rows), done("SELECT")))
	w.then(inFew(w.client), w.client.says(simple("copy to stdout")))
	w.then(s.says(wire.AppendCopyOutResponse(nil, 0, nil), bytes.Repeat(line, rows), wire.AppendCopyDone(nil), done("COPY")))
	w.then(inFew(w.client), w.client.says(simple("copy from stdin")))
	w.then(s.says(wire.AppendCopyInResponse(nil, 0, nil)), func() { s.forwarded = 0 })
	w.then(w.client.says(bytes.Repeat(line, rows), wire.AppendCopyDone(nil)), s.says(done("COPY")))
	w.then(inFew(s))
	w.quits(s)
	w.run()
	w.ended("returned")
}

// TestLongResponse checks that a long response is received in large pieces, until the next response
// begins.
func TestLongResponse(t *testing.T) {
	w := newWorld(t)
	s := w.server()
	row := wire.AppendTextRow(nil, strings.Repeat("x", streamAfter/4))
	w.greeted(w.client.says(simple("q")))
	w.then(s.says(row, row, row))
	w.then(func() { same2(t, "switches to large reads", len(s.stream), 0) }, s.says(row, row))
	w.then(func() { same2(t, "large reads are on", slices.Equal(s.stream, []bool{true}), true) }, s.says(row, row, row, row))
	w.then(func() { same2(t, "switches", len(s.stream), 1) }, s.says(done("Q")))
	w.then(func() { same2(t, "large reads are off again", slices.Equal(s.stream, []bool{true, false}), true) }, w.client.says(simple("q")))
	w.then(s.says(row, row, row, done("Q")))
	w.then(func() { same2(t, "switches", len(s.stream), 2) })
	w.quits(s)
	w.run()
	w.ended("returned")
}

// TestLongCopy checks the same for the data of a COPY FROM.
func TestLongCopy(t *testing.T) {
	w := newWorld(t)
	s := w.server()
	lines := wire.AppendCopyData(nil, []byte(strings.Repeat("x", streamAfter/2)))
	w.greeted(w.client.says(simple("copy t from stdin")))
	w.then(s.says(wire.AppendCopyInResponse(nil, 0, nil)), w.client.says(lines))
	w.then(func() { same2(t, "switches to large reads", len(w.client.stream), 0) }, w.client.says(lines, lines, lines))
	w.then(func() { same2(t, "large reads are on", slices.Equal(w.client.stream, []bool{true}), true) }, w.client.says(wire.AppendCopyDone(nil)))
	w.then(func() { same2(t, "large reads are off", slices.Equal(w.client.stream, []bool{true, false}), true) }, s.says(done("COPY 1")))
	w.quits(s)
	w.run()
	w.ended("returned")
}

// TestLastWords checks that the session does not wait long for a client that does not read its last
// bytes.
func TestLastWords(t *testing.T) {
	w := newWorld(t)
	w.greeted(func() { w.client.slow = true }, w.evicts(shutdown))
	before := w.now
	w.then(w.client.says(simple("too late")))
	w.run()
	if waited := w.now.Sub(before); waited < goodbye || waited > 2*goodbye {
		t.Errorf("the session waited for %v", waited)
	}
	same2(t, "requests left unread", len(w.client.in), 0)
}

// TestSlowClientEvicted checks that the server is reset even if the client reads nothing.
func TestSlowClientEvicted(t *testing.T) {
	w := newWorld(t)
	s := w.server()
	row := wire.AppendTextRow(nil, strings.Repeat("x", queuedLimit-len(wire.AppendTextRow(nil, ""))-len(done("Q"))))
	w.greeted(w.client.says(simple("q")))
	w.then(func() { w.client.slow = true }, s.says(row, done("Q")))
	w.then(w.is(Idle), func() { same2(t, "bytes queued", w.client.Queued(), queuedLimit) }, w.evicts(shutdown), func() { s.out = nil })
	w.then(s.gets(t, "Query DISCARD ALL"), s.says(done("DISCARD ALL")))
	w.run()
	w.ended("returned")
}

// TestView checks that a View has no secret and does not change.
func TestView(t *testing.T) {
	w := newWorld(t)
	w.who.Secret = "secret"
	w.who.Application = "psql"
	s := w.server()
	w.greeted(w.client.says(simple("q")))
	w.then(w.passes(time.Second), func() {
		v := w.session.View()
		if v.Secret != nil || v.Application != "psql" || v.PID != 77 || v.State != Active || v.Server == nil || v.Server.PID != 1 || v.Server.Uses != 1 {
			t.Errorf("the View is %+v, its server %+v", v, v.Server)
		}
	}, s.says(done("Q")))
	w.quits(s)
	w.run()
	if v := w.session.View(); v.Server != nil || v.State != Closing || v.State.String() != "closing" {
		t.Errorf("the View has changed: %+v", v)
	}
}

// TestPrimaryMoves checks that the next checkout is for a server of the new primary.
func TestPrimaryMoves(t *testing.T) {
	w := newWorld(t)
	s := w.server()
	s.server.Key.Node = 1
	w.greeted(func() {
		w.view = &nodes.View{Nodes: []nodes.Node{{Index: 0, Role: nodes.Standby, Status: nodes.Up}, {Index: 1, Role: nodes.Primary, Status: nodes.Up}}}
	}, w.client.says(simple("q")))
	w.then(s.says(done("Q")))
	w.quits(s)
	w.run()
	same2(t, "node", w.asked[0].Node, 1)
}

// TestLeftWhileItWaits checks that a client that has left, or vanished, while it waited for a
// server loses its place, and that its request is not sent.
func TestLeftWhileItWaits(t *testing.T) {
	for name, last := range map[string][]byte{"with a goodbye": terminate, "without": nil, "behind another request": simple("more")} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.greeted(w.client.says(simple("insert")))
			w.then(w.is(WaitServer), w.client.says(last), w.client.leaves())
			w.run()
			w.ended("")
			if w.withdrawn == 0 {
				t.Error("the session has not withdrawn from the queue")
			}
		})
	}
}
