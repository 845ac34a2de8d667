package auth

import (
	"slices"

	"pgherd/proxy/wire"
)

// checkSCRAM is method scram-sha-256. A client that cannot pass, because there is no
// entry or only an md5 hash is stored, goes through all of it.
func checkSCRAM(a *attempt) (Grant, error) {
	if err := a.know(); err != nil {
		return Grant{}, err
	}
	v, possible := mockVerifier(a.peer.User), false
	if k := a.stored.kind(); k == plain || k == verified {
		v, possible = a.stored.scram(), true
	}
	x := &scramExchange{verifier: v, ownNonce: newNonce(), binding: a.peer.Binding}
	message, err := x.begin(a.talk)
	if err != nil {
		return Grant{}, err
	}
	reply, err := x.first(message)
	if err != nil {
		return Grant{}, err
	}
	answer, err := a.ask(wire.AppendAuthenticationSASLContinue(nil, []byte(reply)))
	if err != nil {
		return Grant{}, err
	}
	reply, proved, err := x.final(string(answer))
	if err != nil {
		return Grant{}, err
	}
	if !proved || !possible {
		a.doubt() // the salt has been sent, so only the next attempt can use another verifier
		return Grant{}, a.wrongSCRAM()
	}
	if a.stored.kind() == verified {
		a.stored = a.stored.learn(x.clientKey)
	}
	return Grant{Proof: Here, Secret: a.stored},
		a.tell(wire.AppendAuthenticationSASLFinal(nil, []byte(reply)))
}

// begin offers the mechanisms and returns client-first-message, which a client may
// withhold until it is asked once more (RFC 4422, 5.1).
func (x *scramExchange) begin(t talk) (string, error) {
	offer := []string{scramName}
	if len(x.binding) > 0 {
		offer = []string{plusName, scramName}
	}
	body, err := t.ask(wire.AppendAuthenticationSASL(nil, offer...))
	if err != nil {
		return "", err
	}
	v, err := wire.ViewSASLInitialResponse(body)
	if err != nil {
		return "", violation("malformed SASLInitialResponse", "")
	}
	if !slices.Contains(offer, string(v.Mechanism)) {
		return "", violation("client selected an invalid SASL authentication mechanism", "")
	}
	x.plus = string(v.Mechanism) == plusName
	if v.Data == nil {
		body, err = t.ask(wire.AppendAuthenticationSASLContinue(nil, nil))
		return string(body), err
	}
	return string(v.Data), nil
}

func (a *attempt) wrongSCRAM() *Refusal {
	r := a.wrong()
	if a.stored.kind() == md5Hash {
		r.Reason = a.source + " has only an md5 hash, which cannot serve scram-sha-256"
	}
	return r
}
