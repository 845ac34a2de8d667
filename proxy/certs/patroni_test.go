package certs

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"testing"

	"pgherd/proxy/certs/certstest"
)

// TestForHTTPS: a server is taken whose certificate is of that authority, and has its name.
func TestForHTTPS(t *testing.T) {
	ours, theirs := certstest.NewAuthority(t, "ours"), certstest.NewAuthority(t, "theirs")
	for name, c := range map[string]struct {
		of   *certstest.Authority
		name string
		ca   string
		well bool
	}{
		"ours":              {ours, "localhost", ours.Path("ca.crt"), true},
		"another authority": {theirs, "localhost", ours.Path("ca.crt"), false},
		"another name":      {ours, "elsewhere", ours.Path("ca.crt"), false},
		"the machine's":     {ours, "localhost", "", false},
	} {
		t.Run(name, func(t *testing.T) {
			c.of.Issue(c.name, x509.ExtKeyUsageServerAuth, c.name)
			pair, err := tls.LoadX509KeyPair(c.of.Path(c.name+".crt"), c.of.Path(c.name+".key"))
			if err != nil {
				t.Fatal(err)
			}
			s := httptest.NewUnstartedServer(http.NotFoundHandler())
			s.Config.ErrorLog, s.TLS = log.New(io.Discard, "", 0), &tls.Config{Certificates: []tls.Certificate{pair}}
			s.StartTLS()
			defer s.Close()
			config, err := ForHTTPS(c.ca)
			if err != nil {
				t.Fatal(err)
			}
			config.ServerName = "localhost"
			conn, err := tls.Dial("tcp", s.Listener.Addr().String(), config)
			if err == nil {
				conn.Close()
			}
			if (err == nil) != c.well {
				t.Errorf("error %v", err)
			}
		})
	}
}
