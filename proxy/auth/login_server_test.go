package auth

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgherd/bench/herd"
	"pgherd/proxy/wire"
)

// weird are passwords for which SASLprep matters. It forbids the last ones, which PostgreSQL then takes byte for
// byte.
var weird = []string{"I\u00ADX", "\u2168", "a\u00A0b", "e\u0301", "\uFF21\uFF22", "p\u00e4ssw\u00f6rd", "\u0627\u0628",
	"\U0001F600\u2168", "\u2168\u200Ex", "\u0627x\u0628", "\u2168\u0221", "'; -- \\ : \t"}

func testRoles() string {
	sql := "CREATE ROLE trusted LOGIN; CREATE ROLE clear LOGIN PASSWORD 'clear';"
	for i, password := range weird {
		sql += fmt.Sprintf("CREATE ROLE weird%d LOGIN PASSWORD '%s';", i, strings.ReplaceAll(password, "'", "''"))
	}
	return sql
}

// TestLogInToPostgreSQL logs in by every method for which a real server may ask.
func TestLogInToPostgreSQL(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	h, err := herd.Start(ctx, herd.Settings{HBA: []string{
		"host all trusted 127.0.0.1/32 trust", "host all clear 127.0.0.1/32 password",
		"host all bob 127.0.0.1/32 md5", "host all all 127.0.0.1/32 scram-sha-256"}})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Stop()
	if _, err := h.Exec(ctx, testRoles()); err != nil {
		t.Fatal(err)
	}
	verifier, err := h.Exec(ctx, "SELECT rolpassword FROM pg_authid WHERE rolname = 'weird0'")
	if err != nil {
		t.Fatal(err)
	}
	node := h.Nodes()[0]
	logIn := func(user string, secret Secret) (Welcome, error) {
		conn, err := net.Dial("tcp", net.JoinHostPort(node.Host, strconv.Itoa(node.Port)))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(30 * time.Second))
		return LogIn(conn, []wire.Param{{Name: "user", Value: user}, {Name: "database", Value: "postgres"}}, Access{Secret: secret})
	}
	hashed := newSecret(&held{kind: md5Hash, user: "bob", text: "md5" + md5Hex("bob", "bob")})
	known, err := ParsePasswd("weird0:"+strings.TrimSpace(verifier), "")
	if err != nil {
		t.Fatalf("PostgreSQL's own verifier: got error %v", err)
	}
	for _, c := range []struct {
		user   string
		secret Secret
		code   string
	}{
		{"trusted", Secret{}, ""},
		{"clear", PlainSecret("clear", "clear"), ""},
		{"clear", PlainSecret("clear", "wrong"), "28P01"},
		{"clear", Secret{}, "28000"},
		{"clear", hashed, "28000"},
		{"bob", PlainSecret("bob", "bob"), ""},
		{"bob", hashed, ""},
		{"bob", PlainSecret("bob", "wrong"), "28P01"},
		{"alice", PlainSecret("alice", "alice"), ""},
		{"alice", PlainSecret("alice", "wrong"), "28P01"},
		{"alice", hashed, "28000"},
		{"alice", Secret{}, "28000"},
		{"weird0", known.Find("weird0"), "28000"},
		{"nobody", PlainSecret("nobody", "x"), "28P01"},
	} {
		welcome, err := logIn(c.user, c.secret)
		if codeOf(err) != c.code {
			t.Errorf("user %s: got error %v, want code %q", c.user, err, c.code)
		}
		if err == nil && (welcome.PID == 0 || len(welcome.CancelKey) != 4 || len(welcome.Params) < 10) {
			t.Errorf("user %s: the log-in returned %v", c.user, welcome)
		}
	}
	for i, password := range weird {
		user := fmt.Sprintf("weird%d", i)
		if _, err := logIn(user, PlainSecret(user, password)); err != nil {
			t.Errorf("password %+q: got error %v", password, err)
		}
	}
}
