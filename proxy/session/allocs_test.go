package session

import (
	"bytes"
	"iter"
	"slices"
	"testing"
	"time"

	"pgherd/proxy/metrics"
	"pgherd/proxy/nodes"
	"pgherd/proxy/pool"
	"pgherd/proxy/route"
	"pgherd/proxy/wire"
)

// bench is a loop and both endpoints. They allocate no memory, so that all allocations are the
// session's.
type bench struct {
	yield      func(struct{}) bool
	now        time.Time
	server     *pool.Server
	view       nodes.View
	candidates []route.Candidate
}

func (b *bench) Now() time.Time                 { return b.now }
func (b *bench) Offload(f func()) error         { f(); return nil }
func (b *bench) Granted() (*pool.Server, error) { return nil, nil }
func (b *bench) Withdraw()                      {}
func (b *bench) Return(*pool.Server)            {}
func (b *bench) Abort(*pool.Server)             {}
func (b *bench) Cancel(*pool.Server, time.Time) {}
func (b *bench) Pinned(*pool.Server)            {}
func (b *bench) Prove(pool.Key, string)         {}
func (b *bench) Proven(pool.Key, string) bool   { return false }
func (b *bench) Discard(*pool.Server)           {}
func (b *bench) Template(pool.Key) ([]wire.Param, *pool.Admission, bool) {
	return []wire.Param{{Name: "a", Value: "b"}}, nil, true
}
func (b *bench) Proved(pool.Target, *pool.Admission) bool { return true }
func (b *bench) Vouch(*pool.Server) func(pool.Finding) bool {
	return func(pool.Finding) bool { return true }
}
func (b *bench) Vacate(string, bool) (int, func(), error) { return 0, func() {}, nil }
func (b *bench) SendAway(string)                          {}
func (b *bench) Claim(pool.Target) bool                   { return true }
func (b *bench) Doubt()                                   {}
func (b *bench) Paused(string) (pool.Pause, bool)         { return pool.Pause{}, false }

func (b *bench) Candidates() []route.Candidate {
	b.candidates = append(b.candidates[:0], route.Candidate{Role: nodes.Primary}, route.Candidate{Index: 1, Role: nodes.Standby, Weight: 1})
	return b.candidates
}
func (b *bench) Checkout(key pool.Key, _ any) *pool.Server {
	b.server.Key = key
	return b.server
}
func (b *bench) Written() (uint64, time.Time)        { return 0, b.now }
func (b *bench) PollPositions()                      {}
func (b *bench) Suspect(int, error)                  {}
func (b *bench) Wrote()                              {}
func (b *bench) LastWrite() time.Time                { return b.now }
func (b *bench) Count(int, metrics.Statement)        {}
func (b *bench) Replayed(int) (uint64, time.Time)    { return 0, b.now }
func (b *bench) Holds(int, uint32) bool              { return false }
func (b *bench) Timeouts(pool.Key) (t pool.Timeouts) { return t }
func (b *bench) Client(uint32) bool                  { return false }
func (b *bench) Aim(uint32) (t Target, ok bool)      { return t, false }
func (b *bench) Known(uint32) bool                   { return true }
func (b *bench) Notifier(int, uint32) (uint32, bool) { return 0, false }
func (b *bench) Chance() float64                     { return 0 }
func (b *bench) Nodes() *nodes.View                  { return &b.view }
func (b *bench) Licensed() bool                      { return true }
func (b *bench) Wait(time.Time) (err error) {
	if !b.yield(struct{}{}) {
		err = ErrStopped
	}
	return err
}

// still is an endpoint that gives the same chunk again and again, and counts what is sent to it.
type still struct {
	bytes []byte
	full  bool
	sent  int
}

func (e *still) Take() wire.Chunk {
	if !e.full {
		return nil
	}
	e.full = false
	return e
}

func (e *still) Bytes() []byte                     { return e.bytes }
func (e *still) Release()                          {}
func (e *still) Ended() error                      { return nil }
func (e *still) Left() bool                        { return false }
func (e *still) Forward(_ wire.Chunk, part []byte) { e.sent += len(part) }
func (e *still) Write(p []byte)                    { e.sent += len(p) }
func (e *still) Queued() int                       { return 0 }
func (e *still) TellSends()                        {}
func (e *still) Stream(bool)                       {}
func (e *still) Close()                            {}

// newBench makes a session that has its server, and a function that relays one round of messages
// between the client and the server.
func newBench(tb testing.TB, c *benchRound) (round func()) {
	b := &bench{now: time.Unix(1_000_000_000, 0)}
	b.view.Nodes = []nodes.Node{{Role: nodes.Primary, Status: nodes.Up}}
	request, reply := c.request, c.reply
	client, server := &still{}, &still{}
	b.server = &pool.Server{Endpoint: server}
	set := sharing(c.mode)
	set.ClientIdle = time.Hour
	if c.routed {
		set.Routing = &Routing{Rules: route.Settings{Balance: true, OnWrite: route.Transaction}, Balance: route.Balance{Policy: route.Policies["weight"]},
			PerStatement: true, Consistency: route.Own}
	}
	s := New(b, &set, Client{Target: pool.Target{Database: "app"}}, client, 1, nil)
	resume, stop := iter.Pull(func(yield func(struct{}) bool) {
		b.yield = yield
		_ = s.Run()
	})
	tb.Cleanup(stop)
	resume()
	say := func(request, reply []byte) {
		client.bytes, server.bytes = request, reply
		client.full = true
		resume()
		server.full = true
		resume()
	}
	if c.before != nil {
		say(c.before, append(wire.AppendParseComplete(nil), ready...))
	}
	return func() {
		sent, told := server.sent, client.sent
		say(request, reply)
		asked := len(request)
		if c.before != nil { // the server knows it by a name of pgherd's
			asked += len("pgherd_1") - len("s1")
		}
		if server.sent-sent != asked || client.sent-told != len(reply) || s.state != Idle {
			tb.Fatalf("the server got %d bytes of %d, the client %d of %d; the session's state is %v", server.sent-sent, asked, client.sent-told, len(reply), s.state)
		}
	}
}

// benchRound has the messages of one round, which is repeated, and those before the first round.
type benchRound struct {
	mode                   pool.Mode
	routed                 bool // reads go to a standby
	before, request, reply []byte
}

var rounds = func() map[string]benchRound {
	extended := append(append(parse("select 1"), execute...), syncs...)
	answer := append(append(wire.AppendParseComplete(nil), wire.AppendBindComplete(nil)...), done("SELECT 1")...)
	named := append(wire.AppendBind(nil, &wire.BindView{Statement: []byte("s1")}), wire.AppendExecute(nil, "", 0)...)
	return map[string]benchRound{
		"simple":   {request: simple("select 1"), reply: selected},
		"extended": {request: extended, reply: answer},
		"a thousand rows": {request: simple("select 1"), reply: slices.Concat(wire.AppendTextColumns(nil, "a"),
			bytes.Repeat(wire.AppendTextRow(nil, "1", "some more text of a row"), 1000), complete("SELECT 1000"), ready)},
		"simple, shared":               {mode: pool.Transaction, request: simple("select 1"), reply: selected},
		"simple, routed":               {mode: pool.Transaction, routed: true, request: simple("select 1"), reply: selected},
		"prepared, routed":             {mode: pool.Transaction, routed: true, before: append(wire.AppendParse(nil, "s1", "select 1", nil), syncs...), request: append(named, syncs...), reply: append(wire.AppendBindComplete(nil), done("SELECT 1")...)},
		"simple, routed, session mode": {routed: true, request: simple("select 1"), reply: selected},
		"prepared, shared":             {mode: pool.Transaction, before: append(wire.AppendParse(nil, "s1", "select 1", nil), syncs...), request: append(named, syncs...), reply: append(wire.AppendBindComplete(nil), done("SELECT 1")...)},
	}
}()

// TestNoAllocations checks that relaying a query allocates no memory, in the simple and in the
// extended protocol.
func TestNoAllocations(t *testing.T) {
	for name, c := range rounds {
		t.Run(name, func(t *testing.T) {
			round := newBench(t, &c)
			round() // the first round checks out the server
			if n := testing.AllocsPerRun(1000, round); n != 0 {
				t.Errorf("got %v allocations, want none", n)
			}
		})
	}
}

func BenchmarkRound(b *testing.B) {
	for name, c := range rounds {
		b.Run(name, func(b *testing.B) {
			round := newBench(b, &c)
			b.ReportAllocs()
			for b.Loop() {
				round()
			}
		})
	}
}
