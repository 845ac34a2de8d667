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
	// For verify-ca and verify-full: who vouches for nodes, and who no more.
	roots   *x509.CertPool
	revoked revocations
}

// loadNodeTLS reads the files that all nodes have in common. The error joins all that is wrong.
func loadNodeTLS(mode tlsMode, f *nodeTLSFiles) (*nodeTLS, error) {
	if !slices.Contains(tlsModes, mode) {
		return nil, fmt.Errorf("set up TLS to servers: unknown sslmode %q", mode)
	}
	t := &nodeTLS{mode: mode}
	if mode == tlsDisable {
		return t, nil
	}
	// Verification is our own, below: Go's verifies the name too, or nothing.
	t.config = &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: true, NextProtos: []string{alpn}}
	var wrong error
	if f.cert != "" {
		pair, err := loadKeyPair(f.cert, f.key, f.passphrase, "server_tls_cert_file", "server_tls_key_file")
		t.config.Certificates, wrong = []tls.Certificate{pair}, err
	}
	if t.verifies() {
		wrong = errors.Join(wrong, t.loadTrust(f))
	}
	if wrong != nil {
		return nil, wrong
	}
	return t, nil
}

func (t *nodeTLS) verifies() bool { return t.mode == tlsVerifyCA || t.mode == tlsVerifyFull }

func (t *nodeTLS) loadTrust(f *nodeTLSFiles) (err error) {
	if f.ca == "" && f.caDir == "" {
		return fmt.Errorf("set up TLS to servers: sslmode %s needs the authorities' certificates", t.mode)
	}
	if t.roots, err = loadAuthorities(f.ca, f.caDir); err != nil {
		return of("server_tls_ca_file", err)
	}
	t.revoked, err = loadRevocations(f.crl)
	return err
}

// to is for one node: host is what its certificate must name for verify-full.
func (t *nodeTLS) to(host string) *nodeTLS {
	if t.config == nil {
		return t
	}
	own := *t
	own.config = t.config.Clone()
	if !strings.HasPrefix(host, "/") {
		own.config.ServerName = host // for SNI; Go leaves addresses out
	}
	if t.verifies() {
		own.config.VerifyConnection = func(s tls.ConnectionState) error {
			return verifyServer(&s, t.roots, t.revoked, t.mode, host)
		}
	}
	return &own
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
