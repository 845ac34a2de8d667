package session

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"pgherd/proxy/catalog"
	"pgherd/proxy/pool"
	"pgherd/proxy/query"
	"pgherd/proxy/wire"
)

// sharing are settings under which servers are shared between transactions. The
// catalog of the database has nothing that is not harmless.
func sharing(mode pool.Mode) Settings {
	catalogs := catalog.NewShared()
	catalogs.Entry("app").Claim(time.Unix(0, 0), math.MaxInt64)
	catalogs.Entry("app").Store(0, new(catalog.Snapshot))
	return Settings{QueryWait: time.Minute, ResetTimeout: 10 * time.Second, KeepServers: true, Modes: pool.Modes{Default: mode},
		MaxPrepared: 2, Statements: query.NewCache(100, 1<<20), Catalogs: catalogs}
}

func transactionWorld(t *testing.T) (*world, *side) {
	w := newWorld(t)
	*w.set = sharing(pool.Transaction)
	return w, w.server()
}

// TestPartsBetweenTransactions: a server is held for a transaction, no longer.
func TestPartsBetweenTransactions(t *testing.T) {
	w, s := transactionWorld(t)
	began := append(complete("BEGIN"), wire.AppendReadyForQuery(nil, wire.InTransaction)...)
	returned := func(n int) func() { return func() { t.Helper(); same2(t, "servers returned", len(w.returned), n) } }
	w.greeted(w.client.says(simple("begin")))
	w.then(s.gets(t, "Query begin"), s.says(began))
	w.then(w.is(InTransaction), returned(0), w.client.says(simple("commit")))
	w.then(s.gets(t, "Query commit"), s.says(done("COMMIT")))
	w.then(w.is(Idle), returned(1), w.client.says(terminate))
	w.run()
	s.gets(t)() // it was clean: no reset
	w.ended("returned")
}

// TestPins: what cannot be told keeps the server, which is reset in the end.
func TestPins(t *testing.T) {
	long := simple(strings.Repeat("x", wire.WholeLimit+1))
	call := wire.AppendFunctionCall(nil, &wire.FunctionCallView{Function: 20000})
	for name, request := range map[string][]byte{
		"a strange statement": simple("select strange()"),
		"a strange Bind":      slices.Concat(parse("select strange()"), wire.AppendBind(nil, &wire.BindView{}), syncs),
		"a function call":     call,
		"a long statement":    long,
	} {
		t.Run(name, func(t *testing.T) {
			w, s := transactionWorld(t)
			w.greeted(w.client.says(request[:len(request)/2]), w.client.says(request[len(request)/2:]))
			answer := done("X")
			switch request[0] {
			case 'P':
				answer = slices.Concat(wire.AppendParseComplete(nil), wire.AppendBindComplete(nil), ready)
			case 'F':
				answer = append(wire.AppendFunctionCallResponse(nil, nil), ready...)
			}
			w.then(s.says(answer))
			w.then(w.is(Idle), func() { same2(t, "servers returned", len(w.returned), 0) })
			w.then(w.client.says(terminate))
			w.then(s.says(slices.Concat(done("ABORT"), done("DISCARD ALL"))))
			w.run()
			w.ended("returned")
			if w.session.follow.pinned() != "" || s.server.Used {
				t.Error("it is returned as it was")
			}
		})
	}
}

// TestStatementModeRefusesTransactions and says which mode would not.
func TestStatementModeRefusesTransactions(t *testing.T) {
	w, _ := transactionWorld(t)
	w.set.Modes.Default = pool.Statement
	w.greeted(w.client.says(simple("begin")))
	w.then(w.client.gets(t, "ErrorResponse ERROR 0A000", "ReadyForQuery I"))
	w.then(w.client.says(terminate))
	w.run()
	w.ended("")
}
