// Package certs reads the files that TLS needs, towards clients and towards nodes:
// certificates, keys, authorities and revocation lists. It turns names of files into a
// tls.Config, and its errors say which parameter of the configuration they are about
// (config.Of). It knows neither who connects nor PostgreSQL's messages.
package certs

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"pgherd/proxy/config"
)

// ALPN is the protocol that PostgreSQL's clients name inside TLS. They must name it if
// the connection begins with TLS, and may name it after an SSLRequest ("SSL Session
// Encryption").
const ALPN = "postgresql"

// ClientSettings are the ssl_* settings for clients.
type ClientSettings struct {
	Cert, Key  string
	CA, CADir  string // authorities for clients' certificates; "": clients are not asked for one
	CRL        string
	Ciphers    string
	Curves     string
	Passphrase string // command that prints the key's passphrase
}

// ForClients reads the files. Clients need at least TLS 1.2. The error joins everything that is
// wrong.
func ForClients(s *ClientSettings, log *slog.Logger) (*tls.Config, error) {
	cert, err := loadKeyPair(s.Cert, s.Key, s.Passphrase, "ssl_cert", "ssl_key")
	c := &tls.Config{
		Certificates:     []tls.Certificate{cert},
		MinVersion:       tls.VersionTLS12,
		NextProtos:       []string{ALPN},
		CipherSuites:     cipherSuites(s.Ciphers, log),
		CurvePreferences: curves(s.Curves, log),
		// As in PostgreSQL, because a resumed session would not ask for the certificate
		// again.
		SessionTicketsDisabled: true,
	}
	if err = errors.Join(err, askForCertificates(c, s)); err != nil {
		return nil, err
	}
	return c, nil
}

// askForCertificates asks clients for a certificate, if an authority is configured.
func askForCertificates(c *tls.Config, s *ClientSettings) (err error) {
	if s.CA == "" && s.CADir == "" {
		return nil
	}
	c.ClientCAs, err = loadAuthorities(s.CA, s.CADir)
	c.ClientAuth = tls.VerifyClientCertIfGiven
	revoked, unread := loadRevocations(s.CRL)
	c.VerifyConnection = func(state tls.ConnectionState) error { return revoked.check(state.VerifiedChains) }
	return errors.Join(err, config.Of("ssl_crl_file", unread))
}

// loadKeyPair reads both files; the last two arguments are the parameters that name
// them.
func loadKeyPair(certFile, keyFile, passphrase, namesCert, namesKey string) (tls.Certificate, error) {
	cert, unread := os.ReadFile(certFile)
	if unread != nil {
		unread = config.Of(namesCert, fmt.Errorf("read TLS certificate: %w", unread))
	}
	key, err := readKey(keyFile, passphrase)
	if err = errors.Join(unread, config.Of(namesKey, err)); err != nil {
		return tls.Certificate{}, err
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return tls.Certificate{}, config.Of(namesCert, fmt.Errorf("load TLS certificate %s with key %s: %w", certFile, keyFile, err))
	}
	return pair, nil
}

// loadAuthorities reads a file of certificates, or every file of a folder. Errors say
// which of the ssl_* parameters they are about.
func loadAuthorities(file, dir string) (*x509.CertPool, error) {
	pool := x509.NewCertPool()
	return pool, errors.Join(config.Of("ssl_ca_cert", addAuthorities(pool, file)), config.Of("ssl_ca_cert_dir", addFolder(pool, dir)))
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
