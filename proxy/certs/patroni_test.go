package certs

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"pgherd/proxy/certs/certstest"
)

// restAPI is a server as Patroni's REST API is with verify_client: required.
func restAPI(t *testing.T, of *certstest.Authority, host string, clients *certstest.Authority) *httptest.Server {
	t.Helper()
	of.Issue(host, x509.ExtKeyUsageServerAuth, host)
	pair, err := tls.LoadX509KeyPair(of.Path(host+".crt"), of.Path(host+".key"))
	if err != nil {
		t.Fatal(err)
	}
	trusted := x509.NewCertPool()
	if err := addAuthorities(trusted, clients.Path("ca.crt")); err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: trusted}
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

// TestForPatroni: a REST API is asked whose certificate is of the authority, and has its name; and it
// answers who has a certificate of its own authority.
func TestForPatroni(t *testing.T) {
	ours, theirs := certstest.NewAuthority(t, "ours"), certstest.NewAuthority(t, "theirs")
	for _, a := range []*certstest.Authority{ours, theirs} {
		a.Issue("pgherd", x509.ExtKeyUsageClientAuth)
	}
	mine := PatroniSettings{CA: ours.Path("ca.crt"), Cert: ours.Path("pgherd.crt"), Key: ours.Path("pgherd.key")}
	for name, c := range map[string]struct {
		of     *certstest.Authority
		host   string
		change func(*PatroniSettings)
		why    string // ""; all is well
	}{
		"all is right":               {ours, "localhost", func(*PatroniSettings) {}, ""},
		"of another authority":       {theirs, "localhost", func(*PatroniSettings) {}, "certificate signed by unknown authority"},
		"of another name":            {ours, "elsewhere", func(*PatroniSettings) {}, "certificate is valid for elsewhere"},
		"the machine's authorities":  {ours, "localhost", func(s *PatroniSettings) { s.CA = "" }, "certificate signed by unknown authority"},
		"no certificate of pgherd's": {ours, "localhost", func(s *PatroniSettings) { s.Cert, s.Key = "", "" }, "certificate required"},
		"pgherd's is of another authority": {ours, "localhost",
			func(s *PatroniSettings) { s.Cert, s.Key = theirs.Path("pgherd.crt"), theirs.Path("pgherd.key") }, "certificate required"},
	} {
		t.Run(name, func(t *testing.T) {
			s, files := restAPI(t, c.of, c.host, ours), mine
			c.change(&files)
			config, err := ForPatroni(&files)
			if err != nil {
				t.Fatal(err)
			}
			config.ServerName = "localhost"
			client := http.Client{Transport: &http.Transport{TLSClientConfig: config}}
			defer client.CloseIdleConnections()
			response, err := client.Get(s.URL)
			if err == nil {
				response.Body.Close()
			}
			if text := errorText(err); (text == "") != (c.why == "") || !strings.Contains(text, c.why) {
				t.Errorf("got error %q, want %q", text, cmp.Or(c.why, "none"))
			}
		})
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// TestForPatroniErrors: each file that cannot be used is named.
func TestForPatroniErrors(t *testing.T) {
	a := certstest.NewAuthority(t, "ours")
	a.Issue("localhost", x509.ExtKeyUsageClientAuth)
	a.Issue("other", x509.ExtKeyUsageClientAuth)
	os.WriteFile(a.Path("text"), []byte("no PEM"), 0o600)
	for want, change := range map[string]func(*PatroniSettings){
		"read TLS authorities: open":            func(s *PatroniSettings) { s.CA = a.Path("none") },
		"holds no certificate":                  func(s *PatroniSettings) { s.CA = a.Path("text") },
		"read TLS certificate: open":            func(s *PatroniSettings) { s.Cert = a.Path("none") },
		"read TLS key: open":                    func(s *PatroniSettings) { s.Key = a.Path("none") },
		"private key does not match public key": func(s *PatroniSettings) { s.Key = a.Path("other.key") },
		"ssl_passphrase_command is not set":     func(s *PatroniSettings) { s.Key = encrypted(a, "secret", "sha256") },
	} {
		s := PatroniSettings{CA: a.Path("ca.crt"), Cert: a.Path("localhost.crt"), Key: a.Path("localhost.key")}
		change(&s)
		if _, err := ForPatroni(&s); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got error %v, want %q", err, want)
		}
	}
}
