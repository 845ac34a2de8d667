package auth

import (
	"crypto/subtle"
	"fmt"
)

// checkCert takes the certificate's common name for the proof.
func checkCert(a *attempt) (Grant, error) {
	if !a.peer.named() {
		return Grant{}, refuse("28000", fmt.Sprintf("certificate authentication failed for user %q", a.peer.User),
			"the certificate's common name is another")
	}
	return Grant{Proof: Here, Secret: a.stored}, nil
}

// checkCertificate is a rule's clientcert option, beside its method.
func (r *Rule) checkCertificate(peer *Peer) error {
	if r.ClientCert == CertNone {
		return nil
	}
	if !peer.Certified {
		return refuse("28000", "connection requires a valid client certificate", "")
	}
	if r.ClientCert == CertFull && !peer.named() {
		return refuse("28000", fmt.Sprintf("certificate authentication failed for user %q", peer.User),
			"the certificate's common name is another")
	}
	return nil
}

// named says that a trusted certificate bears the user's name.
func (p *Peer) named() bool {
	return p.Certified && p.CommonName != "" &&
		subtle.ConstantTimeCompare([]byte(p.CommonName), []byte(p.User)) == 1
}
