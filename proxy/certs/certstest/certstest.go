// Package certstest makes certificates for tests: an authority that signs, issues and revokes.
package certstest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Authority signs certificates and writes them, and their keys, to files of its own folder.
type Authority struct {
	t    testing.TB
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	next int64
}

// NewAuthority makes one, whose own certificate is ca.crt.
func NewAuthority(t testing.TB, name string) *Authority {
	a := &Authority{t: t, dir: t.TempDir(), next: 2}
	a.key, _ = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true,
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign}
	der := a.sign(template, template, &a.key.PublicKey)
	var err error
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	a.Write("ca.crt", "CERTIFICATE", der)
	return a
}

func (a *Authority) sign(template, parent *x509.Certificate, key any) []byte {
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	return der
}

// Name is whom its certificate names.
func (a *Authority) Name() string { return a.cert.Subject.CommonName }

// Path is where the file of that name is.
func (a *Authority) Path(name string) string { return filepath.Join(a.dir, name) }

// Write makes a file of PEM.
func (a *Authority) Write(name, kind string, der []byte) {
	if err := os.WriteFile(a.Path(name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		a.t.Fatal(err)
	}
}

// Issue makes name.crt and name.key, for hosts that are names or addresses, and gives the serial number.
func (a *Authority) Issue(name string, usage x509.ExtKeyUsage, hosts ...string) *big.Int {
	key, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	serial := big.NewInt(a.next)
	a.next++
	template := &x509.Certificate{SerialNumber: serial, Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), ExtKeyUsage: []x509.ExtKeyUsage{usage}}
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	der := a.sign(template, a.cert, &key.PublicKey)
	a.Write(name+".crt", "CERTIFICATE", der)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	a.Write(name+".key", "PRIVATE KEY", der)
	return serial
}

// Revoke writes name.crl with these serial numbers, and gives its path.
func (a *Authority) Revoke(name string, until time.Time, serials ...*big.Int) string {
	list := &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: time.Now().Add(-time.Hour), NextUpdate: until}
	for _, s := range serials {
		list.RevokedCertificateEntries = append(list.RevokedCertificateEntries, x509.RevocationListEntry{SerialNumber: s, RevocationTime: time.Now()})
	}
	der, err := x509.CreateRevocationList(rand.Reader, list, a.cert, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	a.Write(name+".crl", "X509 CRL", der)
	return a.Path(name + ".crl")
}
