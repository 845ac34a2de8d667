package session

import (
	"slices"
	"testing"

	"pgherd/proxy/wire"
)

// TestVacateFirst checks that other sessions are kept out before a statement that wants a database
// for itself is sent, in either protocol, and are let in again once it is answered.
func TestVacateFirst(t *testing.T) {
	prepared := wire.AppendParse(nil, "s", "CREATE DATABASE new TEMPLATE old", nil)
	bound := slices.Concat(wire.AppendBind(nil, &wire.BindView{Statement: []byte("s")}), wire.AppendExecute(nil, "", 0), syncs)
	for name, c := range map[string]struct {
		sent []byte
		want []string
	}{
		"simple":                         {simple("drop database old"), []string{"old"}},
		"several":                        {simple("alter database a rename to b; alter database c rename to d"), []string{"a", "c"}},
		"extended":                       {slices.Concat(prepared, bound), []string{"old"}},
		"another statement by that name": {slices.Concat(prepared, wire.AppendParse(nil, "s", "SELECT 1", nil), bound), nil},
		"an error":                       {slices.Concat(simple("drop database old")), []string{"old"}},
		"others":                         {simple("select 'drop database old'"), nil},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			s := w.server()
			answer := done("DROP DATABASE")
			if name == "an error" {
				answer = append(fault("ERROR", "55006"), ready...)
			}
			w.greeted(w.client.says(c.sent))
			if name == "extended" { // what came before is answered first
				w.then(func() { w.same("held", w.held, 0) }, s.says(wire.AppendParseComplete(nil)))
			}
			w.then(func() {
				w.same("held", w.held, len(c.want))
				if !slices.Equal(w.vacated, c.want) || len(s.out) == 0 {
					t.Errorf("vacated databases %v, want %v; the server got %q", w.vacated, c.want, s.out)
				}
				switch name {
				case "extended":
					answer = append(wire.AppendBindComplete(nil), answer...)
				case "another statement by that name":
					answer = slices.Concat(wire.AppendParseComplete(nil), wire.AppendParseComplete(nil), wire.AppendBindComplete(nil), answer)
				}
				s.says(answer)()
			})
			w.then(func() { w.same("held", w.held, 0); s.out = nil })
			w.quits(s)
			w.run()
		})
	}
}

// TestVacateForNobody checks that clients that are logged in use a database, whether they have a
// server or not.
func TestVacateForNobody(t *testing.T) {
	w := newWorld(t)
	w.users = 2
	s := w.server()
	w.greeted(w.client.says(simple("drop database old")))
	w.then(s.gets(t), w.client.gets(t, "ErrorResponse ERROR 55006", "ReadyForQuery I"), func() { w.same("databases held", w.held, 0) },
		w.client.says(simple("drop database old with (force)")))
	w.then(s.gets(t, "Query drop database old with (force)"), s.says(complete("DROP DATABASE")))
	w.then(func() {
		if !slices.Equal(w.sentAway, []string{"old"}) {
			t.Errorf("clients were sent away from %v, want from \"old\"", w.sentAway)
		}
	}, s.says(ready))
	w.quits(s)
	w.run()
	w.same("databases held", w.held, 0)
}

// TestVacatedIsLetGo checks that the database is given up however the session ends.
func TestVacatedIsLetGo(t *testing.T) {
	w := newWorld(t)
	s := w.server()
	w.greeted(w.client.says(simple("drop database old")))
	w.then(func() { w.same("held", w.held, 1) }, s.leaves())
	w.run()
	w.same("held", w.held, 0)
}
