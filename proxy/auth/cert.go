package auth

import (
	"fmt"
	"strings"
)

// checkCert accepts the certificate's name as the proof. That it is the user's name was
// checked before, because method cert implies clientcert=verify-full.
func checkCert(a *attempt) (Grant, error) {
	return Grant{Proof: Here, Secret: a.stored}, nil
}

// checkCertificate is a rule's clientcert option, besides its method.
func (a *attempt) checkCertificate() error {
	if a.rule.ClientCert == CertNone {
		return nil
	}
	if !a.peer.Certified {
		return refuse("28000", "connection requires a valid client certificate", "")
	}
	if a.rule.ClientCert == CertCA {
		return nil
	}
	named, err := a.named()
	switch {
	case err != nil:
		return a.rule.undecided(err)
	case !named:
		return refuse("28000", fmt.Sprintf("certificate authentication failed for user %q", a.peer.User),
			"the certificate is of another: "+a.certificateName())
	}
	return nil
}

// named says that a trusted certificate has the user's name, or a name that the rule's
// map allows for the user.
func (a *attempt) named() (bool, error) {
	name := a.certificateName()
	if !a.peer.Certified || name == "" {
		return false, nil
	}
	return a.policy.Ident.allows(a.rule.Map, name, a.peer.User, a.search.roles)
}

// certificateName is the name that the rule compares; a zero byte in it hides
// something.
func (a *attempt) certificateName() string {
	name := a.peer.CommonName
	if a.rule.ByDN {
		name = a.peer.Subject
	}
	if strings.ContainsRune(name, 0) {
		return ""
	}
	return name
}
