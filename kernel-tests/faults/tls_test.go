package faults_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/md5"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"pgherd/bench/herd"
)

// authority signs certificates, each of which is a pair of files NAME.crt and NAME.key.
type authority struct {
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T, name string) *authority {
	t.Helper()
	a := &authority{dir: t.TempDir()}
	a.cert = certificate(name)
	a.cert.IsCA, a.cert.BasicConstraintsValid, a.cert.KeyUsage = true, true, x509.KeyUsageCertSign
	var err error
	if a.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	a.sign(t, "ca", a.cert, a.key)
	return a
}

func certificate(name string) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}
}

// issue makes a certificate for a server at localhost, or for a client with this name.
func (a *authority) issue(t *testing.T, file, name string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := certificate(name)
	c.DNSNames, c.IPAddresses = []string{"localhost"}, []net.IP{net.IPv4(127, 0, 0, 1)}
	c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	a.sign(t, file, c, key)
}

func (a *authority) sign(t *testing.T, file string, c *x509.Certificate, key *ecdsa.PrivateKey) {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, c, a.cert, &key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for path, block := range map[string]*pem.Block{
		a.crt(file): {Type: "CERTIFICATE", Bytes: der}, a.private(file): {Type: "PRIVATE KEY", Bytes: private},
	} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func (a *authority) crt(file string) string     { return filepath.Join(a.dir, file+".crt") }
func (a *authority) private(file string) string { return filepath.Join(a.dir, file+".key") }

// tlsConfig sets up TLS on both sides, with certificates of a for clients.
func tlsConfig(a *authority, mode string) string {
	return fmt.Sprintf("ssl = on\nssl_cert = '%s'\nssl_key = '%s'\nssl_ca_cert = '%s'\nserver_tls_sslmode = '%s'\nserver_tls_ca_file = '%s'\n",
		a.crt("pgherd"), a.private("pgherd"), a.crt("ca"), mode, world.herd.Certs.CA)
}

const tlsHBA = "hostssl all bob 127.0.0.1/32 cert\nhostssl all all 127.0.0.1/32 scram-sha-256\nhost all postgres 127.0.0.1/32 scram-sha-256\n"

func startTLS(t *testing.T, a *authority, engine, mode, config string) *herd.Proxy {
	t.Helper()
	a.issue(t, "pgherd", "localhost")
	return startProxy(t, herd.ProxySettings{HBA: tlsHBA, Config: "io_engine = " + engine + "\n" + tlsConfig(a, mode) + config})
}

func verifying(a *authority) string {
	return fmt.Sprintf("host=localhost sslmode=verify-full sslrootcert=%s", a.crt("ca"))
}

// TestTLSOnBothLegs checks every way to connect by TLS, with TLS to the server behind it.
func TestTLSOnBothLegs(t *testing.T) {
	engines(t, func(t *testing.T, engine string) {
		a := newAuthority(t, "clients' authority")
		a.issue(t, "bob", herd.UserMD5)
		a.issue(t, "eve", "eve")
		newAuthority(t, "another").issueInto(t, a, "stranger", herd.UserMD5)
		for _, mode := range []string{"verify-full", "verify-ca"} {
			proxy := startTLS(t, a, engine, mode, "")
			full := verifying(a)
			for _, c := range []struct{ name, user, options string }{
				{"verify-full", herd.User, full},
				{"direct", herd.User, full + " sslnegotiation=direct"},
				{"client certificate", herd.UserMD5, full + a.client("bob")},
				{"client certificate, direct", herd.UserMD5, full + " sslnegotiation=direct" + a.client("bob")},
			} {
				conn := connectAs(t, proxy, c.user, c.options)
				got := mustAsk(t, conn, "SELECT usename || ' ' || ssl FROM pg_stat_activity JOIN pg_stat_ssl USING (pid) WHERE pid = pg_backend_pid()")
				if got != c.user+" true" {
					t.Errorf("%s: the server sees %q", c.name, got)
				}
			}
			for _, c := range []struct{ name, user, options string }{
				{"no TLS", herd.User, ""},
				{"no certificate", herd.UserMD5, full},
				{"certificate of another user", herd.UserMD5, full + a.client("eve")},
				{"certificate of another authority", herd.UserMD5, full + a.client("stranger")},
			} {
				if conn, err := tryConnect(proxy, c.user, c.options); err == nil {
					closeConn(conn)
					t.Errorf("%s: the client was let in", c.name)
				}
			}
			psqlOverTLS(t, proxy, a)
		}
	})
}

func (a *authority) client(file string) string {
	return fmt.Sprintf(" sslcert=%s sslkey=%s", a.crt(file), a.private(file))
}

// issueInto puts a certificate of this authority into the folder of another one.
func (a *authority) issueInto(t *testing.T, other *authority, file, name string) {
	t.Helper()
	moved := *a
	moved.dir = other.dir
	moved.issue(t, file, name)
}

// psqlOverTLS checks what libpq shows of the connection.
func psqlOverTLS(t *testing.T, p *herd.Proxy, a *authority) {
	t.Helper()
	out, err := program(t, "psql", "-XAt", fmt.Sprintf("port=%d user=%s password=%s dbname=%s %s", p.Port, herd.User, herd.User, herd.Database, verifying(a)),
		"-c", `\conninfo`, "-c", "SELECT count(*) FROM generate_series(1, 100000)")
	if err != nil || !strings.Contains(out, "TLSv1.3") || !strings.Contains(out, "100000") {
		t.Errorf("psql: %v\n%s", err, out)
	}
}

// TestTLSServerIsVerified checks that a server that pgherd cannot verify is not used.
func TestTLSServerIsVerified(t *testing.T) {
	a := newAuthority(t, "another authority")
	a.issue(t, "pgherd", "localhost")
	proxy, err := herd.StartProxy(t.Context(), herd.ProxySettings{Binary: world.binary, Nodes: world.herd.Nodes()[:1], HBA: trustHBA,
		Config: fmt.Sprintf("server_tls_sslmode = verify-ca\nserver_tls_ca_file = '%s'\nbackend_flag0 = ALWAYS_PRIMARY", a.crt("ca"))})
	if err != nil {
		t.Fatal(err)
	}
	defer proxy.Stop()
	eventually(t, "a client is told", func() error {
		conn, err := tryConnect(proxy, herd.User, "")
		if err == nil {
			closeConn(conn)
			t.Fatal("a server of an unknown authority was used")
		}
		if sqlstate(err) != "08001" && sqlstate(err) != "57P03" {
			return err
		}
		return nil
	})
}

// TestLoadOverTLS checks under load all that is checked without TLS, while the certificate is replaced and servers move
// between workers.
func TestLoadOverTLS(t *testing.T) {
	engines(t, func(t *testing.T, engine string) {
		a := newAuthority(t, "clients' authority")
		proxy := startTLS(t, a, engine, "verify-full", "workers = 2\n")
		l := startLoad(dsn(proxy.Port, herd.User)+" "+verifying(a), 8, nil)
		progress(t, l, 5)
		before := shownSerial(t, proxy, a)
		a.issue(t, "pgherd", "localhost")
		signal(t, proxy, syscall.SIGHUP)
		eventually(t, "the new certificate is shown", func() error {
			if after := shownSerial(t, proxy, a); after == before {
				return fmt.Errorf("the serial number is still %s", after)
			}
			return nil
		})
		progress(t, l, 10)
		largeOverTLS(t, proxy, a)
		endLoad(t, l)
		allIdle(t, proxy)
		settled(t, proxy)
	})
}

// shownSerial is the serial number of the certificate that a client is shown by direct TLS.
func shownSerial(t *testing.T, p *herd.Proxy, a *authority) string {
	t.Helper()
	text, err := os.ReadFile(a.crt("ca"))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(text)
	ctx, cancel := context.WithTimeout(t.Context(), answerLimit)
	defer cancel()
	d := tls.Dialer{Config: &tls.Config{RootCAs: roots, ServerName: "localhost", NextProtos: []string{"postgresql"}}}
	conn, err := d.DialContext(ctx, "tcp", address(p))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	return conn.(*tls.Conn).ConnectionState().PeerCertificates[0].SerialNumber.String()
}

const tlsRows = 64 << 10 // number of rows, of 1 KB each

// largeOverTLS copies 64 MB out and in again.
func largeOverTLS(t *testing.T, p *herd.Proxy, a *authority) {
	t.Helper()
	ctx, cancel := limited(2 * answerLimit)
	defer cancel()
	conn := connectAs(t, p, herd.User, verifying(a))
	defer closeConn(conn)
	const rows = "SELECT repeat(md5(i::text), 32) AS t FROM generate_series(1, %d) i"
	read, write := io.Pipe()
	sum := md5.New()
	go func() {
		_, err := conn.CopyTo(ctx, io.MultiWriter(write, sum), fmt.Sprintf("COPY ("+rows+") TO STDOUT", tlsRows))
		write.CloseWithError(err)
	}()
	other := connectAs(t, p, herd.User, verifying(a))
	defer closeConn(other)
	mustAsk(t, other, "CREATE TEMP TABLE large (t text)")
	tag, err := other.CopyFrom(ctx, read, "COPY large FROM STDIN")
	if err != nil || tag.RowsAffected() != tlsRows {
		t.Fatalf("COPY returned %v, error %v", tag, err)
	}
	want := md5.New()
	for i := range tlsRows {
		one := md5.Sum(fmt.Append(nil, i+1))
		io.WriteString(want, strings.Repeat(hex.EncodeToString(one[:]), 32)+"\n")
	}
	if string(sum.Sum(nil)) != string(want.Sum(nil)) {
		t.Error("the 64 MB that were copied out differ")
	}
	if got := mustAsk(t, other, fmt.Sprintf("SELECT count(*) FROM (SELECT t FROM large EXCEPT ("+rows+")) wrong", tlsRows)); got != "0" {
		t.Errorf("%s rows differ in PostgreSQL", got)
	}
}

// TestTLSServerMovesBetweenWorkers has one server with TLS serve clients on two workers in turn, so that its TLS state
// moves with it.
func TestTLSServerMovesBetweenWorkers(t *testing.T) {
	engines(t, func(t *testing.T, engine string) {
		a := newAuthority(t, "clients' authority")
		proxy := startTLS(t, a, engine, "verify-full", "workers = 2\nmax_node_connections = 1\n")
		pids := map[string]bool{}
		for range 40 {
			conn := connectAs(t, proxy, herd.User, verifying(a))
			pids[mustAsk(t, conn, "SELECT pg_backend_pid()")] = true
			if got := mustAsk(t, conn, "SELECT length(repeat('x', 100000))"); got != "100000" {
				t.Errorf("got %q", got)
			}
			closeConn(conn)
		}
		if len(pids) != 1 {
			t.Errorf("%d servers were opened, want 1", len(pids))
		}
		err := each(200, 8, func(i int) error {
			conn, err := tryConnect(proxy, herd.User, verifying(a))
			if err != nil {
				return err
			}
			defer closeConn(conn)
			if got, err := ask(conn, fmt.Sprintf("SELECT %d", i)); err != nil || got != fmt.Sprint(i) {
				return fmt.Errorf("got %q, want %d, error %w", got, i, err)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
		allIdle(t, proxy)
		settled(t, proxy)
	})
}
