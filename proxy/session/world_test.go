package session

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"pgherd/proxy/metrics"
	"pgherd/proxy/nodes"
	"pgherd/proxy/pool"
	"pgherd/proxy/route"
	"pgherd/proxy/wire"
)

// world has all that a session sees in memory: a loop, a client and servers. A test lists
// what happens as moments. Each Wait of the session runs the next moment; when none is left,
// the clock advances to the deadline of the Wait.
type world struct {
	pause   pool.Pause // of the database; zero if it is not paused
	t       *testing.T
	now     time.Time
	set     *Settings
	who     Client
	client  *side
	session *Session
	moments [][]func()
	stopped bool // the worker is closing
	err     error

	free      []*pool.Server // what Checkout finds
	servers   []*side
	granted   *pool.Server
	refused   error
	asked     []pool.Key
	withdrawn int
	returned  []*pool.Server
	aborted   []*pool.Server
	discarded []*pool.Server
	pins      int
	proven    []string
	canceled  []*pool.Server
	template  []wire.Param
	stale     bool // PostgreSQL must be asked before a client is let in
	admission *pool.Admission
	findings  []pool.Finding
	doubts    int
	claimed   bool // another session asks PostgreSQL
	users     int  // clients in every database
	vacated   []string
	sentAway  []string
	held      int
	view      *nodes.View

	// What is known of positions.
	written, replayed uint64
	asked2, lastWrite time.Time
	suspected         []int // nodes that may be gone
	unlicensed        bool  // nothing may be sent to the primary
	chased            int
	known             uint32 // a process number that a client has already been told
	timeouts          pool.Timeouts
	clients           map[uint32]Target
	released          int
	signaled          bool // a signal was on its way to the last server released
	notifiers         map[uint32]uint32
	holds             map[uint32][]int // by process number, the nodes where pgherd has such a server
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, now: time.Unix(1_000_000_000, 0), client: &side{name: "client", cut: wire.CutReplies()}}
	w.set = &Settings{QueryWait: time.Minute, ResetTimeout: 10 * time.Second, ResetQueries: []string{"DISCARD ALL"}, KeepServers: true}
	w.who.Target = pool.Target{Database: "app", User: "alice"}
	w.view = &nodes.View{Nodes: []nodes.Node{{Index: 0, Role: nodes.Primary, Status: nodes.Up}}}
	w.template = []wire.Param{{Name: "TimeZone", Value: "UTC"}}
	return w
}

// server makes a logged-in server; it is idle and free to be checked out.
func (w *world) server() *side {
	s := w.opened()
	w.free = append(w.free, s.server)
	return s
}

// opened makes a logged-in server that Checkout does not find.
func (w *world) opened() *side {
	s := &side{name: fmt.Sprint("server ", len(w.servers)+1), cut: wire.CutRequests()}
	s.server = &pool.Server{Key: w.who.Target.On(0), Endpoint: s, PID: uint32(len(w.servers) + 1),
		Params: slices.Clone(w.template)}
	w.servers = append(w.servers, s)
	return s
}

// then adds a moment in which these events happen.
func (w *world) then(events ...func()) { w.moments = append(w.moments, events) }

// run runs the session to its end and checks what it has left.
func (w *world) run() {
	w.t.Helper()
	if w.set.Memory == nil {
		w.set.Memory = new(Memory)
	}
	w.session = New(w, w.set, w.who, w.client, 77, []byte{1, 2, 3, 4})
	w.err = w.session.Run()
	if len(w.moments) > 0 && !w.t.Failed() {
		w.t.Errorf("the session ended (%v), with %d moments not yet run", w.err, len(w.moments))
	}
	if !w.client.closed || w.session.server != nil {
		w.t.Error("the client's connection, or a server, is still held")
	}
	if n := w.set.Memory.Used(); n != 0 {
		w.t.Errorf("%d bytes are still counted for a client that has left", n)
	}
	kept, prepared := 0, &w.session.statements
	for name, st := range prepared.All() {
		kept += st.Size(name)
	}
	prepared.Unnamed = nil
	same2(w.t, "bytes counted for prepared statements", prepared.Bytes()-prepared.Doubted(), kept)
	for _, s := range append(w.servers, w.client) {
		if s.taken != 0 {
			w.t.Errorf("%d chunks from the %s were not released", s.taken, s.name)
		}
	}
}

// ended checks how the last server has ended, which is in one way, or not at all.
func (w *world) ended(want string) {
	w.t.Helper()
	got := strings.Repeat("returned ", len(w.returned)) + strings.Repeat("discarded ", len(w.discarded)) +
		strings.Repeat("aborted ", len(w.aborted))
	if strings.TrimSpace(got) != want {
		w.t.Errorf("servers were %q, want %q", got, want)
	}
}

func (w *world) Now() time.Time                     { return w.now }
func (w *world) Nodes() *nodes.View                 { return w.view }
func (w *world) Return(s *pool.Server)              { w.returned = append(w.returned, s) }
func (w *world) Discard(s *pool.Server)             { w.discarded = append(w.discarded, s) }
func (w *world) Abort(s *pool.Server)               { w.aborted = append(w.aborted, s) }
func (w *world) Cancel(s *pool.Server, _ time.Time) { w.canceled = append(w.canceled, s) }
func (w *world) Pinned(*pool.Server)                { w.pins++ }
func (w *world) Prove(_ pool.Key, s string)         { w.proven = append(w.proven, s) }
func (w *world) Withdraw()                          { w.withdrawn++ }
func (w *world) Granted() (*pool.Server, error)     { return take(&w.granted), take(&w.refused) }
func (w *world) at(state State)                     { w.same("state", w.session.View().State, state) }
func (w *world) grants(s *side) func()              { return func() { w.granted = s.server } }
func (w *world) refuses(err error) func()           { return func() { w.refused = err } }
func (w *world) passes(d time.Duration) func()      { return func() { w.now = w.now.Add(d) } }
func (w *world) evicts(why *wire.Fault) func()      { return func() { w.session.Evict(why) } }
func (w *world) is(state State) func()              { return func() { w.t.Helper(); w.at(state) } }
func (w *world) same(what string, got, want any)    { w.t.Helper(); same2(w.t, what, got, want) }

func same2(t *testing.T, what string, got, want any) {
	t.Helper()
	if got != want {
		t.Errorf("%s is %v, want %v", what, got, want)
	}
}

func take[T any](p *T) (v T) {
	v, *p = *p, v
	return v
}

func (w *world) Written() (uint64, time.Time)     { return w.written, w.asked2 }
func (w *world) PollPositions()                   { w.chased++ }
func (w *world) Suspect(node int, _ error)        { w.suspected = append(w.suspected, node) }
func (w *world) Licensed() bool                   { return !w.unlicensed }
func (w *world) Wrote()                           { w.lastWrite = w.now }
func (w *world) LastWrite() time.Time             { return w.lastWrite }
func (w *world) Count(int, metrics.Statement)     {}
func (w *world) Replayed(int) (uint64, time.Time) { return w.replayed, w.asked2 }
func (w *world) Holds(node int, pid uint32) bool {
	return slices.Contains(w.holds[pid], node)
}

func (w *world) Known(number uint32) bool {
	if w.known != 0 && number == w.known {
		return false
	}
	w.known = number
	return true
}

func (w *world) Notifier(_ int, pid uint32) (uint32, bool) {
	number, ok := w.notifiers[pid]
	return number, ok
}

func (w *world) Timeouts(pool.Key) pool.Timeouts { return w.timeouts }

func (w *world) Client(number uint32) bool {
	_, ok := w.clients[number]
	return ok
}

func (w *world) Aim(number uint32) (Target, bool) {
	found := w.clients[number]
	found.Release = func(ends bool) { w.released, w.signaled = w.released+1, ends }
	return found, found.PID != 0
}

func (w *world) Chance() float64 { return 0 }

func (w *world) Paused(string) (pool.Pause, bool) { return w.pause, !w.pause.Since.IsZero() }

func (w *world) Candidates() (all []route.Candidate) {
	for _, n := range w.view.Nodes {
		all = append(all, route.Candidate{Index: n.Index, Role: n.Role, Weight: w.weighs(&n), Replayed: w.replayed})
	}
	return all
}

func (w *world) Wait(deadline time.Time) error {
	switch {
	case w.stopped:
		return ErrStopped
	case len(w.moments) > 0:
		events := w.moments[0]
		w.moments = w.moments[1:]
		for _, event := range events {
			event()
		}
		if w.stopped {
			return ErrStopped
		}
	case deadline.IsZero() || w.now.After(deadline):
		w.t.Errorf("the session waits for ever, in state %v", w.session.View().State)
		w.stopped = true
		return ErrStopped
	default:
		w.now = deadline
	}
	return nil
}

func (w *world) Proven(_ pool.Key, s string) bool { return slices.Contains(w.proven, s) }
func (w *world) Offload(f func()) error {
	done := make(chan struct{})
	go func() { // as the worker does: a panic here would end the process
		defer close(done)
		f()
	}()
	<-done
	if w.stopped {
		return ErrStopped
	}
	return nil
}

func (w *world) Checkout(key pool.Key, _ any) *pool.Server {
	w.asked = append(w.asked, key)
	if len(w.free) == 0 {
		return nil
	}
	s := w.free[0]
	w.free = w.free[1:]
	return s
}

// side is the other end of a connection, and the Endpoint that leads there.
type side struct {
	name   string
	server *pool.Server // nil for a client
	cut    wire.Cutter  // cuts what pgherd sends there
	in     [][]byte     // chunks on their way to pgherd
	taken  int          // number of chunks that pgherd holds
	broken error        // the error that follows them
	out    []byte       // what pgherd has sent
	slow   bool         // it reads nothing
	stream []bool
	closed bool

	forwarded int // number of pieces of chunks that were forwarded to it

	asked   bool     // it was asked what a reset has left, and has not answered yet
	residue []string // the last two columns of its answer; nil if nothing is left
}

type sideChunk struct {
	side     *side
	b        []byte
	released bool
}

func (c *sideChunk) Bytes() []byte { return c.b }
func (c *sideChunk) Release() {
	if c.released {
		panic("a chunk was released twice")
	}
	c.released = true
	c.side.taken--
}

func (s *side) Take() wire.Chunk {
	if len(s.in) == 0 {
		return nil
	}
	c := &sideChunk{side: s, b: s.in[0]}
	s.in = s.in[1:]
	s.taken++
	return c
}

func (s *side) Ended() error {
	if len(s.in) > 0 {
		return nil
	}
	return s.broken
}

func (s *side) Left() bool { return s.broken != nil }

func (s *side) Forward(c wire.Chunk, part []byte) {
	if c.(*sideChunk).released {
		panic("a chunk was forwarded after its release")
	}
	s.forwarded++
	s.Write(part)
}

func (s *side) Write(p []byte) {
	if s.closed {
		panic("something was sent to a closed " + s.name)
	}
	if bytes.Contains(p, []byte("s.temporary AND")) {
		s.asked = true
		return
	}
	s.out = append(s.out, p...)
}

// answered adds the answer to the question for what a reset has left to what the server says, once
// that ends the reset.
func (s *side) answered(said []byte) []byte {
	last := len(said) - len(ready)
	if !s.asked || last < 0 || said[last] != ready[0] {
		return said
	}
	s.asked = false
	row := append([]string{"f"}, s.residue...)
	row = append(row, "f", "f")[:3]
	return slices.Concat(said, wire.AppendTextColumns(nil, "seed", "left", "holds"), wire.AppendTextRow(nil, row...), complete("SELECT 1"), said[last:])
}

func (s *side) Queued() int {
	if s.slow {
		return len(s.out)
	}
	return 0
}

func (s *side) TellSends()     {}
func (s *side) Stream(on bool) { s.stream = append(s.stream, on) }
func (s *side) Close()         { s.closed = true }

// says is the event that these bytes arrive from there, in one piece.
func (s *side) says(messages ...[]byte) func() {
	return func() { s.in = append(s.in, s.answered(slices.Concat(messages...))) }
}

// hangs is the event that nothing more comes, or that the connection breaks.
func (s *side) hangs(why error) func() { return func() { s.broken = why } }

// leaves is the event that it closes its side of the connection.
func (s *side) leaves() func() { return s.hangs(io.EOF) }

// gets checks, as an event or at the end, that exactly this has arrived there since the last check.
func (s *side) gets(t *testing.T, want ...string) func() {
	return func() {
		t.Helper()
		got := describe(&s.cut, s.out)
		s.out = nil
		if text := strings.Join(got, "\n"); text != strings.Join(want, "\n") {
			t.Errorf("%s got:\n  %s\nwant:\n  %s", s.name, strings.Join(got, "\n  "), strings.Join(want, "\n  "))
		}
	}
}

// describe writes messages as text, one a line.
func describe(cut *wire.Cutter, p []byte) (lines []string) {
	for len(p) > 0 {
		m, rest, err := cut.Next(p)
		if p = rest; err != nil {
			return append(lines, err.Error())
		}
		if m.First && m.Last {
			lines = append(lines, strings.TrimSpace(m.Kind.String()+" "+detail(m)))
		} else if m.First {
			lines = append(lines, m.Kind.String()+" in pieces")
		}
	}
	return lines
}

// detail distinguishes a message from others of its kind.
func detail(m wire.Message) string {
	switch m.Kind {
	case wire.ErrorResponse, wire.NoticeResponse:
		f := wire.ViewFault(m.Body())
		return f.Severity + " " + f.Code
	case wire.ReadyForQuery, wire.Query, wire.CopyData, wire.CopyRow:
		return strings.TrimRight(string(m.Body()), "\x00")
	case wire.CommandComplete, wire.ParameterStatus:
		return strings.ReplaceAll(strings.TrimRight(string(m.Body()), "\x00"), "\x00", "=")
	case wire.DataRow:
		v, _ := wire.ViewDataRow(m.Body())
		var values []string
		for value := range v.Values.All() {
			values = append(values, string(value))
		}
		return strings.Join(values, ",")
	}
	return ""
}

// Short messages.
var (
	ready     = wire.AppendReadyForQuery(nil, wire.Idle)
	terminate = wire.AppendTerminate(nil)
	syncs     = wire.AppendSync(nil)
	selected  = slices.Concat(wire.AppendTextColumns(nil, "a"), wire.AppendTextRow(nil, "1"), complete("SELECT 1"), ready)
	execute   = slices.Concat(wire.AppendBind(nil, &wire.BindView{}), wire.AppendExecute(nil, "", 0))
)

var selectedText = []string{"RowDescription", "DataRow 1", "CommandComplete SELECT 1", "ReadyForQuery I"}

func simple(sql string) []byte   { return wire.AppendQuery(nil, sql) }
func parse(sql string) []byte    { return wire.AppendParse(nil, "", sql, nil) }
func complete(tag string) []byte { return wire.AppendCommandComplete(nil, tag) }
func fault(severity, code string) []byte {
	return wire.AppendError(nil, &wire.Fault{Severity: severity, Code: code, Message: "asked for"})
}

// done is the answer to a statement outside of a transaction.
func done(tag string) []byte { return append(complete(tag), ready...) }

// greeting is what the client gets at its log-in.
var greeting = []string{"Authentication", "ParameterStatus TimeZone=UTC", "BackendKeyData", "ReadyForQuery I"}

// greeted begins with a log-in that needs no server.
func (w *world) greeted(events ...func()) {
	w.then(append([]func(){w.client.gets(w.t, greeting...)}, events...)...)
}

// quits is bows for a test that does not check what the server has got before.
func (w *world) quits(s *side) {
	w.then(w.client.says(terminate), func() { s.out = nil })
	w.then(s.gets(w.t, "Query DISCARD ALL"), s.says(done("DISCARD ALL")))
}

// bows ends the session with a Terminate and the reset of the server.
func (w *world) bows(s *side) {
	w.then(w.client.says(terminate))
	w.then(s.gets(w.t, "Query DISCARD ALL"), s.says(done("DISCARD ALL")))
}

func (w *world) Template(k pool.Key) ([]wire.Param, *pool.Admission, bool) {
	if k.Node < 0 {
		return nil, nil, false
	}
	return w.template, w.admission, !w.stale
}

func (w *world) Proved(_ pool.Target, on *pool.Admission) bool { return !w.stale && !on.Over() }
func (w *world) Claim(pool.Target) bool                        { return !w.claimed }
func (w *world) Doubt()                                        { w.doubts++ }

func (w *world) Vacate(database string, stay bool) (int, func(), error) {
	w.vacated = append(w.vacated, database)
	if w.users > 0 && !stay {
		return w.users, func() {}, nil
	}
	w.held++
	return 0, func() { w.held-- }, nil
}

func (w *world) SendAway(database string) { w.sentAway = append(w.sentAway, database) }

func (w *world) Vouch(s *pool.Server) func(pool.Finding) bool {
	primary := w.view.Primary()
	return func(f pool.Finding) bool {
		w.findings = append(w.findings, f)
		same := f.Admit(s.Admission) == s.Admission
		if primary == nil || primary.Index != s.Key.Node {
			return same
		}
		if w.stale = false; !same {
			s.Admission.End()
		}
		return same
	}
}
