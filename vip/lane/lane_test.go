package lane

import (
	"bytes"
	"net"
	"net/netip"
	"testing"
	"time"
)

// two opens the lanes of members 1 and 2, with a key for each.
func two(t *testing.T, one, other string) (a, b *Lane, heard <-chan string) {
	t.Helper()
	anywhere := netip.MustParseAddrPort("127.0.0.1:0")
	members := map[int]netip.AddrPort{}
	var lanes []*Lane
	for i, key := range []string{one, other} {
		l, err := Listen(anywhere, Settings{Self: i + 1, Members: members, Key: []byte(key)})
		if err != nil {
			t.Fatal(err)
		}
		members[i+1] = l.Addr()
		lanes = append(lanes, l)
		t.Cleanup(func() { _ = l.Close() })
	}
	told := make(chan string, 16)
	go func() {
		_ = lanes[1].Receive(func(from int, message []byte) {
			if from != 1 {
				told <- "from somebody else"
			}
			told <- string(message)
		})
	}()
	return lanes[0], lanes[1], told
}

func hears(t *testing.T, heard <-chan string, want string) {
	t.Helper()
	select {
	case got := <-heard:
		if got != want {
			t.Errorf("member 2 hears %q, want %q", got, want)
		}
	case <-time.After(10 * time.Second):
		t.Errorf("member 2 does not hear %q", want)
	}
}

// TestLane checks that messages arrive as they were sent, and that one that is too long, or for nobody, is not sent.
func TestLane(t *testing.T) {
	a, _, heard := two(t, "key", "key")
	for _, message := range []string{"", "one", string(bytes.Repeat([]byte("x"), LongestMessage))} {
		if err := a.Send(2, []byte(message)); err != nil {
			t.Error(err)
		}
		hears(t, heard, message)
	}
	if err := a.Send(2, make([]byte, LongestMessage+1)); err == nil {
		t.Error("a message that is too long was sent")
	}
	if err := a.Send(3, nil); err == nil {
		t.Error("a message was sent to nobody")
	}
}

// TestUnproved checks that what no member has sent to this one is dropped: with another key, changed, cut short, sent back.
func TestUnproved(t *testing.T) {
	stranger, _, _ := two(t, "another key", "key")
	a, b, heard := two(t, "key", "key")
	packet := func(l *Lane, from, to byte, message string) []byte {
		return l.prove(append([]byte{version, 0, from, 0, to}, message...))
	}
	good := packet(a, 1, 2, "good")
	changed := bytes.Clone(good)
	changed[header]++
	for what, p := range map[string][]byte{
		"another key":                  packet(stranger, 1, 2, "bad"),
		"changed":                      changed,
		"cut short":                    good[:len(good)-1],
		"empty":                        {},
		"from nobody":                  packet(a, 9, 2, "bad"),
		"for another member":           packet(a, 1, 3, "bad"),
		"its own, sent back":           packet(a, 2, 2, "bad"),
		"of a later version of pgherd": a.prove([]byte{version + 1, 0, 1, 0, 2}),
		"too long":                     packet(a, 1, 2, string(make([]byte, LongestMessage+1))),
	} {
		if _, _, ok := b.open(p); ok {
			t.Errorf("%s: the message was taken", what)
		}
	}
	c, err := net.Dial("udp", b.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, p := range [][]byte{changed, good} {
		if _, err := c.Write(p); err != nil {
			t.Fatal(err)
		}
	}
	hears(t, heard, "good")
	if b.Dropped() != 1 {
		t.Errorf("%d messages were dropped, want 1", b.Dropped())
	}
}
