package wiretest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net"
	"strings"
	"sync"
	"time"
)

// ALPN is the protocol name that PostgreSQL 17 and later insist on when TLS
// begins without an SSLRequest.
const ALPN = "postgresql"

func (s *step) prepareTLS() error {
	if s.side != Client || len(s.words) > 1 {
		return fmt.Errorf(`"C: TLS", or "C: TLS alpn=postgresql" is wanted`)
	}
	if len(s.words) == 1 && !strings.HasPrefix(s.words[0].text, "alpn=") {
		return fmt.Errorf("TLS: %v is not alpn=", s.words[0])
	}
	return nil
}

func (s *step) alpn() string {
	if len(s.words) == 0 {
		return ""
	}
	return strings.TrimPrefix(s.words[0].text, "alpn=")
}

// handshake is a step of both sides.
func (p *player) handshake(s *step) error {
	var secured *tls.Conn
	if p.side == Server {
		secured = tls.Server(p.conn, &tls.Config{
			Certificates: []tls.Certificate{Certificate()}, NextProtos: []string{ALPN},
		})
	} else {
		settings := &tls.Config{InsecureSkipVerify: true} // the traces are not about trust
		if alpn := s.alpn(); alpn != "" {
			settings.NextProtos = []string{alpn}
		}
		secured = tls.Client(p.conn, settings)
	}
	if err := secured.Handshake(); err != nil {
		return wanted(s, err.Error())
	}
	if got := secured.ConnectionState().NegotiatedProtocol; got != s.alpn() {
		return wanted(s, fmt.Sprintf("the protocol %q", got))
	}
	p.conn = secured
	return nil
}

// Certificate is what fake servers show: for localhost and 127.0.0.1, signed
// by itself, made once for each process.
var Certificate = sync.OnceValue(func() tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "localhost"},
		DNSNames:     []string{"localhost"},
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(24 * time.Hour),
		KeyUsage:     x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		IsCA:         true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		panic(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
})
