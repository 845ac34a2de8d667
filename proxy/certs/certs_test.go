package certs

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"os"
	"slices"
	"strings"
	"testing"

	"pgherd/proxy/certs/certstest"
)

func settingsOf(a *certstest.Authority) *ClientSettings {
	return &ClientSettings{Cert: a.Path("localhost.crt"), Key: a.Path("localhost.key")}
}

func TestForClientsErrors(t *testing.T) {
	a := certstest.NewAuthority(t, "ours")
	a.Issue("localhost", x509.ExtKeyUsageServerAuth, "localhost")
	os.WriteFile(a.Path("text"), []byte("no PEM"), 0o600)
	os.Mkdir(a.Path("empty"), 0o700)
	for want, change := range map[string]func(*ClientSettings){
		"read TLS certificate":               func(f *ClientSettings) { f.Cert = a.Path("none") },
		"read TLS key":                       func(f *ClientSettings) { f.Key = a.Path("none") },
		"load TLS certificate":               func(f *ClientSettings) { f.Cert = a.Path("text") },
		"holds no certificate":               func(f *ClientSettings) { f.CA = a.Path("text") },
		"no certificate in":                  func(f *ClientSettings) { f.CADir = a.Path("empty") },
		"read TLS authorities":               func(f *ClientSettings) { f.CA = a.Path("none") },
		"holds none":                         func(f *ClientSettings) { f.CA, f.CRL = a.Path("ca.crt"), a.Path("text") },
		"read TLS revocation list: open":     func(f *ClientSettings) { f.CA, f.CRL = a.Path("ca.crt"), a.Path("none") },
		"ssl_passphrase_command is not set":  func(f *ClientSettings) { f.Key = encrypted(a, "secret", "sha256") },
		"cannot be decrypted":                func(f *ClientSettings) { f.Key, f.Passphrase = encrypted(a, "secret", "sha256"), "echo wrong" },
		"run ssl_passphrase_command: exit s": func(f *ClientSettings) { f.Key, f.Passphrase = encrypted(a, "secret", "sha256"), "echo secret; exit 3" },
	} {
		f := settingsOf(a)
		change(f)
		if _, err := ForClients(f, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		} else if strings.Contains(err.Error(), "secret") {
			t.Errorf("the passphrase is in the error: %v", err)
		}
	}
	f := settingsOf(a)
	f.CADir = a.Path("") // other text, and keys, in the folder are ignored
	if _, err := ForClients(f, slog.New(slog.DiscardHandler)); err != nil {
		t.Error(err)
	}
}

func TestEncryptedKeys(t *testing.T) {
	a := certstest.NewAuthority(t, "ours")
	a.Issue("localhost", x509.ExtKeyUsageServerAuth, "localhost")
	for _, prf := range []string{"sha1", "sha256", "sha512"} {
		f := settingsOf(a)
		f.Key, f.Passphrase = encrypted(a, "se cret%", prf), `printf 'se cret%%%%\nsecond line' ; : %p`
		if _, err := ForClients(f, slog.New(slog.DiscardHandler)); err != nil {
			t.Errorf("%s: got error %v", prf, err)
		}
	}
}

func FuzzDecryptPKCS8(f *testing.F) {
	for _, prf := range []string{"sha1", "sha256", "sha512"} {
		f.Add(sealPKCS8([]byte("key"), "p", prf))
	}
	f.Fuzz(func(t *testing.T, der []byte) {
		if key, err := decryptPKCS8(der, "p"); (key == nil) == (err == nil) && len(key) > 0 {
			t.Fatalf("%q, %v", key, err)
		}
	})
}

func TestCiphersAndCurves(t *testing.T) {
	var log bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&log, nil))
	for list, want := range map[string][]uint16{
		"HIGH:MEDIUM:+3DES:!aNULL": nil,
		"":                         nil,
		"ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-CHACHA20-POLY1305": {tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256},
		"ECDHE-RSA-AES128-SHA:!ECDHE-RSA-AES128-SHA":                {},
	} {
		if got := cipherSuites(list, logger); !slices.Equal(got, want) || (got == nil) != (want == nil) {
			t.Errorf("%q: got %v, want %v", list, got, want)
		}
	}
	if got := cipherSuites("HIGH:!ECDHE-RSA-AES128-SHA", logger); len(got) == 0 || slices.Contains(got, tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA) {
		t.Errorf("after the exclusion: got %v", got)
	}
	cipherSuites("DHE-RSA-AES128-SHA", logger)
	if !strings.Contains(log.String(), "DHE-RSA-AES128-SHA") {
		t.Error("an unknown cipher suite is not reported")
	}
	if got := curves("X25519:secp384r1:brainpoolP256r1", logger); !slices.Equal(got, []tls.CurveID{tls.X25519, tls.CurveP384}) {
		t.Errorf("curves: got %v", got)
	}
	if got := curves("prime256v1", logger); got != nil {
		t.Errorf("the default sets curves: %v", got)
	}
}

// TestNodeNames checks that a common name counts where there is no alternative name.
func TestNodeNames(t *testing.T) {
	a := certstest.NewAuthority(t, "ours")
	a.Issue("by-hand", x509.ExtKeyUsageServerAuth)
	a.Issue("modern", x509.ExtKeyUsageServerAuth, "db.example")
	for _, c := range []struct {
		cert, host string
		ok         bool
	}{
		{"by-hand", "by-hand", true}, {"by-hand", "BY-HAND", true}, {"by-hand", "other", false}, {"by-hand", "", false},
		{"modern", "db.example", true}, {"modern", "modern", false}, {"modern", "10.0.0.1", false},
	} {
		pair, err := tls.LoadX509KeyPair(a.Path(c.cert+".crt"), a.Path(c.cert+".key"))
		if err != nil {
			t.Fatal(err)
		}
		if err := verifyName(pair.Leaf, c.host); (err == nil) != c.ok {
			t.Errorf("certificate %s for host %q: got error %v", c.cert, c.host, err)
		}
	}
}

func TestForNodesErrors(t *testing.T) {
	for want, mode := range map[string]Mode{"unknown sslmode": "perhaps", "needs the authorities": VerifyCA, "sslmode verify-full needs": VerifyFull} {
		if _, err := ForNodes(mode, &NodeSettings{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got error %v", mode, err)
		}
	}
	if _, err := ForNodes(Require, &NodeSettings{Cert: "/none"}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing certificate: got error %v", err)
	}
}
