package auth

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"pgherd/proxy/wire"
)

func codeOf(err error) string {
	if f, ok := errors.AsType[*wire.Fault](err); ok {
		return f.Code
	}
	if err != nil {
		return "not a fault: " + err.Error()
	}
	return ""
}

// converse runs both ends of a connection, and returns the result of each.
func converse[A, B any](t *testing.T, ours func(io.ReadWriter) (A, error), theirs func(io.ReadWriter) (B, error)) (a A, aErr error, b B, bErr error) {
	t.Helper()
	left, right := net.Pipe()
	deadline := time.Now().Add(20 * time.Second)
	left.SetDeadline(deadline)
	right.SetDeadline(deadline)
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer right.Close()
		b, bErr = theirs(right)
	}()
	a, aErr = ours(left)
	left.Close()
	<-done
	return a, aErr, b, bErr
}

// client answers any request for authentication with what it knows, as libpq would. It uses pgherd's code for
// logging in to servers, so PostgreSQL is the model of its other end.
func client(secret Secret) func(io.ReadWriter) (bool, error) {
	return func(conn io.ReadWriter) (bool, error) {
		l := &login{conn: conn, access: Access{Secret: secret}}
		for range 10 {
			if _, err := l.step(); err != nil {
				return l.proved, err
			}
			if l.proved {
				return true, nil
			}
		}
		return false, nil
	}
}

const testVerifier = "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="

func testPasswd(t testing.TB) *Passwd {
	t.Helper()
	p, err := ParsePasswd("plain:pencil\ntext:TEXTpencil\nhashed:md5"+md5Hex("pencil", "hashed")+
		"\nsealed:"+EncryptAES("pencil", "key")+"\nverifier:"+testVerifier+"\n", "key")
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestMethods checks the table of which client gets in by which method.
func TestMethods(t *testing.T) {
	passwd := testPasswd(t)
	const in, out = "", "28P01"
	for _, c := range []struct {
		method, user, password string
		code                   string
		proof                  Proof
		kind                   secretKind // the kind of secret by which pgherd logs in to servers
	}{
		{"trust", "plain", "", in, Here, plain},
		{"trust", "nobody", "", in, Here, empty},
		{"reject", "plain", "pencil", "28000", 0, 0},

		{"password", "plain", "pencil", in, Here, plain},
		{"password", "sealed", "pencil", in, Here, plain},
		{"password", "hashed", "pencil", in, Here, plain},
		{"password", "verifier", "pencil", in, Here, plain}, // with the password pgherd can log in to servers
		{"password", "plain", "wrong", out, 0, 0},
		{"password", "hashed", "wrong", out, 0, 0},
		{"password", "verifier", "wrong", out, 0, 0},
		{"password", "nobody", "anything", in, Server, plain}, // the server decides

		{"md5", "plain", "pencil", in, Here, plain},
		{"md5", "text", "pencil", in, Here, plain},
		{"md5", "hashed", "pencil", in, Here, md5Hash},
		{"md5", "verifier", "pencil", in, Here, learnt}, // the method becomes SCRAM
		{"md5", "plain", "wrong", out, 0, 0},
		{"md5", "hashed", "wrong", out, 0, 0},
		{"md5", "nobody", "pencil", out, 0, 0},

		{"scram-sha-256", "plain", "pencil", in, Here, plain},
		{"scram-sha-256", "sealed", "pencil", in, Here, plain},
		{"scram-sha-256", "verifier", "pencil", in, Here, learnt},
		{"scram-sha-256", "plain", "wrong", out, 0, 0},
		{"scram-sha-256", "verifier", "wrong", out, 0, 0},
		{"scram-sha-256", "hashed", "pencil", out, 0, 0},
		{"scram-sha-256", "nobody", "pencil", out, 0, 0},
	} {
		t.Run(c.method+"/"+c.user+"/"+c.password, func(t *testing.T) {
			hba, err := ParseHBA("local all all "+c.method, nil)
			if err != nil {
				t.Fatal(err)
			}
			policy := &Policy{HBA: hba, Passwd: passwd}
			peer := Peer{Local: true, User: c.user, Database: "db"}
			grant, err, _, _ := converse(t, func(conn io.ReadWriter) (Grant, error) { return policy.Check(t.Context(), conn, peer) },
				client(PlainSecret(c.user, c.password)))
			if codeOf(err) != c.code {
				t.Fatalf("got error %v, want code %q", err, c.code)
			}
			if err == nil && (grant.Proof != c.proof || grant.Secret.kind() != c.kind) {
				t.Errorf("got proof %d and a secret of kind %d, want %d and %d", grant.Proof, grant.Secret.kind(), c.proof, c.kind)
			}
		})
	}
}

// TestUnknownUserLooksKnown checks that an unknown user is asked for the same and gets the same
// answers as a known one, and that the salt stays the same from one attempt to the next.
func TestUnknownUserLooksKnown(t *testing.T) {
	hba, err := ParseHBA("local all all scram-sha-256", nil)
	if err != nil {
		t.Fatal(err)
	}
	policy := &Policy{HBA: hba, Passwd: testPasswd(t)}
	told := map[string]string{}
	for _, user := range []string{"plain", "nobody", "nobody"} {
		var salt string
		_, err, _, _ := converse(t,
			func(conn io.ReadWriter) (Grant, error) {
				return policy.Check(t.Context(), conn, Peer{Local: true, User: user, Database: "db"})
			},
			func(conn io.ReadWriter) (bool, error) {
				l := &login{conn: conn, access: Access{Secret: PlainSecret(user, "wrong")}}
				l.step()
				l.step()
				salt = string(l.access.Secret.held().keys.salt)
				return false, nil
			})
		refusal, ok := errors.AsType[*Refusal](err)
		if !ok {
			t.Fatalf("user %s: %v", user, err)
		}
		if want := `password authentication failed for user "` + user + `"`; refusal.Fault.Message != want || refusal.Fault.Code != "28P01" {
			t.Errorf("user %s gets the error %v", user, refusal.Fault)
		}
		if len(salt) != 16 || told[user] != "" && told[user] != salt {
			t.Errorf("user %s: the salt has %d bytes, or differs from the one before", user, len(salt))
		}
		told[user] = salt
	}
}

func TestWithoutRules(t *testing.T) {
	for _, c := range []struct {
		user, password string
		clear          bool
		code           string
		proof          Proof
	}{
		{"plain", "pencil", false, "", Here},
		{"plain", "wrong", false, "28P01", 0},
		{"plain", "wrong", true, "28P01", 0}, // a password of an entry must be proved, whatever else is allowed
		{"hashed", "pencil", false, "", Here},
		{"hashed", "wrong", false, "28P01", 0},
		{"verifier", "pencil", false, "", Here},
		{"nobody", "any", true, "", Server},
		{"nobody", "", true, "28P01", 0},
		{"nobody", "", false, "", Nobody},
	} {
		policy := &Policy{Passwd: testPasswd(t), AllowClearText: c.clear}
		grant, err, _, _ := converse(t,
			func(conn io.ReadWriter) (Grant, error) {
				return policy.Check(t.Context(), conn, Peer{Local: true, User: c.user, Database: "db"})
			},
			func(conn io.ReadWriter) (bool, error) {
				return client(newSecret(&held{kind: plain, user: c.user, text: c.password}))(conn)
			})
		if codeOf(err) != c.code || err == nil && grant.Proof != c.proof {
			t.Errorf("user %s, password %q, clear=%v: got proof %d, error %v", c.user, c.password, c.clear, grant.Proof, err)
		}
	}
}

// TestSharing checks that only clients that have proved the same share servers (I1).
func TestSharing(t *testing.T) {
	grants := map[string]Grant{
		"proved here":    {Proof: Here, Secret: PlainSecret("u", "p")},
		"right password": {Proof: Server, Secret: PlainSecret("u", "p")},
		"wrong password": {Proof: Server, Secret: PlainSecret("u", "q")},
		"nobody":         {Proof: Nobody},
	}
	seen := map[string]string{}
	for name, g := range grants {
		s := g.Sharing("u")
		if other, twice := seen[s]; twice {
			t.Errorf("%s and %s share servers", name, other)
		}
		seen[s] = name
		if s != g.Sharing("u") {
			t.Errorf("%s does not share with itself", name)
		}
	}
	if (Grant{Proof: Here}).Sharing("u") != "" {
		t.Error("a proof by pgherd changes the start-up parameters of the pool")
	}
}

func TestCertificates(t *testing.T) {
	hba, err := ParseHBA("hostssl full all all trust clientcert=verify-full\nhostssl ca all all trust clientcert=verify-ca\nhostssl cert all all cert\nhost all all all trust", nil)
	if err != nil {
		t.Fatal(err)
	}
	policy := &Policy{HBA: hba}
	for _, c := range []struct {
		database, name string
		certified      bool
		message        string
	}{
		{"full", "alice", true, ""},
		{"full", "bob", true, "certificate authentication failed"},
		{"full", "", false, "connection requires a valid client certificate"},
		{"ca", "bob", true, ""},
		{"ca", "alice", false, "connection requires a valid client certificate"},
		{"cert", "alice", true, ""},
		{"cert", "alice", false, "connection requires a valid client certificate"},
		{"cert", "bob", true, "certificate authentication failed"},
		{"cert", "", true, "certificate authentication failed"},
		{"other", "", false, ""},
	} {
		_, err := policy.Check(t.Context(), nil, Peer{Addr: netip.MustParseAddr("10.0.0.1"), TLS: true, Certified: c.certified,
			CommonName: c.name, User: "alice", Database: c.database})
		if c.message == "" && err != nil || c.message != "" && (codeOf(err) != "28000" || !strings.Contains(err.Error(), c.message)) {
			t.Errorf("%+v: got error %v", c, err)
		}
	}
}

// TestHostileClients checks that none of these clients is let in or makes a log-in hang, and that each gets an error or is
// disconnected.
func TestHostileClients(t *testing.T) {
	hba, _ := ParseHBA("local s all scram-sha-256\nlocal m all md5\nlocal p all password", nil)
	policy := &Policy{HBA: hba, Passwd: testPasswd(t)}
	for name, bytes := range map[string]string{
		"nothing":         "",
		"query":           "Q\x00\x00\x00\x0bselect 1\x00",
		"length bomb":     "p\x7f\xff\xff\xff",
		"negative length": "p\xff\xff\xff\xff",
		"cut short":       "p\x00\x00\x00\x10abc",
		"no zero":         "p\x00\x00\x00\x07abc",
		"mechanism PLUS":  "p\x00\x00\x00\x1cSCRAM-SHA-256-PLUS\x00\x00\x00\x00\x00",
		"data bomb":       "p\x00\x00\x00\x16SCRAM-SHA-256\x00\x7f\xff\xff\xff",
		"http":            "GET / HTTP/1.1\r\n\r\n",
	} {
		for _, database := range []string{"s", "m", "p"} {
			_, err, _, _ := converse(t,
				func(conn io.ReadWriter) (Grant, error) {
					return policy.Check(t.Context(), conn, Peer{Local: true, User: "plain", Database: database})
				},
				func(conn io.ReadWriter) (bool, error) {
					go io.WriteString(conn, bytes)
					_, _, err := readMessage(conn, wire.ReplyKind, 0)
					return false, err
				})
			if err == nil {
				t.Errorf("user %s got in by the database %s", name, database)
			}
		}
	}
}
