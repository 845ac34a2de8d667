package faults_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"pgherd/bench/herd"
)

// nonsense is what is sent to the port instead of a start-up packet, with the SQLSTATE of the answer. There is none if
// the client could not read it.
var nonsense = []struct {
	name string
	sent []byte
	want string
}{
	{"nothing", nil, ""},
	{"garbage", []byte("\x9c\x01\xff\x00garbage\x00\xff"), "08P01"},
	{"zeros", make([]byte, 64), "08P01"},
	{"HTTP", []byte("GET / HTTP/1.1\r\nHost: db\r\n\r\n"), "08P01"},
	{"SSH", []byte("SSH-2.0-OpenSSH_9.2\r\n"), "08P01"},
	{"huge length", []byte{0x7f, 0xff, 0xff, 0xff, 0, 3, 0, 0}, "08P01"},
	{"negative length", []byte{0xff, 0xff, 0xff, 0xff, 0, 3, 0, 0}, "08P01"},
	{"length of 4", []byte{0, 0, 0, 4}, "08P01"},
	{"over 10,000 bytes", startup(protocol30, "user", "alice", "application_name", strings.Repeat("x", 10000)), "08P01"},
	{"no end", first(append(binary.BigEndian.AppendUint32(nil, protocol30), "user\x00alice"...)), "08P01"},
	{"no user", startup(protocol30, "database", "app"), "28000"},
	{"version 2", startup(2<<16, "user", "alice"), "0A000"},
	{"version 4", startup(4<<16, "user", "alice"), "0A000"},
	{"unknown database", startup(protocol30, "user", "alice", "database", "nowhere"), "3D000"},
	{"wrong parameter", startup(protocol30, "user", "alice", "database", "app", "work_mem", "much"), "22023"},
	{"TLS where there is none", []byte{0x16, 3, 1, 0, 200, 1, 0, 0, 196, 3, 3}, ""},
	{"SSLRequest twice", slices.Concat(sslRequest, sslRequest), "08P01"},
}

var sslRequest = first(binary.BigEndian.AppendUint32(nil, 1234<<16|5679))

func TestNonsenseAsFirstPacket(t *testing.T) {
	engines(t, func(t *testing.T, engine string) {
		proxy := trusting(t, engine)
		l := startPaced(dsn(proxy.Port, herd.User), 2, 5*time.Millisecond, nil)
		for _, c := range nonsense {
			conn, err := dial(proxy)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := conn.Write(c.sent); err != nil {
				t.Fatal(err)
			}
			if c.sent == nil || c.want == "" {
				conn.(*net.TCPConn).CloseWrite() // the client sends nothing more
			}
			wantEnd(t, c.name, conn, c.want)
			conn.Close()
		}
		progress(t, l, 3)
		endLoad(t, l)
		allIdle(t, proxy)
		settled(t, proxy)
	})
}

// wantEnd reads up to the end of the connection, before which an error of this SQLSTATE must come.
func wantEnd(t *testing.T, name string, conn net.Conn, want string) {
	t.Helper()
	got, rest, err := endOf(conn)
	if err != nil {
		t.Errorf("%s: got error %v", name, err)
	}
	if got != want {
		t.Errorf("%s: got SQLSTATE %q, want %q (last bytes read: %q)", name, got, want, rest)
	}
}

// endOf returns the last error before the end of the connection, which must come.
func endOf(conn net.Conn) (code, last string, err error) {
	all, err := io.ReadAll(conn)
	if errors.Is(err, net.ErrClosed) || err != nil && !isReset(err) {
		return "", string(all), err
	}
	all = []byte(strings.TrimLeft(string(all), "NS\x00")) // these are the answers to SSLRequest
	for len(all) >= 5 {
		n := int(binary.BigEndian.Uint32(all[1:])) + 1
		if n > len(all) {
			return code, string(all), fmt.Errorf("half a message: %q", all)
		}
		if all[0] == 'E' {
			code = fault(all[5:n]).Code
		}
		last, all = string(all[:n]), all[n:]
	}
	return code, last, nil
}

func isReset(err error) bool { return strings.Contains(err.Error(), "reset by peer") }

// wrongMessages are sent in the middle of a session.
var wrongMessages = []struct {
	name string
	sent []byte
	want string
}{
	{"unknown type", message('!', 1, 2, 3), "08P01"},
	{"type of a reply", message('Z', 'I'), "08P01"},
	{"length of 3", []byte{'Q', 0, 0, 0, 3}, "08P01"},
	{"length of 0", []byte{'Q', 0, 0, 0, 0}, "08P01"},
	{"negative length", []byte{'Q', 0xff, 0xff, 0xff, 0xff}, "08P01"},
	{"huge length", []byte{'S', 0x3f, 0xff, 0xff, 0xff}, "08P01"},
	{"password", message('p', []byte("alice\x00")...), "08P01"},
	{"start-up packet", startup(protocol30, "user", "alice"), "08P01"},
}

func TestNonsenseWithinSession(t *testing.T) {
	engines(t, func(t *testing.T, engine string) {
		proxy := trusting(t, engine)
		l := startPaced(dsn(proxy.Port, herd.User), 2, 5*time.Millisecond, nil)
		for _, before := range []string{"", "SELECT 1", "BEGIN", "CREATE TEMP TABLE bad (t text); COPY bad FROM STDIN", "SELECT pg_sleep(0.05)"} {
			for _, c := range wrongMessages {
				conn := rawConn(t, proxy)
				sent := c.sent
				if before != "" {
					sent = append(query(before), sent...)
				}
				send(t, conn, sent)
				wantEnd(t, before+", "+c.name, conn, c.want)
				conn.Close()
			}
		}
		progress(t, l, 3)
		endLoad(t, l)
		allIdle(t, proxy)
		settled(t, proxy)
	})
}

// dialogue is a typical client's part of a session, after its start-up packet.
func dialogue() []byte {
	parse := message('P', []byte("s\x00SELECT $1::text, pg_backend_pid()\x00\x00\x00")...)
	bind := message('B', []byte("\x00s\x00\x00\x00\x00\x01\x00\x00\x00\x02hi\x00\x00")...)
	return slices.Concat(query("SELECT 1"), parse, bind, message('D', 'P', 0), message('E', 0, 0, 0, 0, 0), message('H'), message('S'),
		query("BEGIN; CREATE TEMP TABLE d (t text) ON COMMIT DROP; COPY d FROM STDIN"), message('d', []byte("row\n")...), message('c'),
		query("SELECT count(*) FROM d; SELECT 1/0"), query("ROLLBACK"), message('X'))
}

// TestClientVanishesAfterEachByte has a client that vanishes after each byte of a dialogue, by a FIN or a RST, with its
// answers read or not.
func TestClientVanishesAfterEachByte(t *testing.T) {
	engines(t, func(t *testing.T, engine string) {
		proxy := trusting(t, engine)
		l := startPaced(dsn(proxy.Port, herd.User), 3, 5*time.Millisecond, nil)
		start := startup(protocol30, "user", herd.User, "database", herd.Database)
		talk := dialogue()
		err := each(len(start), 8, func(k int) error {
			conn, err := dial(proxy)
			if err != nil {
				return err
			}
			defer vanish(conn, k%2 == 0)
			_, err = conn.Write(start[:k])
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		err = each(2*len(talk), 8, func(k int) error {
			conn, err := rawLogin(proxy)
			if err != nil {
				return err
			}
			defer vanish(conn, k%2 == 0)
			if _, err := conn.Write(talk[:k/2]); err != nil {
				return err
			}
			if k%3 == 0 { // the client reads something first
				if err := conn.SetReadDeadline(time.Now().Add(5 * time.Millisecond)); err != nil {
					return err
				}
				_, _ = conn.Read(make([]byte, 1024)) // nothing may have arrived
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		progress(t, l, 3)
		endLoad(t, l)
		allIdle(t, proxy)
		t.Logf("%d sessions were cut off; there are %d servers afterwards", len(start)+2*len(talk), settled(t, proxy))
	})
}

// TestDialogueIsAnswered checks that the same dialogue gets all answers if it is sent as a whole. This shows that the
// test above is right.
func TestDialogueIsAnswered(t *testing.T) {
	engines(t, func(t *testing.T, engine string) {
		proxy := trusting(t, engine)
		conn := rawConn(t, proxy)
		send(t, conn, dialogue())
		all, err := io.ReadAll(conn)
		if err != nil {
			t.Fatal(err)
		}
		var kinds []byte
		for len(all) >= 5 {
			kinds = append(kinds, all[0])
			all = all[1+binary.BigEndian.Uint32(all[1:]):]
		}
		const want = "TDCZ" + "12TDCZ" + "CCGCZ" + "TDCEZ" + "CZ"
		if got := strings.ReplaceAll(string(kinds), "S", ""); got != want {
			t.Errorf("got answers %s, want %s", got, want)
		}
	})
}
