package session

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgherd/proxy/command"
	"pgherd/proxy/wire"
)

// shows has commands to pgherd. "show NAME" returns one row with NAME.
type shows struct{}

type show string

func (shows) Find(sql []byte) (command.Command, bool) {
	name, ok := strings.CutPrefix(string(sql), "show ")
	if name == "bug in find" {
		panic("a bug")
	}
	return show(name), ok
}

func (s show) Columns() []string { return []string{"name"} }

func (s show) Tag(n int) string { return fmt.Sprint("SELECT ", n) }

func (s show) Waits() bool { return false }

func (s show) Run(*command.Asker) ([][]string, error) {
	switch s {
	case "fault":
		return nil, errors.New("cannot be shown")
	case "bug":
		panic("a bug")
	}
	return [][]string{{string(s)}}, nil
}

func newShowWorld(t *testing.T) *world {
	w := newWorld(t)
	w.set.Commands = shows{}
	return w
}

// bound is an extended query without its Sync.
func bound(sql string) []byte {
	return slices.Concat(parse(sql), wire.AppendDescribe(nil, 'S', ""), wire.AppendBind(nil, &wire.BindView{}),
		wire.AppendDescribe(nil, 'P', ""), wire.AppendExecute(nil, "", 0))
}

var boundText = []string{"ParseComplete", "ParameterDescription", "RowDescription", "BindComplete", "RowDescription"}

// TestShow checks that a command that pgherd answers takes no server.
func TestShow(t *testing.T) {
	for name, c := range map[string]struct {
		sent []byte
		want []string
	}{
		"simple":   {simple("show a"), []string{"RowDescription", "DataRow a", "CommandComplete SELECT 1", "ReadyForQuery I"}},
		"an error": {simple("show fault"), []string{"ErrorResponse ERROR XX000", "ReadyForQuery I"}},
		"a panic":  {simple("show bug"), []string{"ErrorResponse ERROR XX000", "ReadyForQuery I"}},
		"extended": {append(bound("show a"), syncs...), append(boundText, "DataRow a", "CommandComplete SELECT 1", "ReadyForQuery I")},
		"extended, an error": {append(bound("show fault"), syncs...),
			append(boundText, "ErrorResponse ERROR XX000", "ReadyForQuery I")},
		"closed": {slices.Concat(parse("show a"), wire.AppendClose(nil, 'S', ""), syncs),
			[]string{"ParseComplete", "CloseComplete", "ReadyForQuery I"}},
		"a portal closed": {slices.Concat(bound("show a"), wire.AppendClose(nil, 'P', ""), syncs),
			append(boundText, "DataRow a", "CommandComplete SELECT 1", "CloseComplete", "ReadyForQuery I")},
		"two commands": {append(simple("show a"), simple("show b")...),
			[]string{"RowDescription", "DataRow a", "CommandComplete SELECT 1", "ReadyForQuery I",
				"RowDescription", "DataRow b", "CommandComplete SELECT 1", "ReadyForQuery I"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newShowWorld(t)
			w.greeted(w.client.says(c.sent))
			w.then(w.client.gets(t, c.want...), w.is(Idle), w.client.leaves())
			w.run()
			same2(t, "checkouts", len(w.asked), 0)
		})
	}
}

// TestShowInAPipeline checks that the answer to a command comes between the server's, in its turn
// (I1).
func TestShowInAPipeline(t *testing.T) {
	w := newShowWorld(t)
	s := w.server()
	w.greeted(w.client.says(simple("q1"), simple("show a"), simple("q2"), simple("show b")))
	w.then(s.gets(t, "Query q1", "Query q2"), w.client.gets(t), s.says(done("Q1")))
	w.then(w.client.gets(t, "CommandComplete Q1", "ReadyForQuery I",
		"RowDescription", "DataRow a", "CommandComplete SELECT 1", "ReadyForQuery I"), s.says(done("Q2")))
	w.then(w.client.gets(t, "CommandComplete Q2", "ReadyForQuery I",
		"RowDescription", "DataRow b", "CommandComplete SELECT 1", "ReadyForQuery I"), w.is(Idle))
	w.bows(s)
	w.run()
	w.ended("returned")
}

// TestShowInAnExtendedPipeline checks commands that are mixed with the server's statements before
// one Sync.
func TestShowInAnExtendedPipeline(t *testing.T) {
	w := newShowWorld(t)
	s := w.server()
	w.greeted(w.client.says(parse("q"), execute, bound("show a"), parse("q"), execute, syncs))
	w.then(s.gets(t, "Parse", "Bind", "Execute", "Parse", "Bind", "Execute", "Sync"),
		s.says(wire.AppendParseComplete(nil), wire.AppendBindComplete(nil), complete("Q")))
	w.then(w.client.gets(t, slices.Concat([]string{"ParseComplete", "BindComplete", "CommandComplete Q"}, boundText,
		[]string{"DataRow a", "CommandComplete SELECT 1"})...),
		s.says(wire.AppendParseComplete(nil), wire.AppendBindComplete(nil), complete("Q"), ready))
	w.then(w.client.gets(t, "ParseComplete", "BindComplete", "CommandComplete Q", "ReadyForQuery I"))
	w.bows(s)
	w.run()
	w.ended("returned")
}

// TestShowBehindAnError checks that a command is skipped if the server skips to the Sync.
func TestShowBehindAnError(t *testing.T) {
	w := newShowWorld(t)
	s := w.server()
	w.greeted(w.client.says(parse("wrong"), bound("show a"), syncs, simple("show b")))
	w.then(s.gets(t, "Parse", "Sync"), s.says(fault("ERROR", "42601"), ready))
	w.then(w.client.gets(t, "ErrorResponse ERROR 42601", "ReadyForQuery I",
		"RowDescription", "DataRow b", "CommandComplete SELECT 1", "ReadyForQuery I"))
	w.bows(s)
	w.run()
}

// TestShowTellsTheTransaction checks that the ReadyForQuery after a command has the server's
// status.
func TestShowTellsTheTransaction(t *testing.T) {
	w := newShowWorld(t)
	s := w.server()
	w.greeted(w.client.says(simple("begin")))
	w.then(s.says(complete("BEGIN"), wire.AppendReadyForQuery(nil, wire.InTransaction)))
	w.then(w.client.gets(t, "CommandComplete BEGIN", "ReadyForQuery T"), w.client.says(simple("show a")))
	w.then(w.client.gets(t, "RowDescription", "DataRow a", "CommandComplete SELECT 1", "ReadyForQuery T"),
		w.is(InTransaction), s.gets(t, "Query begin"))
	w.bows(s)
	w.run()
}

// TestNamesAreTakenOver checks that a statement of the server's replaces a command to pgherd with the same name, however long the
// message is.
func TestNamesAreTakenOver(t *testing.T) {
	long := strings.Repeat("x", wire.WholeLimit+1)
	bind := func(value string) []byte {
		return wire.AppendBind(nil, &wire.BindView{Params: wire.MakeValues([]byte(value))})
	}
	run := wire.AppendExecute(nil, "", 0)
	for name, c := range map[string]struct {
		sent [][]byte
		want []string
	}{
		"short":         {[][]byte{parse("q"), bind("1"), run, syncs}, []string{"Parse", "Bind", "Execute", "Sync"}},
		"a long Parse":  {[][]byte{parse(long), bind("1"), run, syncs}, []string{"Parse", "Bind", "Execute", "Sync"}},
		"a long Bind":   {[][]byte{parse("q"), bind(long), run, syncs}, []string{"Parse", "Bind", "Execute", "Sync"}},
		"only a Bind":   {[][]byte{wire.AppendBind(nil, &wire.BindView{Statement: []byte("s")}), run, syncs}, []string{"Bind", "Execute", "Sync"}},
		"after a Close": {[][]byte{wire.AppendClose(nil, 'P', ""), run, syncs}, []string{"Execute", "Sync"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newShowWorld(t)
			s := w.server()
			w.greeted(w.client.says(bound("show a"), syncs))
			w.then(func() { w.client.out = nil }, func() {
				for _, m := range c.sent { // long messages arrive in pieces
					w.client.in = append(w.client.in, m[:len(m)/2], m[len(m)/2:])
				}
			})
			w.then(gist(t, s, c.want...), s.says(fault("ERROR", "42601"), ready))
			w.bows(s)
			w.run()
			w.ended("returned")
		})
	}
}

// gist checks as gets does, for messages that may come in pieces.
func gist(t *testing.T, s *side, want ...string) func() {
	return func() {
		t.Helper()
		lines := describe(&s.cut, s.out)
		s.out = nil
		for i := range lines {
			lines[i] = strings.TrimSuffix(lines[i], " in pieces")
		}
		if !slices.Equal(lines, want) {
			t.Errorf("%s got %q, want %q", s.name, lines, want)
		}
	}
}

// TestShowDuringATornMessage checks that an answer of pgherd's own does not come into the middle of
// a notification that has arrived by half (I1).
func TestShowDuringATornMessage(t *testing.T) {
	w := newShowWorld(t)
	s := w.server()
	note := wire.AppendNotice(nil, &wire.Fault{Severity: "NOTICE", Code: "00000", Message: strings.Repeat("x", 2*wire.WholeLimit)})
	begun := wire.WholeLimit + 100 // a message of this size is forwarded before all of it has arrived
	w.greeted(w.client.says(simple("listen channel")))
	w.then(s.gets(t, "Query listen channel"), s.says(done("LISTEN")))
	w.then(w.client.gets(t, "CommandComplete LISTEN", "ReadyForQuery I"), s.says(note[:begun]))
	w.then(w.client.says(simple("show a")))
	w.then(s.says(note[begun:]))
	w.then(gist(t, w.client, "NoticeResponse NOTICE 00000", "RowDescription", "DataRow a", "CommandComplete SELECT 1", "ReadyForQuery I"))
	w.bows(s)
	w.run()
	w.ended("returned")
}

// TestPanic checks that a panic ends the client with an error, that its server is closed, and that
// Run returns as always.
func TestPanic(t *testing.T) {
	w := newShowWorld(t)
	s := w.server()
	w.greeted(w.client.says(simple("q")))
	w.then(s.says(done("Q")))
	w.then(w.client.gets(t, "CommandComplete Q", "ReadyForQuery I"), w.client.says(simple("show bug in find")))
	w.run()
	w.client.gets(t, "ErrorResponse FATAL XX000")()
	s.gets(t, "Query q")() // the server is not reset, because its state is not known
	w.ended("discarded")
}

// TestPanicInTheTeardown checks that everything is given back even after a panic in the teardown.
func TestPanicInTheTeardown(t *testing.T) {
	w := newWorld(t)
	s := w.server()
	w.greeted(w.client.says(simple("q")))
	w.then(s.says(done("Q")))
	w.then(func() { w.set.ResetQueries = []string{"x"}; s.closed = true }, w.client.leaves()) // sending to it panics
	w.run()
	w.ended("discarded")
	if w.err == nil || !strings.Contains(w.err.Error(), "panic") {
		t.Errorf("the session ended by %v, want a panic", w.err)
	}
}
