package certs

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"

	"pgherd/proxy/config"
)

// Mode says how TLS is used with a node, by libpq's names of sslmode.
type Mode string

// The modes, from weak to strong.
const (
	Disable    Mode = "disable"
	Allow      Mode = "allow"  // like prefer, so never weaker than asked for
	Prefer     Mode = "prefer" // TLS if the server has it; nothing is verified
	Require    Mode = "require"
	VerifyCA   Mode = "verify-ca"
	VerifyFull Mode = "verify-full"
)

var modes = []Mode{Disable, Allow, Prefer, Require, VerifyCA, VerifyFull}

// NodeSettings name the files for connections to nodes; each may be "".
type NodeSettings struct {
	CA, CADir, CRL        string
	Cert, Key, Passphrase string
}

// Node says how to connect to a node; it is an immutable snapshot.
type Node struct {
	Mode   Mode
	Config *tls.Config // nil if disabled
	// For verify-ca and verify-full: the authorities, and the certificates that they
	// have revoked.
	roots   *x509.CertPool
	revoked revocations
}

// ForNodes reads the files that all nodes have in common. The error joins everything that is
// wrong.
func ForNodes(mode Mode, s *NodeSettings) (*Node, error) {
	if !slices.Contains(modes, mode) {
		return nil, fmt.Errorf("set up TLS to servers: unknown sslmode %q", mode)
	}
	t := &Node{Mode: mode}
	if mode == Disable {
		return t, nil
	}
	// The verification is done below, because Go either verifies the name too or
	// nothing at all.
	t.Config = &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: true, NextProtos: []string{ALPN}}
	var wrong error
	if s.Cert != "" {
		pair, err := loadKeyPair(s.Cert, s.Key, s.Passphrase, "server_tls_cert_file", "server_tls_key_file")
		t.Config.Certificates, wrong = []tls.Certificate{pair}, err
	}
	if t.verifies() {
		wrong = errors.Join(wrong, t.loadTrust(s))
	}
	if wrong != nil {
		return nil, wrong
	}
	return t, nil
}

func (t *Node) verifies() bool { return t.Mode == VerifyCA || t.Mode == VerifyFull }

func (t *Node) loadTrust(s *NodeSettings) (err error) {
	if s.CA == "" && s.CADir == "" {
		return fmt.Errorf("set up TLS to servers: sslmode %s needs the authorities' certificates", t.Mode)
	}
	if t.roots, err = loadAuthorities(s.CA, s.CADir); err != nil {
		return config.Of("server_tls_ca_file", err)
	}
	t.revoked, err = loadRevocations(s.CRL)
	return err
}

// To is the configuration for one node; host is the name that its certificate must have
// for verify-full.
func (t *Node) To(host string) *Node {
	if t.Config == nil {
		return t
	}
	own := *t
	own.Config = t.Config.Clone()
	if !strings.HasPrefix(host, "/") {
		own.Config.ServerName = host // for SNI; Go leaves addresses out
	}
	if t.verifies() {
		own.Config.VerifyConnection = func(state tls.ConnectionState) error {
			return verifyServer(&state, t.roots, t.revoked, t.Mode, host)
		}
	}
	return &own
}

// verifyServer checks the chain and, for verify-full, the name.
func verifyServer(s *tls.ConnectionState, roots *x509.CertPool, revoked revocations, mode Mode, host string) error {
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
	if mode == VerifyFull {
		return verifyName(leaf, host)
	}
	return nil
}

// verifyName follows RFC 6125 in libpq's way: for a certificate without any alternative
// name, as many made by hand for PostgreSQL are, the common name counts.
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
