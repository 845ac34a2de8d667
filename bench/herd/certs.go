package herd

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"path/filepath"
	"time"
)

// Certs are files in PEM: an authority of the herd's own, and one certificate for a
// server at localhost, which pgherd may use as well.
type Certs struct{ CA, Cert, Key string }

const certLife = 24 * time.Hour // longer than any herd lives

func makeCerts(dir string, own *owner) (Certs, error) {
	certs := Certs{
		CA:   filepath.Join(dir, "ca.crt"),
		Cert: filepath.Join(dir, "server.crt"),
		Key:  filepath.Join(dir, "server.key"),
	}
	authority := template("herd authority")
	authority.IsCA, authority.BasicConstraintsValid = true, true
	authority.KeyUsage = x509.KeyUsageCertSign
	server := template("localhost")
	server.DNSNames, server.IPAddresses = []string{"localhost"}, []net.IP{net.IPv4(127, 0, 0, 1)}
	server.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}

	authorityKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Certs{}, err
	}
	serverKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Certs{}, err
	}
	if err := writeCert(own, certs.CA, authority, authority, authorityKey, authorityKey); err != nil {
		return Certs{}, err
	}
	if err := writeCert(own, certs.Cert, server, authority, serverKey, authorityKey); err != nil {
		return Certs{}, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(serverKey)
	if err != nil {
		return Certs{}, err
	}
	return certs, writePEM(own, certs.Key, "PRIVATE KEY", der)
}

func template(name string) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()),
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(certLife),
	}
}

func writeCert(own *owner, path string, cert, issuer *x509.Certificate, key, issuerKey *ecdsa.PrivateKey) error {
	der, err := x509.CreateCertificate(rand.Reader, cert, issuer, &key.PublicKey, issuerKey)
	if err != nil {
		return fmt.Errorf("sign certificate: %w", err)
	}
	return writePEM(own, path, "CERTIFICATE", der)
}

func writePEM(own *owner, path, kind string, der []byte) error {
	return own.write(path, string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})))
}
