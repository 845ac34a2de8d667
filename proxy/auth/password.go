package auth

import "crypto/subtle"

// checkPassword is method password: the client sends it in clear text. As in PostgreSQL
// the rule alone decides; an administrator who wants TLS writes hostssl. A stored
// secret is compared here. Without one the server checks the password, as with
// Pgpool-II, whose users chose the method in order to need no pool_passwd: see Proof.
func checkPassword(a *attempt) (Grant, error) {
	if err := a.know(); err != nil {
		return Grant{}, err
	}
	text, err := a.hearPassword()
	if err != nil {
		return Grant{}, err
	}
	given := PlainSecret(a.peer.User, text)
	if a.stored.kind() == empty && a.policy.Lookup == nil {
		return Grant{Proof: Server, Secret: given}, nil
	}
	right, err := a.matches(text)
	if err == nil && !right {
		var again bool
		if again, err = a.again(); again {
			right, err = a.matches(text)
		}
	}
	switch {
	case err != nil:
		return Grant{}, err
	case !right:
		return Grant{}, a.wrong()
	case a.stored.kind() == plain:
		return Grant{Proof: Here, Secret: a.stored}, nil
	}
	return Grant{Proof: Here, Secret: given}, nil // the password itself can log in where a hash cannot
}

// matches compares a password with the stored secret in constant time. A wrong password
// costs one derivation, whether a secret is stored or not. A right one costs it once,
// so that right log-ins need not queue behind wrong ones.
func (a *attempt) matches(password string) (bool, error) {
	v := mockVerifier(a.peer.User)
	switch a.stored.kind() {
	case plain:
		if equal(keyed("compare", prepare(password)), keyed("compare", prepare(a.stored.Plain()))) {
			return true, nil
		}
	case md5Hash:
		if equal([]byte(PlainSecret(a.peer.User, password).md5()), []byte(a.stored.md5())) {
			return true, nil
		}
	case verified:
		if a.stored.provedBefore(password) {
			return true, nil
		}
		v = a.stored.scram()
	}
	keys, err := a.derive(password, v)
	if err != nil || a.stored.kind() != verified || !equal(keys.server, v.serverKey) {
		return false, err
	}
	a.stored.proved(password)
	return true, nil
}

func equal(a, b []byte) bool { return subtle.ConstantTimeCompare(a, b) == 1 }
