package auth

import (
	"crypto"
	"crypto/x509"
)

// Binding ties SCRAM to the TLS connection on which it runs: tls-server-end-point of
// RFC 5929, section 4, the only type that PostgreSQL has. It is empty if there is none.
type Binding []byte

// EndPoint is the hash of a server's certificate, by the hash function of its
// signature; MD5 and SHA-1 count as SHA-256. For signatures without one, such
// as Ed25519, it is not defined and there is no binding.
func EndPoint(cert *x509.Certificate) Binding {
	if cert == nil {
		return nil
	}
	algorithm, defined := endPointHashes[cert.SignatureAlgorithm]
	if !defined {
		return nil
	}
	h := algorithm.New()
	h.Write(cert.Raw)
	return h.Sum(nil)
}

var endPointHashes = map[x509.SignatureAlgorithm]crypto.Hash{
	x509.MD5WithRSA: crypto.SHA256, x509.SHA1WithRSA: crypto.SHA256, x509.ECDSAWithSHA1: crypto.SHA256,
	x509.SHA256WithRSA: crypto.SHA256, x509.SHA256WithRSAPSS: crypto.SHA256, x509.ECDSAWithSHA256: crypto.SHA256,
	x509.SHA384WithRSA: crypto.SHA384, x509.SHA384WithRSAPSS: crypto.SHA384, x509.ECDSAWithSHA384: crypto.SHA384,
	x509.SHA512WithRSA: crypto.SHA512, x509.SHA512WithRSAPSS: crypto.SHA512, x509.ECDSAWithSHA512: crypto.SHA512,
}

// plusName is SCRAM with channel binding, plusFlag how a client-first-message
// of it begins (RFC 5802, section 7).
const (
	plusName = "SCRAM-SHA-256-PLUS"
	plusFlag = "p=tls-server-end-point"
)
