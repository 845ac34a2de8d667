package login

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"log/slog"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"pgherd/proxy/certs"
	"pgherd/proxy/certs/certstest"
	"pgherd/proxy/wire"
	"pgherd/proxy/wire/wiretest"
)

// knock logs in as alice to database safe with a client certificate, and returns the gate's answer.
func knock(t *testing.T, g *testGate, a *certstest.Authority, cert, protocol string) (string, error) {
	t.Helper()
	config := &tls.Config{InsecureSkipVerify: true}
	if protocol != "" {
		config.NextProtos = []string{protocol}
	}
	if cert != "" {
		pair, err := tls.LoadX509KeyPair(a.Path(cert+".crt"), a.Path(cert+".key"))
		if err != nil {
			t.Fatal(err)
		}
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil } // the certificate is sent whether it is asked for or not
	}
	socket, err := net.Dial("tcp", g.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	socket.SetDeadline(time.Now().Add(wiretest.Patience))
	socket.Write(wire.AppendSSLRequest(nil))
	io.ReadFull(socket, make([]byte, 1))
	conn := tls.Client(socket, config)
	if _, err := io.WriteString(conn, startupOf("alice", "safe")); err != nil {
		return "", err
	}
	answer, err := io.ReadAll(conn)
	return string(answer), err
}

func TestClientCertificates(t *testing.T) {
	ours, theirs := certstest.NewAuthority(t, "ours"), certstest.NewAuthority(t, "theirs")
	ours.Issue("localhost", x509.ExtKeyUsageServerAuth, "localhost")
	ours.Issue("alice", x509.ExtKeyUsageClientAuth)
	ours.Issue("bob", x509.ExtKeyUsageClientAuth)
	theirs.Issue("alice", x509.ExtKeyUsageClientAuth)
	files := &certs.ClientSettings{Cert: ours.Path("localhost.crt"), Key: ours.Path("localhost.key"), CA: ours.Path("ca.crt")}
	config, err := certs.ForClients(files, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	g := startGate(t, func(s *Settings) { s.TLS = config })
	const in, handshakeFails = "R\x00\x00\x00\x08\x00\x00\x00\x00", ""
	for _, c := range []struct {
		by       *certstest.Authority
		cert     string
		protocol string
		want     string
	}{
		{ours, "alice", "", in},
		{ours, "alice", certs.ALPN, in},
		{ours, "bob", "", "28000"},
		{ours, "", "", "connection requires a valid client certificate"},
		{theirs, "alice", "", handshakeFails},
		{ours, "alice", "http/1.1", handshakeFails},
	} {
		answer, err := knock(t, g, c.by, c.cert, c.protocol)
		if c.want == handshakeFails && (err == nil || answer != "") || !strings.Contains(answer, c.want) {
			t.Errorf("certificate %s of %s, ALPN %q: got answer %q, error %v", c.cert, c.by.Name(), c.protocol, answer, err)
		}
	}
	g.closeAll()
	if got := g.logins()[0].Client.TLS; !strings.HasPrefix(got, "TLS 1.3 TLS_") {
		t.Errorf("TLS is described as %q", got)
	}
}

func TestRevokedCertificates(t *testing.T) {
	a := certstest.NewAuthority(t, "ours")
	a.Issue("localhost", x509.ExtKeyUsageServerAuth, "localhost")
	serial := a.Issue("alice", x509.ExtKeyUsageClientAuth)
	later := time.Now().Add(time.Hour)
	other := certstest.NewAuthority(t, "ours") // it has the same name and another key
	for name, c := range map[string]struct {
		crl string
		in  bool
	}{
		"another one is revoked": {a.Revoke("other", later, big.NewInt(99)), true},
		"this one is revoked":    {a.Revoke("alice", later, serial), false},
		"the list is old":        {a.Revoke("old", time.Now().Add(-time.Minute)), false},
		"a forged list":          {other.Revoke("forged", later), false},
	} {
		files := &certs.ClientSettings{Cert: a.Path("localhost.crt"), Key: a.Path("localhost.key"), CA: a.Path("ca.crt"), CRL: c.crl}
		config, err := certs.ForClients(files, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		g := startGate(t, func(s *Settings) { s.TLS = config })
		answer, err := knock(t, g, a, "alice", "")
		if in := strings.HasPrefix(answer, "R"); in != c.in {
			t.Errorf("%s: got answer %q, error %v", name, answer, err)
		}
	}
}
