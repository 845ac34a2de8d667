package session

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgherd/proxy/catalog"
	"pgherd/proxy/nodes"
	"pgherd/proxy/pool"
	"pgherd/proxy/query"
	"pgherd/proxy/wire"
)

// held has the processes of the tests. 10 is on the primary, 21 on the first standby, 22 on the
// second, 30 on the primary and on a standby, 40 on both standbys.
var held = map[uint32][]int{10: {0}, 21: {1}, 22: {2}, 30: {1, 0}, 40: {2, 1}, 50: {3}}

// signalWorld has two standbys that get no reads.
func signalWorld(t *testing.T, mode pool.Mode, order ...int) (*world, []*side) {
	w, s := routedWorld(t, mode, order...)
	w.holds = held
	w.view.Nodes[0].Weight, w.view.Nodes[1].Weight = 1, 0
	w.view.Nodes = append(w.view.Nodes, nodes.Node{Index: 2, Role: nodes.Standby, Status: nodes.Up})
	return w, s
}

// TestSignalsOfAText checks which texts are signals and nothing else, and where they go.
func TestSignalsOfAText(t *testing.T) {
	for sql, want := range map[string]int{
		"SELECT pg_terminate_backend(21)":                                     1,
		"SELECT pg_cancel_backend(22)":                                        2,
		"select PG_CATALOG.pg_Terminate_Backend ( 22 , 1000 ) AS done;":       2,
		`SELECT "pg_catalog"."pg_cancel_backend"(22) "done"`:                  2,
		"SELECT pg_terminate_backend('21') ;;":                                1,
		"SELECT pg_terminate_backend(' 21 '::int)":                            1,
		"SELECT /* the slow one */ pg_terminate_backend(21) -- now":           1,
		"SELECT pg_terminate_backend(10)":                                     0,
		"SELECT pg_terminate_backend(30)":                                     0, // a process of the primary, as well
		"SELECT pg_terminate_backend(40)":                                     1, // the first node that has it
		"SELECT pg_terminate_backend(50)":                                     0, // the node is not in use
		"SELECT pg_terminate_backend(99)":                                     0, // unknown
		"SELECT pg_terminate_backend(-21)":                                    0,
		"SELECT pg_terminate_backend(4294967317)":                             0, // 21 in 32 bits
		"SELECT pg_terminate_backend(NULL)":                                   0,
		"SELECT pg_terminate_backend($1)":                                     0, // the server reports the error
		"SELECT pg_terminate_backend(pid) FROM pg_stat_activity":              0,
		"SELECT pg_terminate_backend(21), write()":                            0,
		"SELECT pg_terminate_backend(21) FROM t":                              0,
		"SELECT pg_terminate_backend(21) WHERE true":                          0,
		"SELECT pg_terminate_backend(21), pg_terminate_backend(22)":           0,
		"SELECT pg_terminate_backend(21); SELECT pg_terminate_backend(22)":    0,
		"SELECT * FROM pg_terminate_backend(21)":                              0,
		"SELECT public.pg_terminate_backend(21)":                              0,
		"SELECT pg_terminate_backend(21, write())":                            0,
		"SELECT pg_terminate_backend('21'::mine)":                             0,
		"SELECT NOT pg_terminate_backend(21)":                                 0,
		"INSERT INTO t SELECT pg_terminate_backend(21)":                       0,
		"/*NO LOAD BALANCE*/ SELECT pg_terminate_backend(21)":                 0, // the client's hint decides
		"WITH w AS (DELETE FROM t) SELECT pg_terminate_backend(21)":           0,
		"SELECT pg_terminate_backend(21) INTO x":                              0,
		"EXPLAIN ANALYZE SELECT pg_terminate_backend(21)":                     0,
		"SELECT pg_terminate_backend(21) UNION SELECT pg_cancel_backend(21)":  0,
		"SELECT pg_terminate_backend(CASE WHEN write() THEN 21 ELSE 21 END )": 0,
	} {
		w, s := signalWorld(t, pool.Transaction, want)
		w.greeted(w.sends(simple(sql)))
		w.then(s[0].says(selected))
		w.then(w.client.words(t, selectedText...), s[0].says(), w.sends(terminate), func() { s[0].in = append(s[0].in, state()) })
		w.run()
		if got := w.asked[0].Node; got != want {
			t.Errorf("%s: sent to node %d, want %d", sql, got, want)
		}
	}
}

func binaryInt(size int, n uint64) []byte {
	return binary.BigEndian.AppendUint64(nil, n)[8-size:]
}

// TestSignalsOfABind checks that the process number is read from the Bind, in any form that
// PostgreSQL takes.
func TestSignalsOfABind(t *testing.T) {
	for _, row := range []struct {
		argument string
		types    []uint32
		formats  []int16
		values   [][]byte
		want     int
	}{
		{"$1", nil, nil, [][]byte{[]byte("21")}, 1},
		{"$1", nil, []int16{0}, [][]byte{[]byte(" 22\n")}, 2},
		{"$1", nil, []int16{1}, [][]byte{binaryInt(4, 21)}, 1},
		{"$1", []uint32{23}, []int16{1}, [][]byte{binaryInt(4, 22)}, 2},
		{"$1", []uint32{21}, []int16{1}, [][]byte{binaryInt(2, 22)}, 2},
		{"$1::int", []uint32{20}, []int16{1}, [][]byte{binaryInt(8, 22)}, 2},
		{"$1::bigint::int4", nil, []int16{1}, [][]byte{binaryInt(8, 22)}, 2},
		{"$1::bigint::int", nil, []int16{1}, [][]byte{binaryInt(8, 1<<32+22)}, 0},
		{"$1", []uint32{705}, nil, [][]byte{[]byte("21")}, 1},
		{"$1", []uint32{705}, []int16{1}, [][]byte{binaryInt(4, 21)}, 1},
		{"$1::int", []uint32{25}, []int16{1}, [][]byte{[]byte("21")}, 1},
		{"$1::text::int", nil, []int16{1}, [][]byte{[]byte("21")}, 1},
		{"$2, $1", nil, []int16{0, 1}, [][]byte{[]byte("22"), binaryInt(4, 21)}, 1},
		{"$2, $1", nil, []int16{1}, [][]byte{binaryInt(8, 22), binaryInt(4, 21)}, 1},
		{"$1, $2::bigint", nil, []int16{1, 0}, [][]byte{binaryInt(4, 21), []byte("22")}, 1},
		{"$1", nil, nil, [][]byte{nil}, 0},
		{"$1", nil, []int16{1}, [][]byte{nil}, 0},
		{"$1", nil, nil, [][]byte{[]byte("21x")}, 0},
		{"$1", nil, nil, [][]byte{{}}, 0},
		{"$1", nil, []int16{1}, [][]byte{{21}}, 0},
		{"$1", nil, nil, nil, 0},
		{"$2", nil, nil, [][]byte{[]byte("21")}, 0},
		{"$1", nil, nil, [][]byte{[]byte("10")}, 0},
	} {
		name := fmt.Sprint(row.argument, row.types, row.formats, row.values)
		sql := "SELECT pg_terminate_backend(" + row.argument + ")"
		w, s := signalWorld(t, pool.Transaction, 0, row.want)
		w.greeted(w.sends(wire.AppendParse(nil, "mine", sql, wire.MakeOIDs(row.types...)), syncs))
		w.then(s[0].says(wire.AppendParseComplete(nil), ready))
		w.then(w.sends(wire.AppendBind(nil, &wire.BindView{Statement: []byte("mine"), Formats: wire.MakeFormats(row.formats...),
			Params: wire.MakeValues(row.values...)}), wire.AppendExecute(nil, "", 0), syncs))
		w.then(s[1].words(t, "Parse pgherd_1 "+sql, "Bind pgherd_1", "Execute", "Sync"),
			s[1].says(wire.AppendParseComplete(nil), wire.AppendBindComplete(nil), done("SELECT 1")))
		w.then(w.told(2, "ParseComplete", "ReadyForQuery I", "BindComplete", "CommandComplete SELECT 1", "ReadyForQuery I"), w.sends(terminate))
		w.run()
		if len(w.asked) != 2 || w.asked[1].Node != row.want {
			t.Errorf("%s: servers were asked for by %v, want node %d", name, w.asked, row.want)
		}
		if t.Failed() {
			t.Fatalf("stopped at %s, which has failed", name)
		}
	}
}

// bindPID is Parse, Bind and Execute of the unnamed statement.
func bindPID(pid string) []byte {
	return slices.Concat(parse(terminates), wire.AppendBind(nil, &wire.BindView{Params: wire.MakeValues([]byte(pid))}), wire.AppendExecute(nil, "", 0))
}

const terminates = "SELECT pg_terminate_backend($1)"

var parsedReply, boundReply = wire.AppendParseComplete(nil), wire.AppendBindComplete(nil)

// TestSignalInOnePipeline checks a Parse that went to the primary before the number was known.
// Nothing has run there, so the rest goes to another node.
func TestSignalInOnePipeline(t *testing.T) {
	for _, mode := range []pool.Mode{pool.Session, pool.Transaction, pool.Statement} {
		w, s := signalWorld(t, mode, 0, 1)
		w.greeted(w.sends(bindPID("21"), syncs))
		w.then(s[0].words(t, "Parse "+terminates, "Flush"), s[0].says(parsedReply))
		w.then(s[0].words(t, "Sync"), s[0].says(ready))
		w.then(s[1].words(t, "Parse "+terminates, "Bind", "Execute", "Sync"), s[1].says(parsedReply, boundReply, done("SELECT 1")))
		w.then(w.client.words(t, "ParseComplete", "BindComplete", "CommandComplete SELECT 1", "ReadyForQuery I"), w.sends(terminate))
		if mode == pool.Session {
			w.then(s[0].words(t, "Query DISCARD ALL"), s[0].says(done("DISCARD ALL")))
		}
		w.run()
		w.ended("returned returned")
		w.nodesAsked(0, 1)
		if !w.lastWrite.IsZero() {
			t.Error("a signal counts as a write, want not")
		}
	}
}

// TestSignalBehindSomethingElse checks that the signal stays on the primary if something has run
// there.
func TestSignalBehindSomethingElse(t *testing.T) {
	w, s := signalWorld(t, pool.Transaction, 0)
	w.greeted(w.sends(parse("INSERT INTO t VALUES (1)"), execute, bindPID("21"), syncs))
	w.then(s[0].words(t, "Parse INSERT INTO t VALUES (1)", "Bind", "Execute", "Parse "+terminates, "Bind", "Execute", "Sync"),
		s[0].says(parsedReply, boundReply, complete("INSERT 0 1"), parsedReply, boundReply, done("SELECT 1")))
	w.then(w.sends(terminate))
	w.run()
	w.nodesAsked(0)
}

// TestSignalThatIsNotParsed checks that the rest stays on the primary, which has refused the Parse
// and skips it.
func TestSignalThatIsNotParsed(t *testing.T) {
	w, s := signalWorld(t, pool.Transaction, 0)
	w.greeted(w.sends(bindPID("21"), syncs))
	w.then(s[0].words(t, "Parse "+terminates, "Flush"), s[0].says(fault("ERROR", "42501")))
	w.then(s[0].words(t, "Bind", "Execute", "Sync"), s[0].says(ready))
	w.then(w.told(1, "ErrorResponse ERROR 42501", "ReadyForQuery I"), w.sends(terminate))
	w.run()
	w.nodesAsked(0)
}

// TestSignalFirstInABlock checks that a signal takes the block to the node of the process. The next statement is placed again,
// because that node was not chosen for reads.
func TestSignalFirstInABlock(t *testing.T) {
	for _, mode := range []pool.Mode{pool.Session, pool.Transaction} {
		w, s := signalWorld(t, mode, 0, 1, 0)
		w.greeted(w.sends(simple("BEGIN"), bindPID("21"), syncs))
		w.then(s[0].words(t, "Query BEGIN", "Parse "+terminates, "Flush"), s[0].says(inside("BEGIN"), parsedReply))
		w.then(s[0].words(t, "Sync"), s[0].says(wire.AppendReadyForQuery(nil, wire.InTransaction)))
		w.then(s[0].words(t, "Query ROLLBACK"), s[0].says(done("ROLLBACK")))
		w.then(s[1].words(t, "Query BEGIN", "Parse "+terminates, "Bind", "Execute", "Sync"),
			s[1].says(inside("BEGIN"), parsedReply, boundReply, inside("SELECT 1")))
		w.then(w.client.words(t, "CommandComplete BEGIN", "ReadyForQuery T", "ParseComplete", "BindComplete", "CommandComplete SELECT 1", "ReadyForQuery T"),
			w.sends(simple("SELECT 1")))
		w.then(s[1].words(t, "Query ROLLBACK"), s[1].says(done("ROLLBACK")))
		home := s[2]
		if mode == pool.Session {
			home = s[0]
		}
		w.then(home.words(t, "Query BEGIN", "Query SELECT", "Query SELECT 1"), home.says(inside("BEGIN"), inside("SELECT"), inside("SELECT 1")))
		w.then(w.sends(simple("COMMIT")))
		w.then(home.words(t, "Query COMMIT"), home.says(done("COMMIT")))
		w.then(w.sends(terminate))
		if mode == pool.Session {
			w.then(home.words(t, "Query DISCARD ALL"), home.says(done("DISCARD ALL")))
		}
		w.run()
	}
}

// TestSignalWaitsForItsNode checks that a signal goes only to the node of the process, so that a session with a server of its own
// waits for as long as it may.
func TestSignalWaitsForItsNode(t *testing.T) {
	w, s := signalWorld(t, pool.Session, 0, 1)
	w.free = w.free[:1]
	const signal = "SELECT pg_terminate_backend(21)"
	w.greeted(w.sends(simple("SET work_mem TO 5")))
	w.then(s[0].words(t, "Query SET work_mem TO 5"), s[0].says(done("SET")))
	w.then(w.told(0, "CommandComplete SET", "ReadyForQuery I"), w.sends(simple(signal)))
	w.then(w.is(WaitServer), w.passes(2*parkedWait))
	w.then(w.is(WaitServer), w.grants(s[1]))
	w.then(s[1].words(t, `Query SET "work_mem" TO '5';`, "Query "+signal), s[1].says(done("SET"), selected))
	w.then(w.sends(terminate))
	w.then(s[0].words(t, "Query DISCARD ALL"), s[0].says(done("DISCARD ALL")))
	w.run()
	w.nodesAsked(0, 1)
}

// TestSignalsStay checks that a session signals on the primary if it is pinned, or in a snapshot,
// or in a transaction of a kind that is not possible on a standby.
func TestSignalsStay(t *testing.T) {
	for _, begin := range []string{"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", "BEGIN ISOLATION LEVEL SERIALIZABLE", "BEGIN READ WRITE"} {
		w, s := signalWorld(t, pool.Transaction, 0)
		w.greeted(w.sends(simple(begin), simple("SELECT pg_terminate_backend(21)")))
		w.then(s[0].words(t, "Query "+begin, "Query SELECT pg_terminate_backend(21)"), s[0].says(inside("BEGIN"), inside("SELECT 1")))
		w.then(w.sends(simple("ROLLBACK")))
		w.then(s[0].says(done("ROLLBACK")))
		w.then(w.sends(terminate))
		w.run()
		w.nodesAsked(0)
	}
}

// TestSignalOnAnOldCatalog checks that a signal does not need the catalog, unlike a read.
func TestSignalOnAnOldCatalog(t *testing.T) {
	w, s := signalWorld(t, pool.Transaction, 1)
	w.set.Catalogs.Entry("app").Changed()
	w.greeted(w.sends(simple("SELECT pg_terminate_backend(21)")))
	w.then(s[0].words(t, "Query SELECT pg_terminate_backend(21)"), s[0].says(selected))
	w.then(w.told(1, selectedText...), w.sends(terminate))
	w.run()
	w.nodesAsked(1)
}

// TestSignalOfTheDatabasesOwn checks that a function of that name that the database defines does not count as a signal.
func TestSignalOfTheDatabasesOwn(t *testing.T) {
	w, s := signalWorld(t, pool.Transaction, 0)
	own, err := catalog.Read(nil, [][]string{{"version", "1", "read committed", "", ""}, {"function", "pg_terminate_backend", "sql", "vf", "SELECT set_config('a.b', 'c', false)"}})
	if err != nil {
		t.Fatal(err)
	}
	w.set.Catalogs.Entry("app").Store(w.set.Catalogs.Entry("app").Ask(w.now), own)
	w.greeted(w.sends(simple("SELECT pg_terminate_backend(21)")))
	w.then(s[0].says(selected))
	w.then(w.sends(terminate))
	w.then(s[0].says(done("DISCARD ALL")))
	w.run()
	w.nodesAsked(0)
}

// TestSignalWithoutServer checks that a signal is not sent to another node if the node of the
// process has no server.
func TestSignalWithoutServer(t *testing.T) {
	w, _ := signalWorld(t, pool.Transaction)
	w.greeted(w.sends(simple("SELECT pg_terminate_backend(21)")))
	w.then(w.refuses(&wire.Fault{Severity: "FATAL", Code: "53300"}))
	w.then(w.told(0, "ErrorResponse ERROR 53300", "ReadyForQuery I"), w.sends(terminate))
	w.run()
	w.nodesAsked(1)
}

// TestSignalLate checks that a standby's delay and its position do not matter for a signal.
func TestSignalLate(t *testing.T) {
	w, s := signalWorld(t, pool.Transaction, 0, 1)
	w.set.Routing.Balance.DelayBytes = 1
	w.greeted(w.sends(simple("INSERT INTO t VALUES (1)")))
	w.then(s[0].says(done("INSERT 0 1")))
	w.then(w.sends(simple("SELECT pg_cancel_backend(21)")))
	w.then(s[1].words(t, "Query SELECT pg_cancel_backend(21)"), s[1].says(selected))
	w.then(w.sends(terminate))
	w.run()
	w.nodesAsked(0, 1)
	w.same("requests for positions", w.chased, 0)
}

func FuzzSignal(f *testing.F) {
	f.Add("SELECT pg_terminate_backend($1::text::int, 5)")
	f.Fuzz(func(t *testing.T, sql string) {
		script := query.Parse([]byte(sql), query.Syntax{})
		if _, ok := query.Signal(script); ok && !script.Unknown() {
			st := script.Statements
			if len(st) != 1 || st[0].Kind != query.Select || len(st[0].Tables) > 0 || len(st[0].Functions) != 1 ||
				st[0].Effects != query.Signals|query.Writes || !strings.HasSuffix(st[0].Functions[0].Name, "_backend") || len(st[0].Functions[0].Arguments) == 0 {
				t.Errorf("%q is not analyzed as nothing but a signal", sql)
			}
		}
	})
}
