package auth

import "pgherd/proxy/wire"

// checkSCRAM is method scram-sha-256. Whoever cannot pass by it, for want of
// an entry or because only an md5 hash is stored, goes through all of it.
func checkSCRAM(t talk, peer *Peer, stored Secret) (Grant, error) {
	v, possible := mockVerifier(peer.User), false
	if k := stored.kind(); k == plain || k == verified {
		v, possible = stored.scram(), true
	}
	x := &scramExchange{verifier: v, ownNonce: newNonce()}
	message, err := scramFirst(t)
	if err != nil {
		return Grant{}, err
	}
	reply, err := x.first(message)
	if err != nil {
		return Grant{}, err
	}
	answer, err := t.ask(wire.AppendAuthenticationSASLContinue(nil, []byte(reply)))
	if err != nil {
		return Grant{}, err
	}
	reply, proved, err := x.final(string(answer))
	if err != nil {
		return Grant{}, err
	}
	if !proved || !possible {
		return Grant{}, wrongSCRAM(peer, stored)
	}
	return Grant{Proof: Here, Secret: stored},
		t.tell(wire.AppendAuthenticationSASLFinal(nil, []byte(reply)))
}

// scramFirst offers the mechanism and returns client-first-message, which a
// client may hold back until it has been asked once more (RFC 4422, 5.1).
func scramFirst(t talk) (string, error) {
	body, err := t.ask(wire.AppendAuthenticationSASL(nil, scramName))
	if err != nil {
		return "", err
	}
	v, err := wire.ViewSASLInitialResponse(body)
	if err != nil {
		return "", violation("malformed SASLInitialResponse", "")
	}
	if string(v.Mechanism) != scramName {
		return "", violation("client selected an invalid SASL authentication mechanism", "")
	}
	if v.Data == nil {
		body, err = t.ask(wire.AppendAuthenticationSASLContinue(nil, nil))
		return string(body), err
	}
	return string(v.Data), nil
}

func wrongSCRAM(peer *Peer, stored Secret) *Refusal {
	r := wrongPassword(peer, stored)
	if stored.kind() == md5Hash {
		r.Reason = "pool_passwd has only an md5 hash, which cannot serve scram-sha-256"
	}
	return r
}
