package wire

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"
)

// gather cuts the stream, which it passes in pieces as cut says, and returns the messages as wholes.
func gather(t testing.TB, c Cutter, stream []byte, cut func() int) (got [][]byte, err error) {
	t.Helper()
	open := false
	for len(stream) > 0 {
		n := min(max(1, cut()), len(stream))
		chunk := bytes.Clone(stream[:n])
		stream = stream[n:]
		for len(chunk) > 0 {
			var m Message
			if m, chunk, err = c.Next(chunk); err != nil {
				return got, err
			}
			if len(m.Bytes) == 0 {
				continue
			}
			if m.First == open {
				t.Fatalf("%v: first is %v inside of a message: %v", m.Kind, m.First, open)
			}
			if m.First {
				got = append(got, nil)
			}
			got[len(got)-1] = append(got[len(got)-1], m.Bytes...)
			open = !m.Last
		}
	}
	return got, nil
}

func message(tag byte, body []byte) []byte {
	n := len(body) + 4
	return append([]byte{tag, byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}, body...)
}

func TestCutterFindsMessagesHoweverTheyArrive(t *testing.T) {
	want := [][]byte{
		message('Z', []byte("I")),
		message('D', make([]byte, 3000)),
		message('2', nil),
		message('E', make([]byte, WholeLimit+1)),
		message('S', []byte("a\x00b\x00")),
		message('d', make([]byte, 200_000)),
		message('Z', []byte("T")),
	}
	stream := bytes.Join(want, nil)
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 1))
		most := 1 + random.IntN(20_000)
		got, err := gather(t, CutReplies(), stream, func() int { return random.IntN(most) })
		if err != nil || len(got) != len(want) {
			t.Fatalf("seed %d: got %d messages, error %v", seed, len(got), err)
		}
		for i := range want {
			if !bytes.Equal(got[i], want[i]) {
				t.Fatalf("seed %d: message %d differs", seed, i)
			}
		}
	}
}

func TestCutterDeliversWholeWhatSessionsLookInto(t *testing.T) {
	c := CutRequests()
	q := message('Q', []byte("select 1\x00"))
	for i := range len(q) - 1 {
		m, rest, err := c.Next(q[i : i+1])
		if err != nil || len(m.Bytes) != 0 || len(rest) != 0 {
			t.Fatalf("byte %d: got message %v, rest %v, error %v", i, m, rest, err)
		}
	}
	m, _, err := c.Next(q[len(q)-1:])
	if err != nil || !m.First || !m.Last || !m.Copied || !bytes.Equal(m.Bytes, q) {
		t.Fatalf("got %+v, error %v", m, err)
	}
	if !c.Between() {
		t.Fatal("the Cutter is not between messages")
	}
}

func TestCutterRefusesWhatIsNotTheProtocol(t *testing.T) {
	for _, row := range []struct {
		name   string
		cutter Cutter
		bytes  []byte
	}{
		{"unknown type from a client", CutRequests(), []byte{'!', 0, 0, 0, 4}},
		{"unknown type from a server", CutReplies(), []byte{'P', 0, 0, 0, 4}},
		{"length below its own four bytes", CutRequests(), []byte{'S', 0, 0, 0, 3}},
		{"negative length", CutRequests(), []byte{'Q', 0xff, 0xff, 0xff, 0xff}},
		{"a huge length of a small kind", CutRequests(), []byte{'E', 0x3f, 0, 0, 0}},
		{"a length over 1 GB", CutRequests(), []byte{'Q', 0x40, 0, 0, 0}},
		{"ReadyForQuery without its state", CutReplies(), []byte{'Z', 0, 0, 0, 4}},
		{"ReadyForQuery with more", CutReplies(), []byte{'Z', 0, 0, 0, 6}},
	} {
		for _, most := range []int{1, 100} {
			if _, err := gather(t, row.cutter, row.bytes, func() int { return most }); err == nil {
				t.Errorf("%s: the bytes are accepted", row.name)
			}
		}
	}
}

func TestCutterDoesNotAllocateOnRows(t *testing.T) {
	chunk := bytes.Repeat(message('D', make([]byte, 100)), 50)
	c := CutReplies()
	if n := testing.AllocsPerRun(100, func() {
		for p := chunk; len(p) > 0; {
			_, p, _ = c.Next(p)
		}
	}); n != 0 {
		t.Fatalf("got %v allocations, want none", n)
	}
}

func FuzzCutter(f *testing.F) {
	f.Add(message('Q', []byte("select 1\x00")), uint8(3))
	f.Add(message('d', make([]byte, 100)), uint8(7))
	f.Fuzz(func(t *testing.T, stream []byte, step uint8) {
		for _, c := range []Cutter{CutRequests(), CutReplies()} {
			whole, err1 := gather(t, c, stream, func() int { return len(stream) })
			pieces, err2 := gather(t, c, stream, func() int { return int(step) })
			if (err1 == nil) != (err2 == nil) {
				t.Fatalf("in one piece: got error %v, in several: %v", err1, err2)
			}
			for i := range min(len(whole), len(pieces)) {
				if err1 == nil && !bytes.Equal(whole[i], pieces[i]) {
					t.Fatalf("message %d differs", i)
				}
			}
		}
	})
}

// TestRun checks that a run has the messages that Next would return one by one, up to the first one that is of another kind,
// incomplete or wrong.
func TestRun(t *testing.T) {
	row, other := AppendTextRow(nil, "a", "some text"), AppendCommandComplete(nil, "SELECT 3")
	wrong := []byte{'D', 0, 0, 0, 3, 0}
	for _, test := range []struct {
		name string
		p    []byte
		want int
	}{
		{"nothing", nil, 0},
		{"rows", slices.Concat(row, row, row), 3 * len(row)},
		{"rows and their end", slices.Concat(row, row, other, row), 2 * len(row)},
		{"another kind", other, 0},
		{"a row and a piece of one", slices.Concat(row, row[:len(row)-1]), len(row)},
		{"a row and a piece of a header", slices.Concat(row, row[:HeaderLen-1]), len(row)},
		{"a row and one with a wrong length", slices.Concat(row, wrong), len(row)},
	} {
		cut := CutReplies()
		if got := cut.Run(test.p, DataRow); got != test.want {
			t.Errorf("%s: got %d, want %d", test.name, got, test.want)
		}
	}
	cut := CutReplies()
	if _, _, err := cut.Next(row[:7]); err != nil || cut.Run(row[7:], DataRow) != 0 {
		t.Error("a run begins in the middle of a message")
	}
}
