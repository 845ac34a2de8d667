package statements

import (
	"slices"
	"strings"
	"testing"

	"pgherd/proxy/pool"
	"pgherd/proxy/wire"
)

// TestShorten checks that digests distinguish long statements, and find the same statement again.
func TestShorten(t *testing.T) {
	var all []string
	for _, n := range []int{10, 2000, 2001} {
		text := strings.Repeat("x", n)
		a, b := New(text, nil, nil), New(text, nil, nil)
		a.Shorten()
		b.Shorten()
		if a.Key != b.Key || len(a.Key) > keyLimit || slices.Contains(all, a.Key) {
			t.Errorf("keys %q, %q", a.Key, b.Key)
		}
		all = append(all, a.Key)
	}
}

// TestKeyHasTheSettings checks that the same text under other settings is another statement.
func TestKeyHasTheSettings(t *testing.T) {
	plain := New("SELECT 'x'\x00\x00\x00", nil, nil)
	under := New("SELECT 'x'\x00\x00\x00", nil, pool.Settings{"search_path": "'a'", "datestyle": "'german'"})
	again := New("SELECT 'x'\x00\x00\x00", nil, pool.Settings{"datestyle": "'german'", "search_path": "'a'"})
	if plain.Key == under.Key || under.Key != again.Key {
		t.Errorf("keys %q, %q, %q", plain.Key, under.Key, again.Key)
	}
}

// TestTyped checks that a statement is prepared again with the types that its client was told.
func TestTyped(t *testing.T) {
	st := New("SELECT $1\x00\x00\x00", nil, nil)
	if got := st.Typed(); got != st.Text {
		t.Errorf("before the Describe: got %q", got)
	}
	types := "\x00\x01\x00\x00\x00\x17" // one parameter, of type 23
	st.Promise.Hear(reply(wire.ParameterDescription, types))
	if got := st.Typed(); got != "SELECT $1\x00"+types {
		t.Errorf("after the Describe: got %q", got)
	}
}

func reply(kind wire.Kind, body string) wire.Message {
	return wire.Message{Kind: kind, First: true, Last: true, Bytes: append(make([]byte, wire.HeaderLen), body...)}
}

// TestSetCounts checks that the bytes of what is kept are counted, and that nothing is left of what
// was dropped.
func TestSetCounts(t *testing.T) {
	var s Set
	a, b := New("SELECT 1", nil, nil), New("SELECT 22", nil, nil)
	want := func(what string, n int) {
		t.Helper()
		if got := s.Bytes(); got != n {
			t.Errorf("%s: got %d bytes, want %d", what, got, n)
		}
	}
	s.Keep("a", a)
	want("one", a.Size("a"))
	s.Keep("a", b)
	want("another under its name", b.Size("a"))
	s.Promise(b, reply(wire.ParameterDescription, "\x00\x01\x00\x00\x00\x17"))
	want("its parameters are known", b.Size("a"))
	size := b.Size("a")
	s.Doubt("a")
	want("closed, unless the server skips that", size)
	s.Keep("a", b)
	s.Certain()
	want("taken back", b.Size("a"))
	s.Unnamed = New("SELECT 333", nil, nil)
	want("an unnamed one", b.Size("a")+len("SELECT 333"))
	s.DoubtUnnamed()
	s.Unnamed = nil
	want("the unnamed one may come back", b.Size("a")+len("SELECT 333"))
	s.Certain()
	s.Clear()
	s.Drop("a")
	want("none", 0)
}

// FuzzBound checks that reading a number does not panic, whatever a Parse and a Bind hold.
func FuzzBound(f *testing.F) {
	f.Add("SELECT pg_terminate_backend($1)\x00\x00\x00", []byte("\x00\x00\x00\x00\x00\x01\x00\x00\x00\x0221\x00\x00"))
	f.Fuzz(func(t *testing.T, text string, bind []byte) { (&Statement{Text: text}).Bound(bind, 0, "") })
}

// TestBound checks that a number is read as PostgreSQL would read it.
func TestBound(t *testing.T) {
	declared := func(oid string) string { return "SELECT pg_cancel_backend($1)\x00\x00\x01" + oid }
	const text, int4, none = "\x00\x00\x00\x19", "\x00\x00\x00\x17", "\x00\x00\x00\x00"
	for _, c := range []struct {
		name, parse, value string
		binary, known      bool
		from               string
		want               int64
	}{
		{"text", declared(int4), "21", false, true, "", 21},
		{"binary int4", declared(int4), "\x00\x00\x00\x15", true, true, "", 21},
		{"binary int8", declared(none), "\x00\x00\x00\x00\x00\x00\x00\x15", true, true, "", 21},
		{"binary text", declared(text), "21", true, true, "", 21},
		{"binary, cast from text", declared(none), "21", true, true, "text", 21},
		{"binary of another length", declared(none), "\x15\x00\x00", true, false, "", 0},
		{"binary int8 that is no int4", declared(none), "\x00\x00\x00\x15\x00\x00\x00\x15", true, false, "", 0},
	} {
		v := wire.BindView{Params: wire.MakeValues([]byte(c.value))}
		bind := wire.AppendBind(nil, &v)[wire.HeaderLen:]
		if c.binary { // the Bind has one format for all parameters
			bind = []byte("\x00\x00\x00\x01\x00\x01" + string(bind[4:]))
		}
		n, known := (&Statement{Text: c.parse}).Bound(bind, 0, c.from)
		if known != c.known || known && n != c.want {
			t.Errorf("%s: got %d, known: %v", c.name, n, known)
		}
	}
}
