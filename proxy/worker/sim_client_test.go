package worker

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"

	"pgherd/proxy/pool"
	"pgherd/proxy/ring/ringtest"
	"pgherd/proxy/wire"
)

// simClient is an application. It sends rounds of requests, pipelined or one by one, and compares
// what it gets with the answers of a PostgreSQL model of its own.
type simClient struct {
	id       int
	database string
	peer     *ringtest.Peer
	rounds   [][]byte
	eager    bool // it does not wait for answers
	vanish   int  // it closes after so many bytes sent; 0: it sends Terminate
	rude     bool // it closes by a reset
	model    *postgres
	sent     int
	greeted  bool
	pid      uint32
	key      []byte
	got      []byte // bytes not yet compared
	done     bool
	came     int      // the version of what log-ins rest on when its log-in began
	breaking bool     // servers and connections break, so that an error and then the end are right
	cancels  int      // number of cancels it has sent that are not answered
	cancel   bool     // it has sent a cancel
	doubts   bool     // the message that differs from the model's has not arrived as a whole
	loss     *simLoss // what lost servers may do to it; nil: servers are not lost
	struck   bool     // a cancel has struck, after which the right answers are not known
}

// simRound makes the n-th round of requests of a client, which it sends before it waits.
type simRound func(id, n int) []byte

// simSettings are about what a session sets and prepares.
var simSettings = []simRound{
	func(id, n int) []byte { return simple(id, "BEGIN", 0) },
	func(id, n int) []byte { return simple(id, "COMMIT", 0) },
	func(id, n int) []byte { return simple(id, "ROLLBACK", 0) },
	func(id, n int) []byte { return simple(id, "SET", n) },
	func(id, n int) []byte { return simple(id, "SET", n) },
	func(id, n int) []byte { return simple(id, "SHOW", n) },
	func(id, n int) []byte { return simple(id, "SHOW", n) },
	func(id, n int) []byte { return simple(id, "STYLE", n%3) },
	func(id, n int) []byte { return simple(id, "LOCAL", n%3) },
	func(id, n int) []byte { return wire.AppendSync(extended(id, "MEAN", n%3)) },
	func(id, n int) []byte { // a statement that many clients prepare, each under its own settings
		return wire.AppendSync(wire.AppendParse(nil, name(n%3), sql(0, "MEAN", n%2), nil))
	},
	func(id, n int) []byte { return wire.AppendSync(wire.AppendParse(nil, "", sql(0, "MEAN", n%2), nil)) },
	func(id, n int) []byte { return simple(id, "FUNC", n) },
	func(id, n int) []byte { return simple(id, "TEMP", n) },
	func(id, n int) []byte { return simple(id, "DROP", n) },
	func(id, n int) []byte { return wire.AppendQuery(nil, "DISCARD ALL") },
	func(id, n int) []byte { return wire.AppendSync(extended(id, "SET", n)) },
	func(id, n int) []byte { return wire.AppendSync(extended(id, "SHOW", n)) },
	func(id, n int) []byte { // a setting that is rolled back with the statement that fails
		return wire.AppendSync(append(extended(id, "SET", n), extended(id, "ERR", 0)...))
	},
	func(id, n int) []byte { return wire.AppendSync(executed(name(n % 3))) },
	func(id, n int) []byte { return wire.AppendSync(executed(name(n % 3))) },
	func(id, n int) []byte { return wire.AppendSync(executed("")) },
	func(id, n int) []byte { // a Close and a Parse of the same name, both skipped after an error
		b := append(extended(id, "ERR", 0), wire.AppendClose(nil, 'S', name(1))...)
		return wire.AppendSync(append(b, named(1, id, "ROWS", n%3)...))
	},
	func(id, n int) []byte { return wire.AppendSync(named(n%2, 0, "PARSEERR", 0)) },
	func(id, n int) []byte { // a setting that a pipelined ROLLBACK takes back
		return slices.Concat(simple(id, "BEGIN", 0), simple(id, "SET", n), simple(id, "ROLLBACK", 0))
	},
	func(id, n int) []byte { // a SET that is bound and not executed, so that it sets nothing
		b := wire.AppendParse(nil, "", sql(id, "SET", n), nil)
		return wire.AppendSync(wire.AppendBind(b, &wire.BindView{}))
	},
}

// simMeaning is about statements that are prepared under settings. Clients wait for each answer, and
// nothing is uncertain: as long as pgherd has to ask what is set, it may prepare a statement under
// other settings.
var simMeaning = []simRound{
	func(id, n int) []byte { return simple(id, "STYLE", n%3) },
	func(id, n int) []byte { return wire.AppendSync(named(n%2, 0, "MEAN", 0)) },
	func(id, n int) []byte { return wire.AppendSync(wire.AppendParse(nil, "", sql(0, "MEAN", 0), nil)) },
	func(id, n int) []byte { return wire.AppendSync(executed("")) },
	func(id, n int) []byte { return wire.AppendSync(executed(name(n % 2))) },
	func(id, n int) []byte { return simple(id, "BEGIN", 0) },
	func(id, n int) []byte { return simple(id, "COMMIT", 0) },
	func(id, n int) []byte { return simple(id, "ROLLBACK", 0) },
	func(id, n int) []byte { return simple(id, "SET", n%3) },
	func(id, n int) []byte { return simple(id, "SHOW", 0) },
	func(id, n int) []byte { return wire.AppendQuery(simple(id, "SET", 7), "DISCARD ALL") },
}

// simRollbacks set something in blocks, and roll it back.
var simRollbacks = []simRound{
	func(id, n int) []byte { return simple(id, "BEGIN", 0) },
	func(id, n int) []byte { return simple(id, "SET", n%3) },
	func(id, n int) []byte { return simple(id, "SET", n%3) },
	func(id, n int) []byte { return simple(id, "ROLLBACK", 0) },
	func(id, n int) []byte { return simple(id, "ROLLBACK", 0) },
	func(id, n int) []byte { return simple(id, "COMMIT", 0) },
	func(id, n int) []byte { return simple(id, "SHOW", 0) },
	func(id, n int) []byte { return simple(id, "SHOW", 0) },
}

// simPrepared is about statements that many clients have prepared, on servers that forget them.
var simPrepared = []simRound{
	func(id, n int) []byte {
		return wire.AppendSync(wire.AppendParse(nil, name(n%2), sql(0, "MEAN", n%2), nil))
	},
	func(id, n int) []byte {
		return wire.AppendSync(wire.AppendParse(nil, name(n%2), sql(0, "MEAN", n%2), nil))
	},
	func(id, n int) []byte { return wire.AppendSync(executed(name(n % 2))) },
	func(id, n int) []byte { return wire.AppendSync(executed(name(n % 2))) },
	func(id, n int) []byte { return wire.AppendSync(executed(name(n % 2))) },
	func(id, n int) []byte { return simple(id, "ROWS", n%3) },
	func(id, n int) []byte { return simple(id, "TEMP", n) },
	func(id, n int) []byte { return simple(id, "BEGIN", 0) },
	func(id, n int) []byte { return simple(id, "COMMIT", 0) },
	func(id, n int) []byte { return wire.AppendQuery(nil, "DISCARD ALL") },
}

// simDefinitions is about what a function does, which any client may redefine.
var simDefinitions = []simRound{
	func(id, n int) []byte { return simple(id, "DEFINE", n) },
	func(id, n int) []byte { return wire.AppendSync(extended(id, "DEFINE", n)) },
	func(id, n int) []byte { return simple(id, "RUN", n) },
	func(id, n int) []byte { return simple(id, "RUN", n) },
	func(id, n int) []byte { return wire.AppendSync(extended(id, "RUN", n)) },
	func(id, n int) []byte { return wire.AppendSync(named(n%2, id, "RUN", n%2)) },
	func(id, n int) []byte { return wire.AppendSync(executed(name(n % 2))) },
	func(id, n int) []byte { return simple(id, "ROWS", n%3) },
	func(id, n int) []byte { return simple(id, "SHOW", 0) },
	func(id, n int) []byte { return simple(id, "BEGIN", 0) },
	func(id, n int) []byte { return simple(id, "COMMIT", 0) },
	func(id, n int) []byte { return simple(id, "ROLLBACK", 0) },
	func(id, n int) []byte { return slices.Concat(simple(id, "DEFINE", n), simple(id, "RUN", n)) },
	func(id, n int) []byte {
		return slices.Concat(simple(id, "BEGIN", 0), simple(id, "DEFINE", n), simple(id, "COMMIT", 0), simple(id, "RUN", n))
	},
	func(id, n int) []byte {
		return wire.AppendSync(append(extended(id, "DEFINE", n), extended(id, "ERR", 0)...))
	},
	func(id, n int) []byte { return wire.AppendQuery(nil, "DISCARD ALL") },
}

// simRounds are all rounds, of simSettings and others.
var simRounds = append([]simRound{
	func(id, n int) []byte { return wire.AppendSync(extended(id, "BEGIN", 0)) },
	func(id, n int) []byte {
		return wire.AppendSync(append(extended(id, "BEGIN", 0), extended(id, "ROWS", n%5)...))
	},
	func(id, n int) []byte {
		return wire.AppendSync(append(extended(id, "BEGIN", 0), extended(id, "SET", n)...))
	},
	func(id, n int) []byte { return wire.AppendSync(extended(id, "COMMIT", 0)) },
	func(id, n int) []byte { // a BEGIN that is bound and not executed
		b := wire.AppendBind(wire.AppendParse(nil, "", sql(id, "BEGIN", 0), nil), &wire.BindView{})
		if n%2 == 0 {
			b = append(b, extended(id, "ROWS", 1)...)
		}
		return wire.AppendSync(b)
	},
	func(id, n int) []byte { // prepared by name
		b := wire.AppendParse(wire.AppendClose(nil, 'S', name(5)), name(5), sql(id, "BEGIN", 0), nil)
		b = wire.AppendDescribe(wire.AppendSync(b), 'S', name(5))
		return wire.AppendSync(append(b, executed(name(5))...))
	},
	func(id, n int) []byte { return simple(id, "ROWS", n%20) },
	func(id, n int) []byte { return simple(id, "ROWS", n%5) },
	func(id, n int) []byte { return simple(id, "ERR", 0) },
	func(id, n int) []byte { return simple(id, "BIG", n*8) },
	func(id, n int) []byte { return simple(id, "NOTICE", 0) },
	func(id, n int) []byte { return simple(id, "COPYOUT", n) },
	func(id, n int) []byte { return wire.AppendQuery(nil, "") },
	func(id, n int) []byte { return wire.AppendSync(nil) },
	func(id, n int) []byte {
		return wire.AppendCopyDone(append(simple(id, "COPYIN", 0), copyRows(n)...))
	},
	func(id, n int) []byte { // a copy that fails in the middle; the rest of its data is ignored
		b := wire.AppendCopyData(append(simple(id, "COPYIN", 0), copyRows(n%4)...), "BAD")
		return wire.AppendCopyDone(append(b, copyRows(n%3)...))
	},
	func(id, n int) []byte { return wire.AppendCopyFail(simple(id, "COPYIN", 0), "no more") },
	func(id, n int) []byte {
		return wire.AppendFunctionCall(nil, &wire.FunctionCallView{Function: uint32(n)})
	},
	func(id, n int) []byte { return wire.AppendSync(extended(id, "ROWS", n)) },
	func(id, n int) []byte { // a pipeline that fails in the middle; the rest is skipped
		b := append(extended(id, "ROWS", n), extended(id, "ERR", 0)...)
		return wire.AppendSync(append(b, extended(id, "ROWS", 3)...))
	},
	func(id, n int) []byte {
		return wire.AppendSync(append(extended(id, "PARSEERR", 0), extended(id, "ROWS", 1)...))
	},
	func(id, n int) []byte { // a simple BEGIN before the extended sequence is finished
		b := append(extended(id, "ROWS", 1), simple(id, "BEGIN", 0)...)
		return wire.AppendSync(append(b, extended(id, "ROWS", 2)...))
	},
	func(id, n int) []byte { // a copy as libpq sends it: a Sync at once, which is ignored, and another at the end
		b := append(wire.AppendSync(extended(id, "COPYIN", 0)), copyRows(n)...)
		return forgotten(wire.AppendSync(wire.AppendCopyDone(b)))
	},
	func(id, n int) []byte {
		b := append(extended(id, "COPYIN", 0), copyRows(n)...)
		return forgotten(wire.AppendSync(append(wire.AppendCopyData(b, "BAD"), wire.AppendCopyDone(nil)...)))
	},
	func(id, n int) []byte { return wire.AppendFlush(extended(id, "ROWS", n)) },
	func(id, n int) []byte { return wire.AppendSync(named(n%3, id, "ROWS", n%7)) },
	func(id, n int) []byte { return wire.AppendSync(wire.AppendParse(nil, "", sql(0, "ROWS", n%3), nil)) },
	func(id, n int) []byte { // a text that other clients prepare, too
		return wire.AppendSync(wire.AppendParse(nil, name(n%3), sql(0, "ROWS", n%3), nil))
	},
	func(id, n int) []byte { return wire.AppendSync(executed(name(n % 3))) },
	func(id, n int) []byte { return wire.AppendSync(executed(name(n % 3))) },
	func(id, n int) []byte { return wire.AppendSync(executed("")) },
	func(id, n int) []byte { return wire.AppendSync(wire.AppendClose(nil, 'S', name(n%3))) },
	func(id, n int) []byte { return wire.AppendSync(wire.AppendDescribe(nil, 'S', name(n%3))) },
	func(id, n int) []byte { // a long Bind, of which only the beginning is parsed
		long := wire.MakeValues(make([]byte, 70_000))
		b := wire.AppendBind(nil, &wire.BindView{Statement: []byte(name(n % 3)), Params: long})
		return wire.AppendSync(wire.AppendExecute(b, "", 0))
	},
}, simSettings...)

func name(n int) string { return fmt.Sprint("s", n) }

func sql(id int, verb string, n int) string { return fmt.Sprintf("%d %s %d", id, verb, n) }

// named prepares a statement and executes it.
func named(n, id int, verb string, k int) []byte {
	return append(wire.AppendParse(nil, name(n), sql(id, verb, k), nil), executed(name(n))...)
}

// forgotten closes the unnamed statement, because a client that executed it again would owe another
// copy its data.
func forgotten(b []byte) []byte { return wire.AppendSync(wire.AppendClose(b, 'S', "")) }

func executed(statement string) []byte {
	b := wire.AppendBind(nil, &wire.BindView{Statement: []byte(statement)})
	return wire.AppendExecute(b, "", 0)
}

func simple(id int, verb string, n int) []byte {
	return wire.AppendQuery(nil, fmt.Sprintf("%d %s %d", id, verb, n))
}

func extended(id int, verb string, n int) []byte {
	b := wire.AppendParse(nil, "", fmt.Sprintf("%d %s %d", id, verb, n), nil)
	b = wire.AppendBind(b, &wire.BindView{})
	b = wire.AppendDescribe(b, 'P', "")
	return wire.AppendExecute(b, "", 0)
}

func copyRows(n int) (b []byte) {
	for i := range n {
		b = wire.AppendCopyData(b, fmt.Sprint("row ", i))
	}
	return b
}

func newSimClient(id int, peer *ringtest.Peer, random *rand.Rand, mode pool.Mode, rounds []simRound, patient bool, apart int) *simClient {
	c := &simClient{id: id, peer: peer, model: newPostgres(true), eager: random.IntN(2) == 0 && !patient}
	most := 12
	if patient {
		most = 40
	}
	for range random.IntN(most) {
		round := rounds[random.IntN(len(rounds))](id, random.IntN(40)+apart*len(c.rounds))
		if mode == pool.Statement && bytes.Contains(round, []byte(" BEGIN ")) {
			continue // it would be refused, which another test checks
		}
		c.rounds = append(c.rounds, round)
	}
	if random.IntN(4) == 0 {
		c.vanish, c.rude = 1+random.IntN(400), random.IntN(2) == 0
	}
	return c
}

// act does one thing: it reads and compares, and perhaps sends. An error is a finding.
func (c *simClient) act(random *rand.Rand) error {
	if c.done {
		return nil
	}
	c.got = append(c.got, c.peer.ReadSome(1+random.IntN(5000))...)
	if err := c.compare(); err != nil {
		return err
	}
	if why := c.peer.Closed(); why != nil && c.peer.Arrived() == 0 {
		c.done = true
		return c.ended(why)
	}
	if !c.greeted || random.IntN(3) == 0 {
		return nil
	}
	if !c.eager && (len(c.model.out) > 0 || c.loss.waits()) {
		return nil
	}
	c.send()
	return nil
}

func (c *simClient) send() {
	if len(c.rounds) == 0 {
		if c.sent >= 0 && c.vanish == 0 {
			c.write(wire.AppendTerminate(nil))
		} else if c.sent >= 0 {
			c.peer.CloseWrite()
		}
		c.sent = -1
		return
	}
	round := c.rounds[0]
	c.rounds = c.rounds[1:]
	if c.vanish > 0 && c.sent+len(round) >= c.vanish {
		round = round[:c.vanish-c.sent]
		c.write(round)
		if c.rude {
			c.peer.Reset()
			c.done = true
		} else {
			c.peer.CloseWrite()
		}
		c.sent, c.rounds = -1, nil
		return
	}
	c.sent += len(round)
	c.write(round)
}

func (c *simClient) write(b []byte) {
	if c.loss != nil {
		c.loss.sends(b, len(c.model.out) > 0)
	} else {
		c.model.feed(b)
	}
	_, _ = c.peer.Write(b)
}

// compare removes what agrees with the model from both sides.
func (c *simClient) compare() error {
	if !c.greeted && !c.greet() {
		return nil
	}
	if c.loss != nil {
		return c.compareWithLosses()
	}
	if c.strikes(); c.struck || c.doubts {
		return nil
	}
	n := min(len(c.got), len(c.model.out))
	if (len(c.got) > n || !bytes.Equal(c.got[:n], c.model.out[:n])) && !c.farewell() {
		at := messages(c.got[:alike(c.got, c.model.out)])
		return fmt.Errorf("client %d got %q, wants %q", c.id, clip(c.got[at:]), clip(c.model.out[at:]))
	}
	if bytes.Equal(c.got[:n], c.model.out[:n]) {
		n = messages(c.got[:n])
		c.got, c.model.out = c.got[n:], c.model.out[n:]
	}
	return nil
}

// messages is the length of the whole messages at the beginning of b.
func messages(b []byte) (n int) {
	for len(b)-n >= wire.HeaderLen {
		next := n + 1 + int(binary.BigEndian.Uint32(b[n+1:]))
		if next > len(b) {
			break
		}
		n = next
	}
	return n
}

// farewell says whether the difference is an error with which pgherd ends the session. That is right
// only if a server broke, and only between two messages.
func (c *simClient) farewell() bool {
	rest := c.got[messages(c.got[:alike(c.got, c.model.out)]):]
	return c.breaking && len(rest) > 0 && rest[0] == 'E' && startsFatal(rest[1:])
}

// strikes finds out whether the difference is the error of a statement that was canceled.
func (c *simClient) strikes() {
	rest := c.got[messages(c.got[:alike(c.got, c.model.out)]):]
	c.doubts = c.cancel && len(rest) > 0 && rest[0] == 'E' && messages(rest) == 0
	if c.cancel && len(rest) > 0 && rest[0] == 'E' && !c.doubts {
		cut := wire.CutReplies()
		m, _, err := cut.Next(rest)
		c.struck = c.struck || err == nil && wire.ViewFault(m.Body()).Code == "57014"
	}
	if c.struck {
		c.got, c.model.out = nil, nil
	}
}

// alike is the length of the common beginning of a and b.
func alike(a, b []byte) (n int) {
	for n < min(len(a), len(b)) && a[n] == b[n] {
		n++
	}
	return n
}

// startsFatal says whether the bytes that have arrived after an 'E' may be a FATAL error.
func startsFatal(b []byte) bool {
	const fields = "SFATAL\x00"
	if len(b) <= 4 {
		return true
	}
	b = b[4:]
	n := min(len(b), len(fields))
	return string(b[:n]) == fields[:n]
}

// greet reads the end of the log-in.
func (c *simClient) greet() bool {
	ready := wire.AppendReadyForQuery(nil, wire.Idle)
	end := bytes.Index(c.got, ready)
	if end < 0 {
		c.farewell()
		return false
	}
	cut := wire.CutReplies()
	for p := c.got[:end]; len(p) > 0; {
		m, rest, err := cut.Next(p)
		if err != nil {
			return false
		}
		if p = rest; m.Kind == wire.BackendKeyData {
			v, _ := wire.ViewBackendKeyData(m.Body())
			c.pid, c.key = v.PID, bytes.Clone(v.Key)
		}
	}
	c.greeted = true
	c.got = c.got[end+len(ready):]
	return true
}

// ended checks whether the client was told why its connection ended.
func (c *simClient) ended(why error) error {
	if c.loss != nil {
		return c.loss.ended(c, why)
	}
	if c.sent >= 0 && !c.breaking {
		return fmt.Errorf("client %d was closed (%v) without being told a reason; unread bytes %q", c.id, why, clip(c.got))
	}
	return nil
}

func clip(b []byte) []byte { return b[:min(len(b), 80)] }
