package session

import (
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"pgherd/proxy/nodes"
	"pgherd/proxy/pool"
	"pgherd/proxy/wire"
)

func TestGreetFromTemplate(t *testing.T) {
	w := newWorld(t)
	w.greeted(w.is(Idle), w.client.says(terminate))
	w.run()
	if len(w.asked) != 0 || w.err != errLeft {
		t.Errorf("servers were asked for by %v, want none; the session ended by %v, want that the client left", w.asked, w.err)
	}
}

func TestGreetByTheFirstServer(t *testing.T) {
	w := newWorld(t)
	s := w.server()
	w.template = nil
	w.greeted(func() {
		w.ended("returned") // an idle client holds no server
		s.gets(t)()
	}, w.client.leaves())
	w.run()
	w.ended("returned")
	same2(t, "uses", s.server.Uses, uint64(1))
}

func TestGreetQueued(t *testing.T) {
	w := newWorld(t)
	s := w.opened()
	w.template = nil
	w.then(w.is(WaitServer), w.passes(time.Second))
	w.then(w.grants(s))
	w.greeted(w.is(Idle), w.client.leaves())
	w.run()
	same2(t, "time waited", w.session.View().Waited, time.Second)
}

func TestGreetRefused(t *testing.T) {
	for name, c := range map[string]struct {
		why  error
		want string
	}{
		"wrong database":       {&wire.Fault{Severity: "FATAL", Code: "3D000", Message: "no such database"}, "ErrorResponse FATAL 3D000"},
		"an error of pgherd's": {errors.New("something else"), "ErrorResponse FATAL XX000"},
		"a fault of severity ERROR": {&wire.Fault{Severity: "ERROR", Code: "53300", Message: "too many"},
			"ErrorResponse FATAL 53300"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.template = nil
			w.then(w.refuses(c.why))
			w.run()
			w.client.gets(t, c.want)()
			w.ended("")
		})
	}
}

func TestGreetTimesOut(t *testing.T) {
	w := newWorld(t)
	w.template = nil
	w.run()
	w.client.gets(t, "ErrorResponse FATAL 53300")()
	if w.withdrawn == 0 {
		t.Error("the session has not withdrawn from the queue")
	}
}

func TestNoPrimary(t *testing.T) {
	w := newWorld(t)
	w.view = &nodes.View{Nodes: []nodes.Node{{Role: nodes.Primary, Status: nodes.Down}}}
	w.greeted(w.client.says(simple("select 1")))
	w.then(w.client.gets(t, "ErrorResponse ERROR 57P03", "ReadyForQuery I"), w.is(Idle), w.client.leaves())
	w.run()
	if len(w.asked) != 0 {
		t.Error("a server was asked for, though there is no primary")
	}
}

func TestReplicationKeepsItsServer(t *testing.T) {
	w := newWorld(t)
	w.who.Target.Replication = true
	s := w.server()
	w.greeted(func() { w.ended("") }, w.client.says(simple("IDENTIFY_SYSTEM")))
	w.then(s.gets(t, "Query IDENTIFY_SYSTEM"), s.says(done("IDENTIFY_SYSTEM")))
	w.then(w.client.gets(t, "CommandComplete IDENTIFY_SYSTEM", "ReadyForQuery I"), w.client.leaves())
	w.run()
	w.ended("discarded")
}

func TestSimpleQuery(t *testing.T) {
	w := newWorld(t)
	s := w.server()
	w.greeted(w.client.says(simple("select 1")))
	w.then(s.gets(t, "Query select 1"), w.is(Active), s.says(selected))
	w.then(w.client.gets(t, selectedText...), w.is(Idle), w.client.says(simple("select 2")))
	w.then(s.gets(t, "Query select 2"), s.says(selected))
	w.then(w.client.gets(t, selectedText...))
	w.bows(s)
	w.run()
	w.ended("returned")
	same2(t, "checkouts", len(w.asked), 1)
	if s.server.Used || s.server.Key != w.asked[0] {
		t.Errorf("the server was returned as %+v", s.server)
	}
}

func TestTransactionIsSeenAndReset(t *testing.T) {
	w := newWorld(t)
	s := w.server()
	began := append(complete("BEGIN"), wire.AppendReadyForQuery(nil, wire.InTransaction)...)
	w.greeted(w.client.says(simple("begin")))
	w.then(s.gets(t, "Query begin"), s.says(began))
	w.then(w.is(InTransaction), w.client.gets(t, "CommandComplete BEGIN", "ReadyForQuery T"))
	w.then(w.client.leaves())
	w.then(w.is(Closing), s.gets(t, "Query DISCARD ALL"), s.says(done("DISCARD ALL")))
	w.run()
	w.ended("returned")
}

// TestResetFails checks that a server that is not clean after its reset is closed (I2).
func TestResetFails(t *testing.T) {
	for name, c := range map[string]struct {
		answer []byte
		want   string
	}{
		"works":                {done("DISCARD ALL"), "returned"},
		"an error":             {append(fault("ERROR", "25001"), ready...), "discarded"},
		"still in transaction": {append(complete("X"), wire.AppendReadyForQuery(nil, wire.InTransaction)...), "discarded"},
		"nonsense":             {[]byte("nonsense that no server says"), "discarded"},
		"another reply":        {wire.AppendParseComplete(nil), "discarded"},
		"no answer":            {nil, "aborted"},
		"half an answer":       {done("DISCARD ALL")[:12], "aborted"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			s := w.server()
			w.greeted(w.client.says(simple("select 1")))
			w.then(s.gets(t, "Query select 1"), s.says(selected))
			w.then(w.client.gets(t, selectedText...))
			w.then(w.client.says(terminate))
			w.then(s.gets(t, "Query DISCARD ALL"), s.says(c.answer))
			w.run()
			w.ended(c.want)
			w.client.gets(t)() // the client is not told
		})
	}
}

// TestServersThatAreNotKept checks that a server that no other client gets is not reset.
func TestServersThatAreNotKept(t *testing.T) {
	w := newWorld(t)
	w.set.KeepServers = false
	s := w.server()
	w.greeted(w.client.says(simple("select 1")))
	w.then(s.gets(t, "Query select 1"), s.says(selected))
	w.then(w.client.gets(t, selectedText...), w.client.says(terminate))
	w.run()
	s.gets(t)()
	w.ended("discarded")
}

func TestExpiredServerIsClosed(t *testing.T) {
	w := newWorld(t)
	s := w.server()
	s.server.Expires = w.now.Add(time.Minute)
	w.greeted(w.client.says(simple("select 1")))
	w.then(s.gets(t, "Query select 1"), s.says(selected))
	w.then(w.passes(time.Hour), w.client.gets(t, selectedText...), w.client.says(terminate))
	w.run()
	s.gets(t)() // it is not reset
	w.ended("discarded")
}

// TestParametersAreTold checks that the client is told at the checkout, before any reply, which
// parameters differ from what it was told before.
func TestParametersAreTold(t *testing.T) {
	w := newWorld(t)
	s := w.server()
	s.server.Params = []wire.Param{{Name: "TimeZone", Value: "CET"}, {Name: "is_superuser", Value: "off"}}
	status := wire.AppendParameterStatus(nil, "TimeZone", "EST")
	w.greeted(w.client.says(simple("set timezone to est")))
	w.then(w.client.gets(t, "ParameterStatus TimeZone=CET", "ParameterStatus is_superuser=off"),
		s.gets(t, "Query set timezone to est"), s.says(status, done("SET")))
	w.then(w.client.gets(t, "ParameterStatus TimeZone=EST", "CommandComplete SET", "ReadyForQuery I"))
	w.then(w.client.says(terminate))
	w.then(s.says(wire.AppendParameterStatus(nil, "TimeZone", "UTC"), done("DISCARD ALL")))
	w.run()
	w.ended("returned")
	same2(t, "the server's TimeZone", pool.Param(s.server.Params, "TimeZone"), "UTC")
	same2(t, "TimeZone in the template", w.template[0].Value, "UTC")
	w.client.gets(t)()
}

func TestPipelineBothWays(t *testing.T) {
	w := newWorld(t)
	s := w.server()
	sent := slices.Concat(parse("a"), execute, syncs, simple("b"))
	w.greeted(w.client.says(sent[:7]))
	w.then(s.gets(t), w.client.says(sent[7:]))
	w.then(s.gets(t, "Parse", "Bind", "Execute", "Sync", "Query b"), s.says(wire.AppendParseComplete(nil), fault("ERROR", "22012")))
	w.then(w.client.gets(t, "ParseComplete", "ErrorResponse ERROR 22012"), w.is(Active), s.says(ready))
	w.then(w.client.gets(t, "ReadyForQuery I"), w.is(Active), s.says(done("B")))
	w.then(w.client.gets(t, "CommandComplete B", "ReadyForQuery I"), w.is(Idle))
	w.bows(s)
	w.run()
	w.ended("returned")
}

// TestOneByteAtATime checks that the same bytes go through wherever they are cut.
func TestOneByteAtATime(t *testing.T) {
	w := newWorld(t)
	s := w.server()
	sent := slices.Concat(parse("a"), execute, syncs, simple("b"))
	w.greeted(func() { cutUp(w.client, sent) })
	answer := slices.Concat(wire.AppendParseComplete(nil), wire.AppendBindComplete(nil), complete("A"), ready, selected)
	w.then(s.gets(t, "Parse", "Bind", "Execute", "Sync", "Query b"), func() { cutUp(s, answer) })
	w.then(w.client.gets(t, append([]string{"ParseComplete", "BindComplete", "CommandComplete A", "ReadyForQuery I"}, selectedText...)...))
	w.bows(s)
	w.run()
	w.ended("returned")
}

func cutUp(s *side, bytes []byte) {
	for i := range bytes {
		s.in = append(s.in, bytes[i:i+1])
	}
}

// TestAskedWithoutAServer checks that requests that need no server check out none.
func TestAskedWithoutAServer(t *testing.T) {
	w := newWorld(t)
	w.greeted(w.client.says(syncs, wire.AppendFlush(nil), wire.AppendCopyDone(nil), wire.AppendCopyData(nil, "x"), wire.AppendCopyFail(nil, "")))
	w.then(w.client.gets(t, "ReadyForQuery I"), w.is(Idle), w.client.leaves())
	w.run()
	same2(t, "checkouts", len(w.asked), 0)
}

// TestClientLeaves checks what becomes of the server when the client leaves, at every moment that matters.
func TestClientLeaves(t *testing.T) {
	for name, c := range map[string]struct {
		sent   []byte
		leaves error
		answer []byte
		heard  []string // what the server gets after the query
		want   string
	}{
		"replies are owed and awaited": {simple("q"), io.EOF, done("Q"), []string{"Flush", "Query DISCARD ALL"}, "returned"},
		"a Terminate behind the query": {append(simple("q"), terminate...), io.EOF, done("Q"), []string{"Flush", "Query DISCARD ALL"}, "returned"},
		"no Sync, the server skips":    {parse("q"), io.EOF, fault("ERROR", "42601"), []string{"Flush"}, "discarded"},
		"no Sync, the server answers":  {parse("q"), io.EOF, wire.AppendParseComplete(nil), []string{"Flush", "Query DISCARD ALL"}, "returned"},
		"half a message":               {append(simple("q"), simple("half")[:8]...), io.EOF, done("Q"), nil, "discarded"},
		"half a header":                {append(simple("q"), 'Q', 0), io.EOF, done("Q"), nil, "discarded"},
		"a broken connection":          {simple("q"), errors.New("connection reset by peer"), done("Q"), nil, "aborted"},
		"in the middle of a copy":      {simple("q"), nil, wire.AppendCopyInResponse(nil, 0, nil), nil, "discarded"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			s := w.server()
			w.greeted(w.client.says(c.sent), w.client.hangs(c.leaves))
			if c.want == "returned" || c.leaves != nil && c.heard != nil {
				w.then(s.says(c.answer))
			}
			if c.leaves == nil {
				w.then(s.says(c.answer))
				w.then(w.client.leaves())
			}
			if c.want == "returned" {
				w.then(s.says(done("DISCARD ALL")))
			}
			w.run()
			w.ended(c.want)
			s.gets(t, append(asText(c.sent), c.heard...)...)()
		})
	}
}

// TestLeftInTheMiddle checks that a server is not used again if only half of a message was forwarded to it, even if it owes nothing.
func TestLeftInTheMiddle(t *testing.T) {
	t.Run("of a notification", func(t *testing.T) {
		w := newWorld(t)
		s := w.server()
		w.greeted(w.client.says(simple("q")))
		w.then(s.says(done("Q"), wire.AppendNotificationResponse(nil, 1, "channel", "payload")[:12]))
		w.then(w.is(Idle), w.client.says(terminate))
		w.run()
		s.gets(t, "Query q")()
		w.ended("discarded")
	})
	t.Run("of copy data after a failed copy", func(t *testing.T) {
		w := newWorld(t)
		s := w.server()
		w.greeted(w.client.says(simple("q")))
		w.then(s.says(done("Q")))
		w.then(w.client.says(wire.AppendCopyData(nil, strings.Repeat("x", 100))[:50]), w.client.leaves())
		before := w.now
		w.run()
		same2(t, "time spent on a reset", w.now.Sub(before), time.Duration(0)) // no reset was tried
		s.gets(t, "Query q", "CopyData in pieces")()
		w.ended("discarded")
	})
}

// asText is the text of what a server receives of this, the whole messages without a Terminate.
func asText(sent []byte) (lines []string) {
	cut := wire.CutRequests()
	for _, line := range describe(&cut, sent) {
		if line != "Terminate" {
			lines = append(lines, line)
		}
	}
	return lines
}

func TestClientLeavesWhileWaiting(t *testing.T) {
	w := newWorld(t)
	w.greeted(w.client.says(simple("q")))
	w.then(w.is(WaitServer), w.client.leaves())
	w.run()
	if w.withdrawn == 0 {
		t.Error("the session has not withdrawn from the queue")
	}
	w.client.gets(t)()
}

// TestServerFails checks each way in which a server can fail. The client is told once.
func TestServerFails(t *testing.T) {
	row := wire.AppendTextRow(nil, strings.Repeat("x", 100))
	for name, c := range map[string]struct {
		said []byte
		end  error
		want []string
	}{
		"it closes":                           {nil, io.EOF, []string{"ErrorResponse FATAL 08006"}},
		"its connection broke":                {nil, errors.New("connection reset by peer"), []string{"ErrorResponse FATAL 08006"}},
		"a FATAL error":                       {fault("FATAL", "57P01"), io.EOF, []string{"ErrorResponse FATAL 57P01"}},
		"a PANIC error":                       {fault("PANIC", "XX001"), io.EOF, []string{"ErrorResponse PANIC XX001"}},
		"an ERROR, then it closes":            {fault("ERROR", "22012"), io.EOF, []string{"ErrorResponse ERROR 22012", "ErrorResponse FATAL 08006"}},
		"nonsense":                            {[]byte("nonsense that no server says"), nil, []string{"ErrorResponse FATAL 08P01"}},
		"an unknown message":                  {[]byte{'y', 0, 0, 0, 4}, nil, []string{"ErrorResponse FATAL 08P01"}},
		"a huge length":                       {[]byte{'D', 0x7f, 0xff, 0xff, 0xff}, nil, []string{"ErrorResponse FATAL 08P01"}},
		"a reply to nothing":                  {wire.AppendParseComplete(nil), nil, []string{"ErrorResponse FATAL 08P01"}},
		"a good reply, then nonsense":         {append(complete("A"), 'y', 0, 0, 0, 4), nil, []string{"CommandComplete A", "ErrorResponse FATAL 08P01"}},
		"it closes in the middle of a row":    {row[:40], io.EOF, []string{"DataRow in pieces"}}, // no error can follow half of a message
		"it closes in the middle of a header": {row[:3], io.EOF, []string{"ErrorResponse FATAL 08006"}},
		"it closes in the middle of an error": {fault("ERROR", "22012")[:20], io.EOF, []string{"ErrorResponse FATAL 08006"}},
		"a password is asked for":             {wire.AppendAuthenticationOk(nil), nil, []string{"ErrorResponse FATAL 08P01"}},
		"a key after the log-in":              {wire.AppendBackendKeyData(nil, 1, make(wire.Secret, 4)), nil, []string{"ErrorResponse FATAL 08P01"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			s := w.server()
			w.greeted(w.client.says(simple("q")))
			w.then(s.says(c.said), s.hangs(c.end))
			w.run()
			w.client.gets(t, c.want...)()
			s.gets(t, "Query q")()
			w.ended("discarded")
		})
	}
}

// TestServerEndsAnIdleClient checks that a server that is ended by pg_terminate_backend ends its client.
func TestServerEndsAnIdleClient(t *testing.T) {
	w := newWorld(t)
	s := w.server()
	w.greeted(w.client.says(simple("q")))
	w.then(s.says(done("Q")))
	w.then(w.is(Idle), s.says(fault("FATAL", "57P01")), s.leaves())
	w.run()
	w.client.gets(t, "CommandComplete Q", "ReadyForQuery I", "ErrorResponse FATAL 57P01")()
	w.ended("discarded")
}

// TestFatalWithoutTheEnd checks that a server that has sent a FATAL error is not used again, whichever side closes first.
func TestFatalWithoutTheEnd(t *testing.T) {
	w := newWorld(t)
	s := w.server()
	w.greeted(w.client.says(simple("q")))
	w.then(s.says(done("Q"), fault("FATAL", "57P01")))
	w.then(w.client.says(terminate))
	w.run()
	s.gets(t, "Query q")()
	w.ended("discarded")
}

// TestNonsenseWhileIdle checks that a server that violates the protocol is closed without a reset.
func TestNonsenseWhileIdle(t *testing.T) {
	w := newWorld(t)
	s := w.server()
	w.greeted(w.client.says(simple("q")))
	w.then(s.says(done("Q"), complete("Q")))
	w.run()
	w.client.gets(t, "CommandComplete Q", "ReadyForQuery I", "ErrorResponse FATAL 08P01")()
	s.gets(t, "Query q")()
	w.ended("discarded")
}

// TestClientViolates checks that the client gets an error with 08P01, after the answers to what it
// had asked for before.
func TestClientViolates(t *testing.T) {
	for name, sent := range map[string][]byte{
		"an unknown message": {'y', 0, 0, 0, 4},
		"a huge length":      {'Q', 0x7f, 0xff, 0xff, 0xff},
		"a negative length":  {'Q', 0xff, 0xff, 0xff, 0xff},
		"garbage":            []byte("GET / HTTP/1.1\r\n"),
		"a late password":    wire.AppendPassword(nil, "x"),
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.greeted(w.client.says(sent))
			w.run()
			w.client.gets(t, "ErrorResponse FATAL 08P01")()
		})
		if name == "a late password" {
			continue
		}
		t.Run(name+" behind a query", func(t *testing.T) {
			w := newWorld(t)
			s := w.server()
			w.greeted(w.client.says(simple("q"), sent))
			w.then(s.gets(t, "Query q", "Flush"), w.client.gets(t), s.says(done("Q")))
			w.then(s.gets(t, "Query DISCARD ALL"), s.says(done("DISCARD ALL")))
			w.run()
			w.client.gets(t, "CommandComplete Q", "ReadyForQuery I", "ErrorResponse FATAL 08P01")()
			w.ended("returned")
		})
	}
}

func TestStopped(t *testing.T) {
	w := newWorld(t)
	s := w.server()
	w.greeted(w.client.says(simple("q")))
	w.then(s.gets(t, "Query q"), func() { w.stopped = true })
	w.run()
	same2(t, "the error by which the session ended", w.err, ErrStopped)
	w.ended("discarded")
}

func TestStoppedWhileWaiting(t *testing.T) {
	w := newWorld(t)
	w.greeted(w.client.says(simple("q")))
	w.then(w.is(WaitServer), func() { w.stopped = true })
	w.run()
	same2(t, "the error by which the session ended", w.err, ErrStopped)
	if w.withdrawn == 0 {
		t.Error("the session has not withdrawn from the queue")
	}
}
