package route

import (
	"testing"

	"pgherd/proxy/query"
)

// TestSession checks that the state of a session counts before what its statement does, and that a statement that would leave
// the primary is checked once more.
func TestSession(t *testing.T) {
	snapshot := Block{Open: true, Placed: true, Held: true, ReadOnly: true, Isolation: RepeatableRead}
	for _, row := range []struct {
		name, sql string
		session   Session
		want      string
	}{
		{"no server", "SELECT 1", Session{}, "anywhere by read: it only reads what every node has"},
		{"a server of the primary", "SELECT 1", Session{Server: OfPrimary, Pin: "a temporary table"}, "here by server: the session has a server of the primary"},
		{"a pipeline that failed", "SELECT 1", Session{State: Skipping, Pin: "LISTEN"}, "here by server: what came before it has failed"},
		{"a failed transaction", "SELECT 1", Session{Server: OfStandby, State: Stuck}, "here by server: its transaction has failed"},
		{"a failed transaction and another statement", "ROLLBACK; UPDATE t SET a = 1", Session{Server: OfStandby, State: Stuck, Transaction: Block{Open: true, Held: true}},
			"primary by server: it ends its transaction and goes on with another"},
		{"a snapshot on a standby", "UPDATE t SET a = 1", Session{Server: OfStandby, Transaction: snapshot}, "here by snapshot: all statements of its transaction share a snapshot"},
		{"a snapshot and another transaction", "COMMIT; SELECT 1", Session{Server: OfStandby, Transaction: snapshot}, "primary by snapshot: it ends its transaction and goes on with another"},
		{"a pin", "SELECT 1", Session{Pin: "LISTEN"}, "primary by pin: LISTEN"},
		{"its state is not known", "SELECT 1", Session{Uncertain: true}, "primary by pin: what its session has left on the primary is not known yet"},
		{"an old catalog", "SELECT 1", Session{Outdated: true}, "primary by catalog_check_period: what is known of the database is not up to date, and asked for with the next statement"},
		{"it changes its session", "SELECT 1", Session{Changes: true}, "primary by session: it may change its session"},
		{"it changes its session and names a node", "/*NODE:1*/ SELECT 1", Session{Changes: true}, "primary by session: it may change its session"},
		{"a write, which needs no other reason", "UPDATE t SET a = 1", Session{Changes: true}, "primary by statement: it writes"},
		{"READ WRITE", "SELECT 1", Session{Transaction: Block{Insists: true}}, "primary by session: its transaction is of a kind that no standby has"},
	} {
		r := Request{Text: []byte(row.sql), Script: query.Parse([]byte(row.sql), query.Syntax{}), Session: row.session, Catalog: everything{}}
		set := Settings{Balance: true, Comments: true}
		if got := say(Place(&r, &set)); got != row.want {
			t.Errorf("%s, %q: got %s, want %s", row.name, row.sql, got, row.want)
		}
		if steps, d := Explain(&r, &set); steps[len(steps)-1].Decision != d || say(d) != row.want {
			t.Errorf("%s, %q: EXPLAIN ROUTE ends with %+v", row.name, row.sql, steps[len(steps)-1])
		}
	}
}

// TestSignalsOfSessions checks that a signal to a process on another node needs no knowledge of the database, but a session that
// is free to leave the primary.
func TestSignalsOfSessions(t *testing.T) {
	for want, sessions := range map[Where][]Session{
		Process: {{Server: OfPrimary}, {Outdated: true}, {Changes: true}},
		Primary: {{Pin: "LISTEN"}, {Uncertain: true}, {Transaction: Block{Insists: true}}},
	} {
		for _, session := range sessions {
			sql := "SELECT pg_cancel_backend(5)"
			r := Request{Text: []byte(sql), Script: query.Parse([]byte(sql), query.Syntax{}), Session: session, Signals: true, Elsewhere: true, Owner: 2}
			if d := Place(&r, &Settings{Balance: true}); d.Where != want {
				t.Errorf("%+v: got %s", session, say(d))
			}
		}
	}
}
