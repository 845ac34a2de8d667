package session

import (
	"strings"
	"testing"

	"pgherd/proxy/pool"
	"pgherd/proxy/wire"
)

// words is a Statements that goes by the first word.
type words struct{ studied *int }

func (w words) Look(sql []byte) (Effect, bool) {
	verb, _, _ := strings.Cut(string(sql), " ")
	return Effect{}, verb == "strange"
}

func (w words) Study([]byte) Effect { *w.studied++; return Effect{Pin: "it is strange"} }

// begins takes everything for a BEGIN.
type begins struct{}

func (begins) Look([]byte) (Effect, bool) { return Effect{Begin: true}, false }
func (begins) Study([]byte) Effect        { return Effect{} }

func transactionWorld(t *testing.T) (*world, *side) {
	w := newWorld(t)
	w.set.Mode, w.set.MaxPrepared, w.set.Statements = pool.Transaction, 2, words{new(int)}
	return w, w.server()
}

// TestPartsBetweenTransactions: a server is held for a transaction, no longer.
func TestPartsBetweenTransactions(t *testing.T) {
	w, s := transactionWorld(t)
	began := append(complete("BEGIN"), wire.AppendReadyForQuery(nil, wire.InTransaction)...)
	returned := func(n int) func() { return func() { t.Helper(); same2(t, "servers returned", len(w.returned), n) } }
	w.greeted(w.client.says(query("begin")))
	w.then(s.gets(t, "Query begin"), s.says(began))
	w.then(w.is(InTransaction), returned(0), w.client.says(query("commit")))
	w.then(s.gets(t, "Query commit"), s.says(done("COMMIT")))
	w.then(w.is(Idle), returned(1), w.client.says(terminate))
	w.run()
	s.gets(t)() // it was clean: no reset
	w.ended("returned")
}

// TestPins: what cannot be told keeps the server, which is reset in the end.
func TestPins(t *testing.T) {
	long := query(strings.Repeat("x", wire.WholeLimit+1))
	call := wire.AppendFunctionCall(nil, &wire.FunctionCallView{})
	for name, request := range map[string][]byte{
		"a strange statement": query("strange thing"),
		"a strange Parse":     wire.AppendSync(parse("strange thing")),
		"a function call":     call,
		"a long statement":    long,
	} {
		t.Run(name, func(t *testing.T) {
			w, s := transactionWorld(t)
			w.greeted(w.client.says(request[:len(request)/2]), w.client.says(request[len(request)/2:]))
			answer := done("X")
			switch request[0] {
			case 'P':
				answer = append(wire.AppendParseComplete(nil), ready...)
			case 'F':
				answer = append(wire.AppendFunctionCallResponse(nil, nil), ready...)
			}
			w.then(s.says(answer))
			w.then(w.is(Idle), func() { same2(t, "servers returned", len(w.returned), 0) })
			w.then(w.client.says(terminate))
			w.then(s.says(done("DISCARD ALL")))
			w.run()
			w.ended("returned")
			if w.session.pinned != "" || s.server.Used {
				t.Error("it is returned as it was")
			}
		})
	}
}

// TestStatementModeRefusesTransactions and says which mode would not.
func TestStatementModeRefusesTransactions(t *testing.T) {
	w, _ := transactionWorld(t)
	w.set.Mode, w.set.Statements = pool.Statement, begins{}
	w.greeted(w.client.says(query("begin")))
	w.then(w.client.gets(t, "ErrorResponse ERROR 0A000", "ReadyForQuery I"))
	w.then(w.client.says(terminate))
	w.run()
	w.ended("")
}
