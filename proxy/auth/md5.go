package auth

import (
	"crypto/rand"
	"crypto/subtle"

	"pgherd/proxy/wire"
)

// checkMD5 is method md5: the client sends MD5 of what PostgreSQL would store
// and a salt. A stored SCRAM verifier cannot serve that, so then SCRAM is
// asked for, as PostgreSQL does.
func checkMD5(t talk, peer *Peer, stored Secret) (Grant, error) {
	if stored.kind() == verified {
		return checkSCRAM(t, peer, stored)
	}
	var salt [4]byte
	rand.Read(salt[:])
	body, err := t.ask(wire.AppendAuthenticationMD5Password(nil, salt))
	if err != nil {
		return Grant{}, err
	}
	v, err := wire.ViewPassword(body)
	if err != nil {
		return Grant{}, violation("invalid password packet", "")
	}
	known := stored.kind() != empty
	if !known { // an unknown user costs what a known one costs
		stored = PlainSecret(peer.User, string(keyed("mock password", peer.User)))
	}
	matches := subtle.ConstantTimeCompare(v.Password, []byte(answerMD5(stored, salt))) == 1
	if !matches || !known {
		if !known {
			stored = Secret{}
		}
		return Grant{}, wrongPassword(peer, stored)
	}
	return Grant{Proof: Here, Secret: stored}, nil
}

// answerMD5 is what AuthenticationMD5Password asks for.
func answerMD5(s Secret, salt [4]byte) string {
	return "md5" + md5Hex(s.md5()[len("md5"):], string(salt[:]))
}
