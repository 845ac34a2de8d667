package certs

import (
	"crypto/tls"
	"crypto/x509"
	"errors"

	"pgherd/proxy/config"
)

// PatroniSettings name the files for Patroni's REST API; each may be "".
type PatroniSettings struct {
	CA                    string // "": the authorities of the machine
	Cert, Key, Passphrase string // as in NodeSettings; "": a REST API that asks for a certificate gets none
}

// ForPatroni reads the files. The error joins everything that is wrong.
func ForPatroni(s *PatroniSettings) (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	var wrong error
	if s.CA != "" {
		c.RootCAs = x509.NewCertPool()
		wrong = config.Of("patroni_ca_file", addAuthorities(c.RootCAs, s.CA))
	}
	if s.Cert != "" {
		pair, err := loadKeyPair(s.Cert, s.Key, s.Passphrase, "patroni_cert_file", "patroni_key_file")
		c.Certificates, wrong = []tls.Certificate{pair}, errors.Join(wrong, err)
	}
	return c, wrong
}
