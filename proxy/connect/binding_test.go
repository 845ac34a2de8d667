package connect

import (
	"context"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgherd/bench/herd"
	"pgherd/bench/herd/herdtest"
	"pgherd/proxy/auth"
	"pgherd/proxy/certs"
)

// TestServersBind logs in to PostgreSQL by SCRAM-SHA-256-PLUS, with a password and with keys that a
// client's proof has revealed.
func TestServersBind(t *testing.T) {
	t.Parallel()
	h := herdtest.StartTLS(t, "SELECT 1", "hostssl all all 127.0.0.1/32 scram-sha-256", "hostnossl all alice 127.0.0.1/32 scram-sha-256",
		"hostnossl all all 127.0.0.1/32 trust")
	for _, c := range []struct {
		mode    certs.Mode
		binding string
		user    string
		secret  auth.Secret
		code    string
	}{
		{certs.Require, "prefer", "alice", auth.PlainSecret("alice", "alice"), ""},
		{certs.Require, bindingRequired, "alice", auth.PlainSecret("alice", "alice"), ""},
		{certs.Require, bindingOff, "alice", auth.PlainSecret("alice", "alice"), ""},
		{certs.Require, bindingRequired, "alice", auth.PlainSecret("alice", "wrong"), "28P01"},
		{certs.Require, bindingRequired, "alice", learntSecret(t, h, "alice", "alice"), ""},
		{certs.Disable, "prefer", "alice", learntSecret(t, h, "alice", "alice"), ""},
		{certs.Disable, bindingRequired, "alice", learntSecret(t, h, "alice", "alice"), "28000"},
		{certs.Disable, bindingRequired, "postgres", auth.Secret{}, "28000"}, // trust has no channel binding
		{certs.Disable, "prefer", "postgres", auth.Secret{}, ""},
	} {
		c2 := bindingConnector(t, h, c.mode, c.binding)
		target := appKey.Target()
		target.User = c.user
		err := c2.Verify(t.Context(), 0, target, c.secret)
		if code, _ := faultOf(err); code != c.code || (err == nil) != (c.code == "") {
			t.Errorf("%s, binding %s, user %s: got error %v, want code %q", c.mode, c.binding, c.user, err, c.code)
		}
	}
	learnt := learntSecret(t, h, "alice", "alice")
	if _, err := h.Exec(t.Context(), "ALTER ROLE alice PASSWORD 'alice'"); err != nil {
		t.Fatal(err)
	}
	err := bindingConnector(t, h, certs.Require, "prefer").Verify(t.Context(), 0, appKey.Target(), learnt)
	if code, message := faultOf(err); code != "28P01" || !strings.Contains(message, "SCRAM verifier") {
		t.Errorf("keys of an old verifier: got error %v", err)
	}
}

func bindingConnector(t *testing.T, h *herd.Herd, mode certs.Mode, binding string) *Connector {
	t.Helper()
	node := h.Nodes()[0]
	tls, err := certs.ForNodes(mode, &certs.NodeSettings{})
	if err != nil {
		t.Fatal(err)
	}
	return connectorOf(&Settings{LoginTimeout: 20 * time.Second, Binding: binding, Nodes: map[int]Address{
		0: {Name: "node 0", Network: "tcp", Address: net.JoinHostPort(node.Host, strconv.Itoa(node.Port)), TLS: tls.To(node.Host)}}})
}

// learntSecret is the secret that remains of a user's log-in, checked by PostgreSQL's verifier.
func learntSecret(t *testing.T, h *herd.Herd, user, password string) auth.Secret {
	t.Helper()
	verifier, err := h.Exec(t.Context(), "SELECT rolpassword FROM pg_authid WHERE rolname = '"+user+"'")
	if err != nil {
		t.Fatal(err)
	}
	passwd, err := auth.ParsePasswd(user+":"+verifier, "")
	if err != nil {
		t.Fatal(err)
	}
	policy := &auth.Policy{Passwd: passwd}
	ours, theirs := net.Pipe()
	defer theirs.Close()
	go auth.LogIn(theirs, startParams(appKey.Target()), auth.Access{Secret: auth.PlainSecret(user, password)})
	skipStartup(t, ours)
	grant, err := policy.Check(context.Background(), ours, auth.Peer{Local: true, User: user, Database: "app"})
	if err != nil {
		t.Fatal(err)
	}
	return grant.Secret
}

// skipStartup reads a start-up packet and ignores it.
func skipStartup(t *testing.T, conn net.Conn) {
	t.Helper()
	if _, err := conn.Read(make([]byte, 1024)); err != nil {
		t.Fatal(err)
	}
}
