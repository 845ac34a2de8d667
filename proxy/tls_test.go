package proxy

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pgherd/proxy/wire"
	"pgherd/proxy/wire/wiretest"
)

// authority signs certificates for tests and writes them to files.
type authority struct {
	t    *testing.T
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	next int64
}

func newAuthority(t *testing.T, name string) *authority {
	a := &authority{t: t, dir: t.TempDir(), next: 2}
	a.key, _ = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true,
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign}
	der := a.sign(template, template, &a.key.PublicKey)
	var err error
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	a.write("ca.crt", "CERTIFICATE", der)
	return a
}

func (a *authority) sign(template, parent *x509.Certificate, key any) []byte {
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	return der
}

func (a *authority) path(name string) string { return filepath.Join(a.dir, name) }

func (a *authority) write(name, kind string, der []byte) {
	if err := os.WriteFile(a.path(name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		a.t.Fatal(err)
	}
}

// issue makes name.crt and name.key, and gives the serial number.
func (a *authority) issue(name string, usage x509.ExtKeyUsage, hosts ...string) *big.Int {
	key, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	serial := big.NewInt(a.next)
	a.next++
	der := a.sign(&x509.Certificate{SerialNumber: serial, Subject: pkix.Name{CommonName: name}, DNSNames: hosts,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), ExtKeyUsage: []x509.ExtKeyUsage{usage}}, a.cert, &key.PublicKey)
	a.write(name+".crt", "CERTIFICATE", der)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	a.write(name+".key", "PRIVATE KEY", der)
	return serial
}

// revoke writes name.crl with these serial numbers.
func (a *authority) revoke(name string, until time.Time, serials ...*big.Int) string {
	list := &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: time.Now().Add(-time.Hour), NextUpdate: until}
	for _, s := range serials {
		list.RevokedCertificateEntries = append(list.RevokedCertificateEntries, x509.RevocationListEntry{SerialNumber: s, RevocationTime: time.Now()})
	}
	der, err := x509.CreateRevocationList(rand.Reader, list, a.cert, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	a.write(name+".crl", "X509 CRL", der)
	return a.path(name + ".crl")
}

func (a *authority) files(name string) *tlsFiles {
	return &tlsFiles{cert: a.path(name + ".crt"), key: a.path(name + ".key")}
}

// knock logs in as alice to database safe with a client certificate and
// returns what the gate answers with.
func (a *authority) knock(g *testGate, cert, protocol string) (string, error) {
	config := &tls.Config{InsecureSkipVerify: true}
	if protocol != "" {
		config.NextProtos = []string{protocol}
	}
	if cert != "" {
		pair, err := tls.LoadX509KeyPair(a.path(cert+".crt"), a.path(cert+".key"))
		if err != nil {
			a.t.Fatal(err)
		}
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil } // asked for or not
	}
	socket, err := net.Dial("tcp", g.addr)
	if err != nil {
		a.t.Fatal(err)
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
	ours, theirs := newAuthority(t, "ours"), newAuthority(t, "theirs")
	ours.issue("localhost", x509.ExtKeyUsageServerAuth, "localhost")
	ours.issue("alice", x509.ExtKeyUsageClientAuth)
	ours.issue("bob", x509.ExtKeyUsageClientAuth)
	theirs.issue("alice", x509.ExtKeyUsageClientAuth)
	files := ours.files("localhost")
	files.ca = ours.path("ca.crt")
	config, err := loadTLS(files, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	g := startGate(t, func(s *loginSettings) { s.tls = config })
	const in, handshakeFails = "R\x00\x00\x00\x08\x00\x00\x00\x00", ""
	for _, c := range []struct {
		by       *authority
		cert     string
		protocol string
		want     string
	}{
		{ours, "alice", "", in},
		{ours, "alice", alpn, in},
		{ours, "bob", "", "28000"},
		{ours, "", "", "connection requires a valid client certificate"},
		{theirs, "alice", "", handshakeFails},
		{ours, "alice", "http/1.1", handshakeFails},
	} {
		answer, err := c.by.knock(g, c.cert, c.protocol)
		if c.want == handshakeFails && (err == nil || answer != "") || !strings.Contains(answer, c.want) {
			t.Errorf("%s of %s, ALPN %q: %q, %v", c.cert, c.by.cert.Subject, c.protocol, answer, err)
		}
	}
	g.closeAll()
	if got := g.logins()[0].Client.TLS; !strings.HasPrefix(got, "TLS 1.3 TLS_") {
		t.Errorf("TLS is described as %q", got)
	}
}

func TestRevokedCertificates(t *testing.T) {
	a := newAuthority(t, "ours")
	a.issue("localhost", x509.ExtKeyUsageServerAuth, "localhost")
	serial := a.issue("alice", x509.ExtKeyUsageClientAuth)
	later := time.Now().Add(time.Hour)
	other := newAuthority(t, "ours") // the same name, another key
	for name, c := range map[string]struct {
		crl string
		in  bool
	}{
		"another one is revoked": {a.revoke("other", later, big.NewInt(99)), true},
		"it is revoked":          {a.revoke("alice", later, serial), false},
		"the list is old":        {a.revoke("old", time.Now().Add(-time.Minute)), false},
		"a forged list":          {other.revoke("forged", later), false},
	} {
		files := a.files("localhost")
		files.ca, files.crl = a.path("ca.crt"), c.crl
		config, err := loadTLS(files, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		g := startGate(t, func(s *loginSettings) { s.tls = config })
		answer, err := a.knock(g, "alice", "")
		if in := strings.HasPrefix(answer, "R"); in != c.in {
			t.Errorf("%s: %q, %v", name, answer, err)
		}
	}
}

func TestLoadTLSErrors(t *testing.T) {
	a := newAuthority(t, "ours")
	a.issue("localhost", x509.ExtKeyUsageServerAuth, "localhost")
	os.WriteFile(a.path("text"), []byte("no PEM"), 0o600)
	os.Mkdir(a.path("empty"), 0o700)
	for want, change := range map[string]func(*tlsFiles){
		"read TLS certificate":               func(f *tlsFiles) { f.cert = a.path("none") },
		"read TLS key":                       func(f *tlsFiles) { f.key = a.path("none") },
		"load TLS certificate":               func(f *tlsFiles) { f.cert = a.path("text") },
		"holds no certificate":               func(f *tlsFiles) { f.ca = a.path("text") },
		"no certificate in":                  func(f *tlsFiles) { f.caDir = a.path("empty") },
		"read TLS authorities":               func(f *tlsFiles) { f.ca = a.path("none") },
		"holds none":                         func(f *tlsFiles) { f.ca, f.crl = a.path("ca.crt"), a.path("text") },
		"read TLS revocation list: open":     func(f *tlsFiles) { f.ca, f.crl = a.path("ca.crt"), a.path("none") },
		"ssl_passphrase_command is not set":  func(f *tlsFiles) { f.key = a.encrypted("secret", "sha256") },
		"cannot be decrypted":                func(f *tlsFiles) { f.key, f.passphrase = a.encrypted("secret", "sha256"), "echo wrong" },
		"run ssl_passphrase_command: exit s": func(f *tlsFiles) { f.key, f.passphrase = a.encrypted("secret", "sha256"), "echo secret; exit 3" },
	} {
		f := a.files("localhost")
		change(f)
		if _, err := loadTLS(f, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		} else if strings.Contains(err.Error(), "secret") {
			t.Errorf("the passphrase is in the error: %v", err)
		}
	}
	f := a.files("localhost")
	f.caDir = a.dir // text and keys in it are passed over
	if _, err := loadTLS(f, slog.New(slog.DiscardHandler)); err != nil {
		t.Error(err)
	}
}

func TestEncryptedKeys(t *testing.T) {
	a := newAuthority(t, "ours")
	a.issue("localhost", x509.ExtKeyUsageServerAuth, "localhost")
	for _, prf := range []string{"sha1", "sha256", "sha512"} {
		f := a.files("localhost")
		f.key, f.passphrase = a.encrypted("se cret%", prf), `printf 'se cret%%%%\nsecond line' ; : %p`
		if _, err := loadTLS(f, slog.New(slog.DiscardHandler)); err != nil {
			t.Errorf("%s: %v", prf, err)
		}
	}
}

func FuzzDecryptPKCS8(f *testing.F) {
	for _, prf := range []string{"sha1", "sha256", "sha512"} {
		f.Add(sealPKCS8([]byte("key"), "p", prf))
	}
	f.Fuzz(func(t *testing.T, der []byte) {
		if key, err := decryptPKCS8(der, "p"); (key == nil) == (err == nil) && len(key) > 0 {
			t.Fatalf("%q, %v", key, err)
		}
	})
}

func TestCiphersAndCurves(t *testing.T) {
	log := &testGate{}
	logger := slog.New(slog.NewTextHandler(log, nil))
	for list, want := range map[string][]uint16{
		"HIGH:MEDIUM:+3DES:!aNULL": nil,
		"":                         nil,
		"ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-CHACHA20-POLY1305": {tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256},
		"ECDHE-RSA-AES128-SHA:!ECDHE-RSA-AES128-SHA":                {},
	} {
		if got := cipherSuites(list, logger); !slices.Equal(got, want) || (got == nil) != (want == nil) {
			t.Errorf("%q: %v, want %v", list, got, want)
		}
	}
	if got := cipherSuites("HIGH:!ECDHE-RSA-AES128-SHA", logger); len(got) == 0 || slices.Contains(got, tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA) {
		t.Errorf("struck out: %v", got)
	}
	cipherSuites("DHE-RSA-AES128-SHA", logger)
	if !strings.Contains(log.logged(), "DHE-RSA-AES128-SHA") {
		t.Error("a suite that is not there goes unnoticed")
	}
	if got := curves("X25519:secp384r1:brainpoolP256r1", logger); !slices.Equal(got, []tls.CurveID{tls.X25519, tls.CurveP384}) {
		t.Errorf("curves: %v", got)
	}
	if got := curves("prime256v1", logger); got != nil {
		t.Errorf("the default is a choice: %v", got)
	}
}

// TestNodeTLSNames: common names count where there is no alternative name.
func TestNodeTLSNames(t *testing.T) {
	a := newAuthority(t, "ours")
	a.issue("by-hand", x509.ExtKeyUsageServerAuth)
	a.issue("modern", x509.ExtKeyUsageServerAuth, "db.example")
	for _, c := range []struct {
		cert, host string
		ok         bool
	}{
		{"by-hand", "by-hand", true}, {"by-hand", "BY-HAND", true}, {"by-hand", "other", false}, {"by-hand", "", false},
		{"modern", "db.example", true}, {"modern", "modern", false}, {"modern", "10.0.0.1", false},
	} {
		pair, err := tls.LoadX509KeyPair(a.path(c.cert+".crt"), a.path(c.cert+".key"))
		if err != nil {
			t.Fatal(err)
		}
		if err := verifyName(pair.Leaf, c.host); (err == nil) != c.ok {
			t.Errorf("%s at %q: %v", c.cert, c.host, err)
		}
	}
}

func TestNodeTLSErrors(t *testing.T) {
	for want, mode := range map[string]tlsMode{"unknown sslmode": "perhaps", "needs the authorities": tlsVerifyCA, "sslmode verify-full needs": tlsVerifyFull} {
		if _, err := loadNodeTLS(mode, &nodeTLSFiles{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", mode, err)
		}
	}
	if _, err := loadNodeTLS(tlsRequire, &nodeTLSFiles{cert: "/none"}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing certificate: %v", err)
	}
}
