package auth

import (
	"crypto/rand"
	"crypto/subtle"

	"pgherd/proxy/wire"
)

// checkMD5 is method md5: the client sends an MD5 of what PostgreSQL would store and of
// a salt. It cannot be compared with a stored SCRAM verifier; SCRAM is asked for in
// that case, as in PostgreSQL.
func checkMD5(a *attempt) (Grant, error) {
	if err := a.know(); err != nil {
		return Grant{}, err
	}
	if a.stored.kind() == verified {
		return checkSCRAM(a)
	}
	var salt [4]byte
	rand.Read(salt[:])
	body, err := a.ask(wire.AppendAuthenticationMD5Password(nil, salt))
	if err != nil {
		return Grant{}, err
	}
	v, err := wire.ViewPassword(body)
	if err != nil {
		return Grant{}, violation("invalid password packet", "")
	}
	if !a.matchesMD5(v.Password, salt) {
		if again, err := a.again(); err != nil {
			return Grant{}, err
		} else if !again || !a.matchesMD5(v.Password, salt) {
			return Grant{}, a.wrong()
		}
	}
	return Grant{Proof: Here, Secret: a.stored}, nil
}

// matchesMD5 compares the client's answer with the stored secret. Without one, it does
// something as costly that never matches.
func (a *attempt) matchesMD5(answer []byte, salt [4]byte) bool {
	known, secret := true, a.stored
	if k := secret.kind(); k != plain && k != md5Hash {
		known, secret = false, PlainSecret(a.peer.User, string(keyed("mock password", a.peer.User)))
	}
	return subtle.ConstantTimeCompare(answer, []byte(answerMD5(secret, salt))) == 1 && known
}

// answerMD5 is the answer that AuthenticationMD5Password asks for.
func answerMD5(s Secret, salt [4]byte) string {
	return "md5" + md5Hex(s.md5()[len("md5"):], string(salt[:]))
}
