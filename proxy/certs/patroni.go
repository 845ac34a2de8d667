package certs

import (
	"crypto/tls"
	"crypto/x509"
)

// ForHTTPS is how servers of HTTP are checked: by the authorities of a file, or, without one,
// by those of the machine.
func ForHTTPS(authorities string) (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if authorities == "" {
		return c, nil
	}
	c.RootCAs = x509.NewCertPool()
	return c, addAuthorities(c.RootCAs, authorities)
}
