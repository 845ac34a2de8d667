package auth

import (
	"crypto/subtle"

	"pgherd/proxy/wire"
)

// checkPassword is method password: the client sends it in clear text. As in
// PostgreSQL the rule alone decides; whoever wants TLS writes hostssl.
//
// With a stored secret it is checked here. Without one the server judges it,
// as with Pgpool-II, whose users chose the method so as to need no
// pool_passwd: see Proof.
func checkPassword(t talk, peer *Peer, stored Secret) (Grant, error) {
	body, err := t.ask(wire.AppendAuthenticationCleartextPassword(nil))
	if err != nil {
		return Grant{}, err
	}
	v, err := wire.ViewPassword(body)
	if err != nil {
		return Grant{}, violation("invalid password packet", "")
	}
	if len(v.Password) == 0 {
		return Grant{}, refuse("28P01", "empty password returned by client", "")
	}
	given := PlainSecret(peer.User, string(v.Password))
	switch {
	case stored.kind() == empty:
		return Grant{Proof: Server, Secret: given}, nil
	case !sameSecret(given, stored):
		return Grant{}, wrongPassword(peer, stored)
	case stored.kind() == plain:
		return Grant{Proof: Here, Secret: stored}, nil
	}
	return Grant{Proof: Here, Secret: given}, nil // the password itself logs in where a hash cannot
}

// sameSecret compares a given password with a stored secret in constant time
// for each kind of secret.
func sameSecret(given, stored Secret) bool {
	switch stored.kind() {
	case plain:
		return equal(keyed("compare", prepare(given.held().text)), keyed("compare", prepare(stored.held().text)))
	case md5Hash:
		return equal([]byte(given.md5()), []byte(stored.held().text))
	case verified:
		v := stored.held().verifier
		return equal(deriveKeys(given.held().text, v.salt, v.iterations).server, v.serverKey)
	}
	return false
}

func equal(a, b []byte) bool { return subtle.ConstantTimeCompare(a, b) == 1 }
