package proxy

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"pgherd/proxy/auth"
)

// alpn is the protocol that PostgreSQL's clients name inside TLS. It must be
// named where TLS comes first, and may be where SSLRequest does
// ("SSL Session Encryption").
const alpn = "postgresql"

// tlsFiles are the ssl_* settings for clients.
type tlsFiles struct {
	cert, key  string
	ca, caDir  string // who vouches for clients' certificates; "": they are not asked for
	crl        string
	ciphers    string
	curves     string
	passphrase string // command that prints the key's passphrase
}

// loadTLS reads the files. Clients need TLS 1.2 at least. The error joins all that is wrong.
func loadTLS(f *tlsFiles, log *slog.Logger) (*tls.Config, error) {
	cert, err := loadKeyPair(f.cert, f.key, f.passphrase, "ssl_cert", "ssl_key")
	c := &tls.Config{
		Certificates:     []tls.Certificate{cert},
		MinVersion:       tls.VersionTLS12,
		NextProtos:       []string{alpn},
		CipherSuites:     cipherSuites(f.ciphers, log),
		CurvePreferences: curves(f.curves, log),
		// As PostgreSQL: a resumed session would not ask for the certificate again.
		SessionTicketsDisabled: true,
	}
	if err = errors.Join(err, askForCertificates(c, f)); err != nil {
		return nil, err
	}
	return c, nil
}

// askForCertificates has clients vouched for, if there is somebody to do so.
func askForCertificates(c *tls.Config, f *tlsFiles) (err error) {
	if f.ca == "" && f.caDir == "" {
		return nil
	}
	c.ClientCAs, err = loadAuthorities(f.ca, f.caDir)
	c.ClientAuth = tls.VerifyClientCertIfGiven
	revoked, unread := loadRevocations(f.crl)
	c.VerifyConnection = func(s tls.ConnectionState) error { return revoked.check(s.VerifiedChains) }
	return errors.Join(err, of("ssl_crl_file", unread))
}

// loadKeyPair reads both files; the last two are the parameters that name them.
func loadKeyPair(certFile, keyFile, passphrase, namesCert, namesKey string) (tls.Certificate, error) {
	cert, unread := os.ReadFile(certFile)
	if unread != nil {
		unread = of(namesCert, fmt.Errorf("read TLS certificate: %w", unread))
	}
	key, err := readKey(keyFile, passphrase)
	if err = errors.Join(unread, of(namesKey, err)); err != nil {
		return tls.Certificate{}, err
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return tls.Certificate{}, of(namesCert, fmt.Errorf("load TLS certificate %s with key %s: %w", certFile, keyFile, err))
	}
	return pair, nil
}

// loadAuthorities reads a file of certificates, and every file of a folder
// that holds one. Errors say which of ssl_* they are about.
func loadAuthorities(file, dir string) (*x509.CertPool, error) {
	pool := x509.NewCertPool()
	return pool, errors.Join(of("ssl_ca_cert", addAuthorities(pool, file)), of("ssl_ca_cert_dir", addFolder(pool, dir)))
}

func addAuthorities(pool *x509.CertPool, file string) error {
	if file == "" {
		return nil
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("read TLS authorities: %w", err)
	}
	if !pool.AppendCertsFromPEM(pem) {
		return fmt.Errorf("read TLS authorities: %s holds no certificate", file)
	}
	return nil
}

func addFolder(pool *x509.CertPool, dir string) error {
	if dir == "" {
		return nil
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("read TLS authorities: %w", err)
	}
	found := false
	for _, entry := range entries {
		if pem, err := os.ReadFile(filepath.Join(dir, entry.Name())); err == nil {
			found = pool.AppendCertsFromPEM(pem) || found
		}
	}
	if !found {
		return errors.New("read TLS authorities: no certificate in " + dir)
	}
	return nil
}

// ownBinding is what clients may bind SCRAM to: our certificate.
func ownBinding(c *tls.Config) auth.Binding {
	if len(c.Certificates) != 1 {
		return nil
	}
	leaf := c.Certificates[0].Leaf
	if leaf == nil {
		leaf, _ = x509.ParseCertificate(c.Certificates[0].Certificate[0])
	}
	return auth.EndPoint(leaf)
}

// describeTLS is a connection's version and cipher, "" without TLS.
func describeTLS(conn *tls.Conn) string {
	if conn == nil {
		return ""
	}
	state := conn.ConnectionState()
	return tls.VersionName(state.Version) + " " + tls.CipherSuiteName(state.CipherSuite)
}
