package proxy

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// tlsMode is how a node's TLS is used, with libpq's names for sslmode.
type tlsMode string

// The modes, from weak to strong.
const (
	tlsDisable    tlsMode = "disable"
	tlsAllow      tlsMode = "allow"  // as prefer: never weaker than asked for
	tlsPrefer     tlsMode = "prefer" // TLS if the server has it; nothing is verified
	tlsRequire    tlsMode = "require"
	tlsVerifyCA   tlsMode = "verify-ca"
	tlsVerifyFull tlsMode = "verify-full"
)

var tlsModes = []tlsMode{tlsDisable, tlsAllow, tlsPrefer, tlsRequire, tlsVerifyCA, tlsVerifyFull}

// nodeTLSFiles are the files for connections to nodes; each may be "".
type nodeTLSFiles struct {
	ca, caDir, crl        string
	cert, key, passphrase string
}

// nodeTLS is how to speak with a node: an immutable snapshot.
type nodeTLS struct {
	mode   tlsMode
	config *tls.Config // nil if disabled
}

// loadNodeTLS reads the files. host is what the certificate must name for
// verify-full.
func loadNodeTLS(mode tlsMode, host string, f *nodeTLSFiles) (*nodeTLS, error) {
	if !slices.Contains(tlsModes, mode) {
		return nil, fmt.Errorf("set up TLS to servers: unknown sslmode %q", mode)
	}
	if mode == tlsDisable {
		return &nodeTLS{mode: mode}, nil
	}
	// Verification is our own, below: Go's verifies the name too, or nothing.
	c := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: true, NextProtos: []string{alpn}}
	if !strings.HasPrefix(host, "/") {
		c.ServerName = host // for SNI; Go leaves addresses out
	}
	if f.cert != "" {
		pair, err := loadKeyPair(f.cert, f.key, f.passphrase, "server_tls_cert_file", "server_tls_key_file")
		if err != nil {
			return nil, err
		}
		c.Certificates = []tls.Certificate{pair}
	}
	if mode == tlsVerifyCA || mode == tlsVerifyFull {
		if err := addVerification(c, mode, host, f); err != nil {
			return nil, err
		}
	}
	return &nodeTLS{mode: mode, config: c}, nil
}

func addVerification(c *tls.Config, mode tlsMode, host string, f *nodeTLSFiles) error {
	if f.ca == "" && f.caDir == "" {
		return fmt.Errorf("set up TLS to servers: sslmode %s needs the authorities' certificates", mode)
	}
	roots, err := loadAuthorities(f.ca, f.caDir)
	if err != nil {
		return of("server_tls_ca_file", err)
	}
	revoked, err := loadRevocations(f.crl)
	if err != nil {
		return err
	}
	c.VerifyConnection = func(s tls.ConnectionState) error {
		return verifyServer(&s, roots, revoked, mode, host)
	}
	return nil
}

// verifyServer checks the chain, and for verify-full the name.
func verifyServer(s *tls.ConnectionState, roots *x509.CertPool, revoked revocations, mode tlsMode, host string) error {
	if len(s.PeerCertificates) == 0 {
		return errors.New("verify server: it has no certificate")
	}
	leaf := s.PeerCertificates[0]
	between := x509.NewCertPool()
	for _, cert := range s.PeerCertificates[1:] {
		between.AddCert(cert)
	}
	chains, err := leaf.Verify(x509.VerifyOptions{Roots: roots, Intermediates: between})
	if err != nil {
		return fmt.Errorf("verify server: %w", err)
	}
	if err := revoked.check(chains); err != nil {
		return err
	}
	if mode == tlsVerifyFull {
		return verifyName(leaf, host)
	}
	return nil
}

// verifyName is RFC 6125 as libpq has it: a certificate without any
// alternative name, as many made by hand for PostgreSQL, counts by its common name.
func verifyName(leaf *x509.Certificate, host string) error {
	if len(leaf.DNSNames) == 0 && len(leaf.IPAddresses) == 0 && len(leaf.EmailAddresses) == 0 && len(leaf.URIs) == 0 {
		if host != "" && strings.EqualFold(leaf.Subject.CommonName, host) {
			return nil
		}
	}
	if err := leaf.VerifyHostname(host); err != nil {
		return fmt.Errorf("verify server: %w", err)
	}
	return nil
}
