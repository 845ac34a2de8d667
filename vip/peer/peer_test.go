package peer_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"pgherd/proxy/certs/certstest"
	"pgherd/vip/peer"
)

const talk = peer.Purpose("talk")

func byKey(t *testing.T, key string) *tls.Config {
	t.Helper()
	c, err := peer.ByKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return c.TLS
}

// settings are of a member of cluster c with the members a and b, of which change makes another.
func settings(t *testing.T, member string, secret *tls.Config, change func(*peer.Settings)) peer.Settings {
	s := peer.Settings{Log: slog.New(slog.NewTextHandler(t.Output(), nil)), TLS: secret, Purposes: []peer.Purpose{talk},
		Greeting: peer.Greeting{Version: "1", Cluster: "c", Member: member, Config: []peer.Digest{{Name: "backend_hostname0", Value: "x"}}},
		Members:  map[string]string{"a": "127.0.0.1:1", "b": "127.0.0.1:1"}}
	if change != nil {
		change(&s)
	}
	return s
}

func listen(t *testing.T, s peer.Settings) *peer.Network {
	t.Helper()
	n, err := peer.Listen("127.0.0.1:0", s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = n.Close() })
	return n
}

// pair is a, which dials, and b.
func pair(t *testing.T, a, b peer.Settings) (from, to *peer.Network) {
	to = listen(t, b)
	a.Members["b"] = to.Addr().String()
	return listen(t, a), to
}

// TestTalk checks that two members of one cluster have a connection.
func TestTalk(t *testing.T) {
	secret := byKey(t, "correct horse")
	from, to := pair(t, settings(t, "a", secret, nil), settings(t, "b", secret, nil))
	c, err := from.Dial(t.Context(), "b", talk)
	if err != nil {
		t.Fatal(err)
	}
	other, err := to.Accept(talk).Accept()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(c, "hello"); err != nil || c.Close() != nil {
		t.Fatal(err)
	}
	if text, err := io.ReadAll(other); string(text) != "hello" || err != nil {
		t.Errorf("b has got %q, %v", text, err)
	}
	if got := other.(peer.Conn).Peer.Member; got != "a" {
		t.Errorf("b talks to %q", got)
	}
}

// TestMisfits has members that may not talk to each other, and what is said of it.
func TestMisfits(t *testing.T) {
	secret, another := byKey(t, "correct horse"), byKey(t, "battery staple")
	for _, c := range []struct {
		what   string
		secret *tls.Config
		change func(*peer.Settings)
		want   string
	}{
		{"key", another, nil, "the other side has another wd_authkey"},
		{"cluster", secret, func(s *peer.Settings) { s.Greeting.Cluster = "d" }, "the cluster is d here and c there"},
		{"configuration", secret, func(s *peer.Settings) { s.Greeting.Config[0].Value = "y" }, "backend_hostname0 is y here and x there"},
		{"more configuration", secret, func(s *peer.Settings) {
			s.Greeting.Config = append(s.Greeting.Config, peer.Digest{Name: "backend_hostname1", Value: "z"})
		}, "backend_hostname1 is z here and not told there"},
		{"number", secret, func(s *peer.Settings) { s.Greeting.Member = "b" }, "both are member b"},
	} {
		t.Run(c.what, func(t *testing.T) {
			from, _ := pair(t, settings(t, "a", c.secret, c.change), settings(t, "b", secret, nil))
			if _, err := from.Dial(t.Context(), "b", talk); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("it fails with %v, want %q", err, c.want)
			}
		})
	}
}

// TestAnotherAnswers checks that a member is not taken for the one that was configured in its place.
func TestAnotherAnswers(t *testing.T) {
	secret := byKey(t, "correct horse")
	from, _ := pair(t, settings(t, "a", secret, nil), settings(t, "c", secret, nil))
	if _, err := from.Dial(t.Context(), "b", talk); err == nil || !strings.Contains(err.Error(), `member "c" answers there`) {
		t.Errorf("c answers at b's address: %v", err)
	}
}

// TestCertificates checks members that have certificates of one authority, and one of another.
func TestCertificates(t *testing.T) {
	ours, theirs := certstest.NewAuthority(t, "ours"), certstest.NewAuthority(t, "theirs")
	of := func(of, trusts *certstest.Authority) *tls.Config {
		of.Issue("member", x509.ExtKeyUsageServerAuth)
		c, err := peer.ByCertificates(of.Path("member.crt"), of.Path("member.key"), trusts.Path("ca.crt"))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	from, _ := pair(t, settings(t, "a", of(ours, ours), nil), settings(t, "b", of(ours, ours), nil))
	if _, err := from.Dial(t.Context(), "b", talk); err != nil {
		t.Error(err)
	}
	from, _ = pair(t, settings(t, "a", of(theirs, ours), nil), settings(t, "b", of(ours, ours), nil))
	if _, err := from.Dial(t.Context(), "b", talk); err == nil {
		t.Error("a member with a certificate of another authority is let in")
	}
	if _, err := peer.ByCertificates(ours.Path("member.crt"), ours.Path("member.key"), ours.Path("member.key")); err == nil || !strings.Contains(err.Error(), "has no certificate") {
		t.Errorf("a file without certificates: %v", err)
	}
}

// TestStrangersAreNotRead checks that who has proved nothing gets nothing, and keeps nobody waiting.
func TestStrangersAreNotRead(t *testing.T) {
	secret := byKey(t, "correct horse")
	from, to := pair(t, settings(t, "a", secret, nil), settings(t, "b", secret, nil))
	var silent []net.Conn
	elsewhere := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
	for range 40 { // who says nothing, more than there is room for
		c, err := elsewhere.Dial("tcp", to.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		silent = append(silent, c)
	}
	if c, err := from.Dial(t.Context(), "b", talk); err != nil {
		t.Errorf("a member has to wait for strangers: %v", err)
	} else {
		defer c.Close()
	}
	_, _ = io.WriteString(silent[0], `{"protocol":1,"cluster":"c","member":"a"}`)
	for _, c := range silent {
		_ = c.SetReadDeadline(time.Now().Add(time.Minute))
		answer, err := io.ReadAll(c) // to its end, which b makes
		if e, is := err.(net.Error); is && e.Timeout() || strings.Contains(string(answer), "cluster") {
			t.Errorf("a stranger gets %q, %v", answer, err)
		}
	}
}

// TestUnknownIsRefused checks that a connection of a stranger to the configuration, or for an unknown purpose, comes to
// nobody.
func TestUnknownIsRefused(t *testing.T) {
	secret := byKey(t, "correct horse")
	for what, change := range map[string]func(*peer.Settings){
		"member":  func(s *peer.Settings) { s.Greeting.Member = "z" },
		"purpose": nil,
	} {
		t.Run(what, func(t *testing.T) {
			from, _ := pair(t, settings(t, "a", secret, change), settings(t, "b", secret, nil))
			purpose := talk
			if change == nil {
				purpose = "chess"
			}
			c, err := from.Dial(t.Context(), "b", purpose)
			if err == nil { // both have greeted each other before b refuses
				_ = c.SetReadDeadline(time.Now().Add(time.Minute))
				if _, err = c.Read(make([]byte, 1)); err == nil {
					t.Error("b goes on with it")
				} else if e, is := err.(net.Error); is && e.Timeout() {
					t.Error("b keeps the connection")
				}
			}
		})
	}
}

// TestEnds checks that a Network that is closed keeps nobody waiting.
func TestEnds(t *testing.T) {
	secret := byKey(t, "correct horse")
	n := listen(t, settings(t, "a", secret, nil))
	accept := n.Accept(talk)
	ended := make(chan error, 1)
	go func() {
		_, err := accept.Accept()
		ended <- err
	}()
	stranger, err := net.Dial("tcp", n.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer stranger.Close()
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err == nil {
		t.Error("a connection is accepted after the end")
	}
	if _, err := n.Dial(context.Background(), "b", talk); err == nil {
		t.Error("nobody listens at b, and it is reached")
	}
}

func TestShortKey(t *testing.T) {
	if _, err := peer.ByKey("secret"); err == nil || !strings.HasPrefix(err.Error(), "wd_authkey is too short") {
		t.Errorf("a short key: %v", err)
	}
}
