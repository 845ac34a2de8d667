package auth

import (
	"fmt"
	"strings"
)

// checkCert takes the certificate's name for the proof. That it is the user's
// has been checked before, as method cert is clientcert=verify-full.
func checkCert(a *attempt) (Grant, error) {
	return Grant{Proof: Here, Secret: a.stored}, nil
}

// checkCertificate is a rule's clientcert option, beside its method.
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

// named says that a trusted certificate bears the user's name, or one that
// the rule's map lets be the user.
func (a *attempt) named() (bool, error) {
	name := a.certificateName()
	if !a.peer.Certified || name == "" {
		return false, nil
	}
	return a.policy.Ident.allows(a.rule.Map, name, a.peer.User, a.search.roles)
}

// certificateName is what the rule goes by; a zero byte in it hides something.
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
