package session

import (
	"bytes"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"pgherd/proxy/nodes"
	"pgherd/proxy/pool"
	"pgherd/proxy/wire"
)

// movingWorld has a session of this mode that may go on with another of these servers.
func movingWorld(t *testing.T, mode pool.Mode) (*world, []*side) {
	w, s := sharingWorld(t, 3)
	w.set.Modes.Default, w.set.FailoverWait = mode, 30*time.Second
	return w, s
}

// hears checks what the client has got since the last check.
func (w *world) hears(want ...string) func() { return w.client.gets(w.t, want...) }

// lostServer is what a client has asked for when its server is lost, and what it gets then.
type lostServer struct {
	before  [][]byte // requests of the client, each with its answer
	asks    []byte   // its request when the server is lost
	told    []byte   // what the server answers before it is lost
	hears   []string
	then    []byte   // the client's next request
	second  []string // what the next server gets, if there is one
	answers []byte
	hears2  []string
}

var (
	begun = inside("BEGIN")
	read  = "SELECT a FROM t"
	write = "INSERT INTO t VALUES (1)"
)

// dying is what a server says last when another one has crashed.
var dying = func() []byte {
	body := []byte("SWARNING\x00VWARNING\x00C57P02\x00Mterminating connection because of crash of another server process\x00Rquickdie\x00\x00")
	return append([]byte{'N', 0, 0, 0, byte(len(body) + 4)}, body...)
}()

func unnamed(sql string) []byte { return slices.Concat(parse(sql), execute) }

var lostServers = map[string]lostServer{
	"between two transactions": {
		before: [][]byte{simple("SET work_mem TO 5"), done("SET")},
		then:   simple(read), second: []string{"Query SET \"work_mem\" TO '5';", "Query " + read}, answers: append(done("SET"), selected...), hears2: selectedText},
	"a read": {
		asks: simple(read), second: []string{"Query " + read}, answers: selected, hears2: selectedText},
	"a ROLLBACK behind a sequence that it ends": {
		before: [][]byte{simple("BEGIN"), inside("BEGIN"), slices.Concat(unnamed(write), wire.AppendFlush(nil)),
			slices.Concat(wire.AppendParseComplete(nil), wire.AppendBindComplete(nil), complete("INSERT 0 1"))},
		asks: simple("ROLLBACK"), hears: []string{"CommandComplete ROLLBACK", "ReadyForQuery I"}},
	"a read whose end is to come": {
		asks: simple(read), told: selected[:len(selected)-len(ready)],
		hears: []string{"RowDescription", "DataRow 1", "CommandComplete SELECT 1", "ErrorResponse ERROR 40001", "ReadyForQuery I"}},
	"a ROLLBACK whose end is to come": {
		before: [][]byte{simple("BEGIN"), inside("BEGIN"), simple(write), inside("INSERT 0 1")},
		asks:   simple("ROLLBACK"), told: complete("ROLLBACK"), hears: []string{"CommandComplete ROLLBACK", "ReadyForQuery I"}},
	"a read of the extended protocol": {
		asks: slices.Concat(unnamed(read), syncs), second: []string{"Parse " + read, "Bind", "Execute", "Sync"},
		answers: slices.Concat(wire.AppendParseComplete(nil), wire.AppendBindComplete(nil), complete("SELECT 0"), ready),
		hears2:  []string{"ParseComplete", "BindComplete", "CommandComplete SELECT 0", "ReadyForQuery I"}},
	"a read that is answered in part": {
		asks: simple(read), told: selected[:len(selected)-len(ready)-len(complete("SELECT 1"))],
		hears: []string{"RowDescription", "DataRow 1", "ErrorResponse ERROR 40001", "ReadyForQuery I"}},
	"a write":                             {asks: simple(write), hears: []string{"ErrorResponse ERROR 08007", "ReadyForQuery I"}},
	"a call":                              {asks: simple("CALL p()"), hears: []string{"ErrorResponse ERROR 08007", "ReadyForQuery I"}},
	"a function that tells of its server": {asks: simple("SELECT current_setting('a')"), second: []string{"Query SELECT current_setting('a')"}, answers: selected, hears2: selectedText},
	"a function that changes its session": {asks: simple("SELECT setseed(0.5)"), hears: []string{"ErrorResponse ERROR 40001", "ReadyForQuery I"}},
	"a function that draws a number":      {asks: simple("SELECT nextval('s')"), hears: []string{"ErrorResponse ERROR 08007", "ReadyForQuery I"}},
	"a function that tells others":        {asks: simple("SELECT pg_notify('a', 'b')"), hears: []string{"ErrorResponse ERROR 08007", "ReadyForQuery I"}},
	"an unknown function":                 {asks: simple("SELECT strange()"), hears: []string{"ErrorResponse ERROR 08007", "ReadyForQuery I"}},
	"a write whose Sync is on its way": {
		asks: slices.Concat(unnamed(write), syncs), told: slices.Concat(wire.AppendParseComplete(nil), wire.AppendBindComplete(nil), complete("INSERT 0 1")),
		hears: []string{"ParseComplete", "BindComplete", "CommandComplete INSERT 0 1", "ErrorResponse ERROR 08007", "ReadyForQuery I"}},
	"a read whose Sync is on its way": {
		asks: slices.Concat(unnamed(read), syncs), told: slices.Concat(wire.AppendParseComplete(nil), wire.AppendBindComplete(nil), complete("SELECT 0")),
		hears: []string{"ParseComplete", "BindComplete", "CommandComplete SELECT 0", "ErrorResponse ERROR 40001", "ReadyForQuery I"}},
	"inside a block, nothing asked, ROLLBACK": {
		before: [][]byte{simple("BEGIN"), begun}, then: simple("ROLLBACK"), hears2: []string{"CommandComplete ROLLBACK", "ReadyForQuery I"}},
	"inside a block, nothing asked, COMMIT": {
		before: [][]byte{simple("BEGIN"), begun}, then: simple("COMMIT"), hears2: []string{"ErrorResponse ERROR 40001", "ReadyForQuery I"}},
	"inside a block, nothing asked, a statement": {
		before: [][]byte{simple("BEGIN"), begun}, then: simple(read), hears2: []string{"ErrorResponse ERROR 40001", "ReadyForQuery E"}},
	"inside a block, nothing asked, the extended protocol": {
		before: [][]byte{simple("BEGIN"), begun}, then: slices.Concat(unnamed("COMMIT"), syncs), hears2: []string{"ErrorResponse ERROR 40001", "ReadyForQuery E"}},
	"inside a block, a statement": {
		before: [][]byte{simple("BEGIN"), begun}, asks: simple(write), hears: []string{"ErrorResponse ERROR 40001", "ReadyForQuery E"},
		then: simple("COMMIT"), hears2: []string{"CommandComplete ROLLBACK", "ReadyForQuery I"}},
	"inside a block, two statements": {
		before: [][]byte{simple("BEGIN"), begun}, asks: slices.Concat(simple(write), simple(read)),
		hears: []string{"ErrorResponse ERROR 40001", "ReadyForQuery E", "ErrorResponse ERROR 25P02", "ReadyForQuery E"},
		then:  simple("ROLLBACK"), hears2: []string{"CommandComplete ROLLBACK", "ReadyForQuery I"}},
	"a COMMIT": {
		before: [][]byte{simple("BEGIN"), begun}, asks: simple("COMMIT"), hears: []string{"ErrorResponse ERROR 08007", "ReadyForQuery I"}},
	"a COMMIT behind a write": {
		before: [][]byte{simple("BEGIN"), begun}, asks: slices.Concat(simple(write), simple("COMMIT")),
		hears: []string{"ErrorResponse ERROR 08007", "ReadyForQuery I", "ErrorResponse ERROR 08007", "ReadyForQuery I"}},
	"a ROLLBACK behind a write": {
		before: [][]byte{simple("BEGIN"), begun}, asks: slices.Concat(simple(write), simple("ROLLBACK")),
		hears: []string{"ErrorResponse ERROR 40001", "ReadyForQuery E", "CommandComplete ROLLBACK", "ReadyForQuery I"}},
	"a statement that has failed, before its ReadyForQuery": {
		asks: simple(write), told: fault("ERROR", "22012"), hears: []string{"ErrorResponse ERROR 22012", "ReadyForQuery I"}},
	"a statement of a block that has failed, before its ReadyForQuery": {
		before: [][]byte{simple("BEGIN"), begun}, asks: simple(write), told: fault("ERROR", "22012"), hears: []string{"ErrorResponse ERROR 22012", "ReadyForQuery E"},
		then: simple("COMMIT"), hears2: []string{"CommandComplete ROLLBACK", "ReadyForQuery I"}},
	"a sequence that has failed, before its Sync": {
		before: [][]byte{simple("BEGIN"), begun}, asks: slices.Concat(unnamed(write), wire.AppendFlush(nil)), told: fault("ERROR", "22012"), hears: []string{"ErrorResponse ERROR 22012"},
		then: slices.Concat(unnamed(read), syncs), hears2: []string{"ReadyForQuery E"}},
	"a ROLLBACK": {
		before: [][]byte{simple("BEGIN"), begun}, asks: simple("ROLLBACK"), hears: []string{"CommandComplete ROLLBACK", "ReadyForQuery I"}},
	"a COMMIT of a block that has failed": {
		before: [][]byte{simple("BEGIN"), begun, simple("SELECT 1/0"), failed("22012")}, asks: simple("COMMIT"),
		hears: []string{"CommandComplete ROLLBACK", "ReadyForQuery I"}},
	"a write behind a block that has failed": {
		before: [][]byte{simple("BEGIN"), begun, simple("SELECT 1/0"), failed("22012")}, asks: slices.Concat(simple(read), simple("ROLLBACK"), simple(write)),
		hears: []string{"ErrorResponse ERROR 25P02", "ReadyForQuery E", "CommandComplete ROLLBACK", "ReadyForQuery I", "ErrorResponse ERROR 08007", "ReadyForQuery I"}},
	"a COMMIT of the extended protocol, before its ReadyForQuery": {
		before: [][]byte{simple("BEGIN"), begun}, asks: slices.Concat(unnamed("COMMIT"), syncs),
		told:  slices.Concat(wire.AppendParseComplete(nil), wire.AppendBindComplete(nil), complete("COMMIT")),
		hears: []string{"ParseComplete", "BindComplete", "CommandComplete COMMIT", "ErrorResponse ERROR 08007", "ReadyForQuery I"}},
	"a BEGIN of the extended protocol, before its ReadyForQuery": {
		asks: slices.Concat(unnamed("BEGIN"), syncs), told: slices.Concat(wire.AppendParseComplete(nil), wire.AppendBindComplete(nil), complete("BEGIN")),
		hears: []string{"ParseComplete", "BindComplete", "CommandComplete BEGIN", "ErrorResponse ERROR 40001", "ReadyForQuery E"}},
	"a write that a Query commits": {
		asks:  slices.Concat(unnamed(write), wire.AppendFlush(nil), simple("SET work_mem TO 5")),
		told:  slices.Concat(wire.AppendParseComplete(nil), wire.AppendBindComplete(nil), complete("INSERT 0 1")),
		hears: []string{"ParseComplete", "BindComplete", "CommandComplete INSERT 0 1", "ErrorResponse ERROR 08007", "ReadyForQuery I"}},
	"a COPY whose data were sent ahead": {
		asks:  slices.Concat(simple("COPY t FROM STDIN"), wire.AppendCopyData(nil, "1"), wire.AppendCopyDone(nil)),
		hears: []string{"ErrorResponse ERROR 08007", "ReadyForQuery I"}, then: simple(read), second: []string{"Query " + read}, answers: selected, hears2: selectedText},
	"a setting behind which a read is sent": {
		asks: slices.Concat(simple("SET work_mem TO 5"), simple(read)), told: done("SET"), then: simple(read),
		hears:  []string{"CommandComplete SET", "ReadyForQuery I", "ErrorResponse ERROR 40001", "ReadyForQuery I"},
		second: []string{"Query SET \"work_mem\" TO '5';", "Query " + read}, answers: append(done("SET"), selected...), hears2: selectedText},
	"a notice that the server is ending": {
		asks: simple(read), told: dying, second: []string{"Query " + read}, answers: selected, hears2: selectedText},
	"a write that looks like a read": { // the statement described last is not the one executed
		before: [][]byte{slices.Concat(wire.AppendParse(nil, "w", write, nil), wire.AppendParse(nil, "r", read, nil), syncs),
			slices.Concat(wire.AppendParseComplete(nil), wire.AppendParseComplete(nil), ready)},
		asks:  slices.Concat(wire.AppendBind(nil, &wire.BindView{Statement: []byte("w")}), wire.AppendDescribe(nil, 'S', "r"), wire.AppendExecute(nil, "", 0), syncs),
		hears: []string{"ErrorResponse ERROR 08007", "ReadyForQuery I"}},
	"a block that has failed": {
		before: [][]byte{simple("BEGIN"), begun, simple("SELECT 1/0"), failed("22012")}, then: simple("ROLLBACK"),
		hears2: []string{"CommandComplete ROLLBACK", "ReadyForQuery I"}},
	"a part of the pipeline reaches the server": {
		asks: slices.Concat(unnamed(write), wire.AppendFlush(nil)), hears: []string{"ErrorResponse ERROR 08007"},
		then: syncs, hears2: []string{"ReadyForQuery I"}},
}

// TestLostServer checks what a client gets when its server is lost, by what it had asked for.
func TestLostServer(t *testing.T) {
	for name, c := range lostServers {
		for _, mode := range []pool.Mode{pool.Transaction, pool.Session} {
			t.Run(name+", "+mode.String(), func(t *testing.T) {
				w, s := movingWorld(t, mode)
				w.greeted()
				at := s[0]
				for i := 0; i < len(c.before); i += 2 {
					w.then(w.sends(c.before[i]))
					w.then(at.says(c.before[i+1]))
					w.then(func() {
						w.client.out = nil
						if mode == pool.Transaction && w.session.server == nil { // otherwise the next request would get another server
							w.free = slices.Insert(w.free, 0, at.server)
						}
					})
				}
				if len(c.asks) > 0 {
					w.then(w.sends(c.asks))
				}
				if len(c.told) > 0 {
					w.then(at.says(c.told))
				}
				w.then(func() { w.free = slices.DeleteFunc(w.free, func(f *pool.Server) bool { return f == at.server }) }, at.hangs(io.EOF))
				if len(c.hears) > 0 {
					w.then(w.hears(c.hears...))
				}
				if len(c.then) > 0 {
					w.then(w.sends(c.then))
				}
				if len(c.second) > 0 {
					w.then(s[1].words(t, c.second...), s[1].says(c.answers))
				}
				if len(c.hears2) > 0 {
					w.then(w.hears(c.hears2...))
				}
				w.then(func() {
					if w.session.View().State == Closing {
						t.Error("the session has ended, want it to go on")
					}
				}, w.sends(terminate))
				w.run()
				if len(w.suspected) != 1 && !(mode == pool.Transaction && name == "between two transactions") {
					t.Errorf("suspected nodes %v, want one", w.suspected)
				}
			})
		}
	}
}

// TestLostTwice checks that a read that two servers were lost with is not tried on a third one, and that the client is told
// where to look.
func TestLostTwice(t *testing.T) {
	w, s := movingWorld(t, pool.Transaction)
	w.greeted(w.sends(simple(read)))
	w.then(func() { s[1].server.Opened = w.now.Add(time.Hour) }) // after the first crash
	for _, at := range s[:2] {
		w.then(func() { w.free = slices.DeleteFunc(w.free, func(f *pool.Server) bool { return f == at.server }) }, at.hangs(io.EOF))
	}
	w.then(func() {
		if !bytes.Contains(w.client.out, []byte("makes them crash")) {
			t.Errorf("the client is not told where to look: %q", w.client.out)
		}
	}, w.hears("ErrorResponse ERROR 40001", "ReadyForQuery I"), w.sends(terminate))
	w.run()
}

// TestLostWithOneCrash checks that two servers of one node that were open when it crashed count as one: the read goes on.
func TestLostWithOneCrash(t *testing.T) {
	w, s := movingWorld(t, pool.Transaction)
	w.greeted(w.sends(simple(read)))
	for _, at := range s[:2] {
		w.then(func() { w.free = slices.DeleteFunc(w.free, func(f *pool.Server) bool { return f == at.server }) }, at.hangs(io.EOF))
	}
	w.then(s[2].words(t, "Query "+read), s[2].says(selected))
	w.then(w.hears(selectedText...), w.sends(terminate))
	w.run()
}

// TestLostWhilePreparing checks that a server that is lost while pgherd prepares the client's statement on it takes nothing of the
// client's with it: the client gets its answer from another server.
func TestLostWhilePreparing(t *testing.T) {
	w, s := movingWorld(t, pool.Transaction)
	w.describes(s[0])
	w.then(w.sends(bindOf("a"), syncs))
	w.then(s[1].words(t, "Parse pgherd_1 "+promisedSQL, "Describe", "Flush"), s[1].hangs(io.EOF))
	w.then(s[2].words(t, "Parse pgherd_1 "+promisedSQL, "Describe", "Flush"), s[2].says(wire.AppendParseComplete(nil), shaped(int4, int4)))
	w.then(s[2].words(t, "Bind pgherd_1", "Execute", "Sync"), s[2].says(wire.AppendBindComplete(nil), done("SELECT 1")))
	w.then(w.told(2, "BindComplete", "CommandComplete SELECT 1", "ReadyForQuery I"), w.sends(terminate))
	w.run()
}

// TestPinnedSessionEnds checks that a session ends with a pinned server, and that the error says why.
func TestPinnedSessionEnds(t *testing.T) {
	w, s := movingWorld(t, pool.Transaction)
	w.greeted(w.sends(simple("CALL p()")))
	w.then(s[0].says(done("CALL")))
	w.then(func() { w.client.out = nil }, s[0].hangs(io.EOF))
	w.run()
	w.hears("ErrorResponse FATAL 08006")()
	if f, _ := w.err.(*wire.Fault); f == nil || f.Detail != "The connection between pgherd and PostgreSQL was lost. The session cannot go on with another server: function p." {
		t.Errorf("the session ended by %v, want an error that names the pin", w.err)
	}
}

// TestRollbackDoesNotHideALostLock checks that a session ends if its lost transaction has taken something that outlasts a
// ROLLBACK, because the client would believe that it still has that.
func TestRollbackDoesNotHideALostLock(t *testing.T) {
	for sql, pin := range map[string]string{
		"SELECT pg_advisory_lock(1)": "a session's advisory lock", "CALL p()": "function p",
		"SELECT pg_advisory_xact_lock(1)": "", "CREATE TEMP TABLE x (a int)": "", "LISTEN x": "",
	} {
		t.Run(sql, func(t *testing.T) {
			w, s := movingWorld(t, pool.Transaction)
			w.greeted(w.sends(simple("BEGIN"), simple(sql)))
			w.then(s[0].says(begun, inside("DONE")))
			w.then(func() { w.client.out = nil }, s[0].hangs(io.EOF))
			if pin == "" {
				w.then(w.sends(simple("ROLLBACK")))
				w.then(w.hears("CommandComplete ROLLBACK", "ReadyForQuery I"), w.sends(terminate))
			}
			w.run()
			f, _ := w.err.(*wire.Fault)
			if pin != "" && (f == nil || !strings.HasSuffix(f.Detail, "The session cannot go on with another server: "+pin+".")) {
				t.Errorf("the session ended by %v", w.err)
			}
		})
	}
}

// TestWaitsForAPrimary checks that a request waits while there is no primary, and then runs
// with what the session has set.
func TestWaitsForAPrimary(t *testing.T) {
	w, s := movingWorld(t, pool.Transaction)
	s[1].server.Key.Node = 1
	w.greeted(w.sends(simple("SET work_mem TO 5")))
	w.then(s[0].says(done("SET")))
	view := func(primary int) func() {
		return func() {
			w.view = &nodes.View{Nodes: []nodes.Node{{Index: 0, Role: nodes.Primary, Status: nodes.Down}, {Index: 1, Role: nodes.Standby, Status: nodes.Up}}}
			if primary > 0 {
				w.view.Nodes[0].Role, w.view.Nodes[1].Role = nodes.Standby, nodes.Primary
			}
		}
	}
	w.then(view(-1), w.sends(simple("SELECT a FROM t")))
	w.then(w.is(WaitServer), w.passes(10*time.Second))
	w.then(w.is(WaitServer), view(1))
	w.then(s[1].words(t, "Query SET \"work_mem\" TO '5';", "Query SELECT a FROM t"), s[1].says(done("SET"), selected))
	w.then(view(-1), w.sends(simple("SELECT a FROM t")), func() { w.client.out = nil })
	w.then(w.is(WaitServer), w.passes(time.Minute))
	w.then(w.hears("ErrorResponse ERROR 57P03", "ReadyForQuery I"), w.sends(terminate))
	w.run()
	w.nodesAsked(0, 1)
}

// TestLostWithItsSettings checks that a setting whose SET was answered just before the loss is kept.
func TestLostWithItsSettings(t *testing.T) {
	for _, mode := range []pool.Mode{pool.Transaction, pool.Session} {
		w, s := movingWorld(t, mode)
		w.greeted(w.sends(simple("SET work_mem TO 5")))
		w.then(s[0].says(done("SET")), s[0].hangs(io.EOF), func() { w.free = slices.DeleteFunc(w.free, func(f *pool.Server) bool { return f == s[0].server }) })
		w.then(w.hears("CommandComplete SET", "ReadyForQuery I"), w.sends(simple(read)))
		w.then(s[1].words(t, "Query SET \"work_mem\" TO '5';", "Query "+read), s[1].says(done("SET"), selected))
		w.then(w.hears(selectedText...), w.sends(terminate))
		w.run()
	}
}

// TestFatalEndsSession checks that the session ends if its client has been sent a fatal error of the server.
func TestFatalEndsSession(t *testing.T) {
	w, s := movingWorld(t, pool.Transaction)
	w.greeted(w.sends(simple(read)))
	w.then(s[0].says(fault("FATAL", "25P04")), s[0].hangs(io.EOF))
	w.run()
	w.hears("ErrorResponse FATAL 25P04")()
}

// TestTornReplyEndsSession checks that the client is sent nothing after half of a message.
func TestTornReplyEndsSession(t *testing.T) {
	w, s := movingWorld(t, pool.Transaction)
	row := wire.AppendTextRow(nil, strings.Repeat("x", 100))
	w.greeted(w.sends(simple(read)))
	w.then(s[0].says(row[:50]), s[0].hangs(io.EOF))
	w.run()
	if !bytes.Equal(w.client.out, row[:50]) {
		t.Errorf("the client got %q, want nothing behind the half message", w.client.out)
	}
}

// TestLostInTheMiddleOfARequest checks that the rest of a long request whose server is lost goes
// nowhere, and that the session goes on.
func TestLostInTheMiddleOfARequest(t *testing.T) {
	w, s := movingWorld(t, pool.Transaction)
	long := simple("INSERT INTO t VALUES ('" + strings.Repeat("x", 2*wire.WholeLimit) + "')")
	w.greeted(w.sends(long[:wire.WholeLimit]))
	w.then(s[0].hangs(io.EOF), func() { w.free = slices.DeleteFunc(w.free, func(f *pool.Server) bool { return f == s[0].server }) })
	w.then(w.hears("ErrorResponse ERROR 08007", "ReadyForQuery I"), w.sends(long[wire.WholeLimit:]))
	w.then(w.sends(simple(read)))
	w.then(s[1].words(t, "Query "+read), s[1].says(selected))
	w.then(w.hears(selectedText...), w.sends(terminate))
	w.run()
}

// TestCancelOfALostServer checks that a cancel that is on its way to a lost server delays nothing, and that its error does not
// count for the next server (I10).
func TestCancelOfALostServer(t *testing.T) {
	w, s := movingWorld(t, pool.Transaction)
	w.greeted(w.sends(simple(write)))
	w.then(func() { w.session.Cancel([]byte(cancelKey)) })
	w.then(s[0].hangs(io.EOF), func() { w.free = slices.DeleteFunc(w.free, func(f *pool.Server) bool { return f == s[0].server }) })
	w.then(w.hears("ErrorResponse ERROR 08007", "ReadyForQuery I"), w.sends(simple(read)))
	w.then(s[1].words(t, "Query "+read), func() { w.session.CancelDone(s[0].server, io.EOF) }, s[1].says(selected))
	w.then(w.hears(selectedText...), w.sends(terminate))
	w.run()
	if len(w.canceled) != 1 || len(w.returned) == 0 || w.returned[len(w.returned)-1] != s[1].server {
		t.Errorf("%d cancels were sent, servers returned: %v", len(w.canceled), w.returned)
	}
}

// TestSignalDoesNotReviveABlock checks that a signal to a client whose block was lost does not
// begin that block again.
func TestSignalDoesNotReviveABlock(t *testing.T) {
	w, s := movingWorld(t, pool.Transaction)
	w.greeted(w.sends(simple("BEGIN")))
	w.then(s[0].says(begun))
	w.then(w.sends(simple(write)), func() { w.client.out = nil })
	w.then(s[0].hangs(io.EOF))
	w.then(w.hears("ErrorResponse ERROR 40001", "ReadyForQuery E"), func() { w.session.Summon() })
	w.then(w.sends(simple(write)))
	w.then(w.hears("ErrorResponse ERROR 25P02", "ReadyForQuery E"), w.sends(terminate))
	w.run()
	s[1].words(t)()
}
