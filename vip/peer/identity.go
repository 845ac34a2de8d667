package peer

import (
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"os"
	"time"
)

// rounds make guessing wd_authkey slow: whoever connects is shown the public key that comes of it.
const rounds = 600_000

// shortestKey is how long a wd_authkey has to be, in bytes.
const shortestKey = 8

// Identity is what members prove themselves by.
type Identity struct {
	TLS        *tls.Config
	MessageKey []byte // for messages that do not go over TLS
}

// ByKey makes an identity of wd_authkey. Everybody who knows it has the same pair of keys, and lets in only who has.
func ByKey(authkey string) (id Identity, err error) {
	if len(authkey) < shortestKey {
		return id, fmt.Errorf("wd_authkey is too short: it has to have %d characters or more, and to be the same on all members", shortestKey)
	}
	seed, err := pbkdf2.Key(sha256.New, authkey, []byte("pgherd watchdog"), rounds, ed25519.SeedSize)
	if err != nil {
		return id, fmt.Errorf("derive keys of wd_authkey: %w", err)
	}
	if id.MessageKey, err = hkdf.Key(sha256.New, seed, nil, "messages", sha256.Size); err != nil {
		return id, fmt.Errorf("derive keys of wd_authkey: %w", err)
	}
	private := ed25519.NewKeyFromSeed(seed)
	public, _ := private.Public().(ed25519.PublicKey)
	// No clock has to be right for this: only the key counts.
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "pgherd"},
		NotBefore: time.Unix(0, 0), NotAfter: time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, public, private)
	if err != nil {
		return id, fmt.Errorf("make a certificate of wd_authkey: %w", err)
	}
	id.TLS = &tls.Config{
		MinVersion:         tls.VersionTLS13,
		Certificates:       []tls.Certificate{{Certificate: [][]byte{certificate}, PrivateKey: private}},
		ClientAuth:         tls.RequireAnyClientCert,
		InsecureSkipVerify: true, // of names and authorities; VerifyConnection looks at the key
		VerifyConnection: func(c tls.ConnectionState) error {
			if theirs, is := c.PeerCertificates[0].PublicKey.(ed25519.PublicKey); !is || !public.Equal(theirs) {
				return errors.New("the other side has another wd_authkey")
			}
			return nil
		},
		SessionTicketsDisabled: true,
	}
	return id, nil
}

// ByCertificates makes TLS settings of files in PEM. Whoever has a certificate of this authority is let in, whatever its
// name: members are told apart by their greetings.
func ByCertificates(certificate, key, authority string) (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(certificate, key)
	if err != nil {
		return nil, fmt.Errorf("read the watchdog's certificate: %w", err)
	}
	text, err := os.ReadFile(authority)
	if err != nil {
		return nil, fmt.Errorf("read the watchdog's authority: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("read the watchdog's authority: %s has no certificate", authority)
	}
	return &tls.Config{
		MinVersion:         tls.VersionTLS13,
		Certificates:       []tls.Certificate{pair},
		ClientAuth:         tls.RequireAnyClientCert,
		InsecureSkipVerify: true, // of names and usages; VerifyConnection looks at the authority
		VerifyConnection: func(c tls.ConnectionState) error {
			return verify(c.PeerCertificates, pool)
		},
		SessionTicketsDisabled: true,
	}, nil
}

func verify(chain []*x509.Certificate, pool *x509.CertPool) error {
	between := x509.NewCertPool()
	for _, c := range chain[1:] {
		between.AddCert(c)
	}
	_, err := chain[0].Verify(x509.VerifyOptions{Roots: pool, Intermediates: between, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
	return err
}
