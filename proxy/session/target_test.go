package session

import (
	"encoding/binary"
	"strconv"
	"testing"

	"pgherd/proxy/pool"
	"pgherd/proxy/wire"
)

// clientNumber is the number of a client whose server is process 4242.
const clientNumber = 1 << 30

// targetWorld is a sharing world in which another client has a server.
func targetWorld(t *testing.T) (*world, *side) {
	w, s := sharingWorld(t, 1)
	w.clients = map[uint32]Target{clientNumber: {Node: 0, PID: 4242}, clientNumber + 1: {}, 77: {}}
	return w, s[0]
}

// TestSignalToAClient checks that a signal names the process that the client has, in each form, and
// that the client holds it until the answer.
func TestSignalToAClient(t *testing.T) {
	for sql, want := range map[string]string{
		"SELECT pg_cancel_backend(1073741824)":            "SELECT pg_cancel_backend(4242)",
		"SELECT pg_terminate_backend('1073741824'::int)":  "SELECT pg_terminate_backend(4242::int)",
		"/* 1 */ SELECT pg_terminate_backend(1073741824)": "/* 1 */ SELECT pg_terminate_backend(4242)",
		"SELECT pg_cancel_backend(1073741825)":            "SELECT pg_cancel_backend(1073741825)", // that client has no server
		"SELECT pg_cancel_backend(1073741826)":            "SELECT pg_cancel_backend(1073741826)", // no client has the number
		"SELECT pg_terminate_backend(77)":                 "SELECT pg_terminate_backend(1)",       // the client's own number
	} {
		w, s := targetWorld(t)
		w.greeted(w.sends(simple(sql)))
		held := 0
		if want == "SELECT pg_cancel_backend(4242)" {
			held = 1
		}
		w.then(s.words(t, "Query "+want), func() { w.same("releases before the answer", w.released, 0) }, s.says(selected))
		w.then(func() { w.same(sql+": released", w.released >= held, true) }, s.says(state()), w.sends(terminate))
		w.run()
	}
}

// TestSignalThatIsNotSent checks that in a transaction on the primary a client on another node is not reached, and does not keep
// its server for a signal that does not come.
func TestSignalThatIsNotSent(t *testing.T) {
	for node, want := range []string{"SELECT pg_terminate_backend(4242)", "SELECT pg_terminate_backend(1073741824)"} {
		w, s := targetWorld(t)
		w.clients[clientNumber] = Target{Node: node, PID: 4242}
		w.greeted(w.sends(simple("BEGIN"), simple("INSERT INTO t VALUES (1)")))
		w.then(s.says(inside("BEGIN"), inside("INSERT 0 1")))
		w.then(s.words(t, "Query BEGIN", "Query INSERT INTO t VALUES (1)"), w.sends(simple("SELECT pg_terminate_backend(1073741824)")))
		w.then(s.words(t, "Query "+want), s.says(inside("SELECT 1")))
		w.then(func() {
			w.same("released", w.released, 1)
			w.same("a signal comes to node "+strconv.Itoa(node), w.signaled, node == 0)
		}, w.sends(terminate))
		w.run()
	}
}

// TestSignalToAClientIsBound checks a process number that is bound, in text and in binary form.
func TestSignalToAClientIsBound(t *testing.T) {
	four := binary.BigEndian.AppendUint32(nil, clientNumber)
	for name, c := range map[string]struct {
		sql    string
		format wire.Formats
		value  []byte
		want   []byte
	}{
		"text":  {"SELECT pg_cancel_backend($1)", wire.Formats{}, []byte("1073741824"), []byte("4242")},
		"int4":  {"SELECT pg_cancel_backend($1)", wire.MakeFormats(1), four, binary.BigEndian.AppendUint32(nil, 4242)},
		"int8":  {"SELECT pg_cancel_backend($1::bigint::int)", wire.MakeFormats(1), append(make([]byte, 4), four...), binary.BigEndian.AppendUint64(nil, 4242)},
		"const": {"SELECT pg_cancel_backend(1073741824)", wire.Formats{}, nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			w, s := targetWorld(t)
			bind := wire.BindView{Statement: []byte("a"), Formats: c.format}
			if c.value != nil {
				bind.Params = wire.MakeValues(c.value)
			}
			b := wire.AppendParse(nil, "a", c.sql, wire.MakeOIDs())
			w.greeted(w.sends(wire.AppendExecute(wire.AppendBind(b, &bind), "", 0), syncs))
			var got wire.BindView
			w.then(func() {
				cut := wire.CutRequests()
				for p := s.out; len(p) > 0; {
					m, rest, err := cut.Next(p)
					if err != nil {
						t.Fatal(err)
					}
					if p = rest; m.Kind == wire.Bind {
						got, _ = wire.ViewBind(m.Body())
					}
				}
				for value := range got.Params.All() {
					if string(value) != string(c.want) {
						t.Errorf("the server got the parameter %q, want %q", value, c.want)
					}
				}
				if name == "const" && string(got.Statement) != "pgherd_2" {
					t.Errorf("the Bind names statement %q, want pgherd_2", got.Statement)
				}
				w.same("releases before the answer", w.released, 0)
				if s.in = append(s.in, wire.AppendParseComplete(nil)); name == "const" {
					s.in = append(s.in, wire.AppendParseComplete(nil))
				}
				s.in = append(s.in, wire.AppendBindComplete(nil), wire.AppendTextRow(nil, "t"), done("SELECT 1"))
			})
			w.then(s.says(state()), w.sends(terminate))
			w.run()
			w.same("released", w.released, 1)
		})
	}
}

// TestSummoned checks that a client to which a signal is sent gets a server, and keeps it until the signal has come. If it can get
// none, it goes on.
func TestSummoned(t *testing.T) {
	w, s := sharingWorld(t, 1)
	w.greeted(func() { w.session.Summon() })
	w.then(func() {
		got, done := w.session.Summoned()
		w.same("the server found", got, s[0].server)
		w.same("the lookup is done", done, true)
	})
	w.then(func() { w.same("servers returned", len(w.returned), 0) }, w.answered)
	w.then(func() { w.same("servers returned", len(w.returned), 1) }, func() { w.session.Summon() })
	w.then(w.is(WaitServer), func() {
		_, done := w.session.Summoned()
		w.same("the lookup is done", done, false)
	}, w.refuses(tooMany))
	w.then(func() {
		got, done := w.session.Summoned()
		w.same("the server found", got, (*pool.Server)(nil))
		w.same("the lookup is done", done, true)
	}, w.client.gets(t), w.sends(terminate))
	w.run()
}

// TestSignalToEach checks that in an array, in text or in binary form, the numbers of clients are replaced by those of their
// processes. Other numbers stay.
func TestSignalToEach(t *testing.T) {
	array := func(numbers ...uint32) []byte {
		to := binary.BigEndian
		b := to.AppendUint32(to.AppendUint32(to.AppendUint32(nil, 1), 0), 23)
		b = to.AppendUint32(to.AppendUint32(b, uint32(len(numbers))), 1)
		for _, n := range numbers {
			b = to.AppendUint32(to.AppendUint32(b, 4), n)
		}
		return b
	}
	for name, c := range map[string]struct {
		format      wire.Formats
		value, want []byte
	}{
		"text":   {wire.Formats{}, []byte("{1073741824,7,77}"), []byte("{4242,7,1}")},
		"binary": {wire.MakeFormats(1), array(clientNumber, 7, 77), array(4242, 7, 1)},
	} {
		t.Run(name, func(t *testing.T) {
			w, s := targetWorld(t)
			b := wire.AppendParse(nil, "a", "select pg_terminate_backend(n) from unnest($1::int[]) n", nil)
			bind := wire.BindView{Statement: []byte("a"), Formats: c.format, Params: wire.MakeValues(c.value)}
			w.greeted(w.sends(wire.AppendExecute(wire.AppendBind(b, &bind), "", 0), syncs))
			w.then(func() {
				cut := wire.CutRequests()
				for p := s.out; len(p) > 0; {
					m, rest, err := cut.Next(p)
					if err != nil {
						t.Fatal(err)
					}
					if p = rest; m.Kind != wire.Bind {
						continue
					}
					got, _ := wire.ViewBind(m.Body())
					for value := range got.Params.All() {
						if string(value) != string(c.want) {
							t.Errorf("the server got the parameter %q, want %q", value, c.want)
						}
					}
				}
				w.same("releases before the answer", w.released, 0)
			}, s.says(wire.AppendParseComplete(nil), wire.AppendBindComplete(nil), wire.AppendTextRow(nil, "t"), done("SELECT 3")))
			w.then(s.says(state()), w.sends(terminate))
			w.run()
			w.same("released", w.released, 1)
		})
	}
}
