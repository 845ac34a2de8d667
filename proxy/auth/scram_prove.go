package auth

import (
	"encoding/base64"
	"fmt"
	"strings"

	"pgherd/proxy/wire"
)

// scramProof is pgherd's side when it logs in to a server.
type scramProof struct {
	secret      Secret
	ownNonce    string
	binding     Binding // what pgherd could bind to; empty: nothing
	plus        bool    // and does, because the server offered it
	clientFirst string  // bare
	signature   []byte  // the signature that the server must show
}

// gs2Header says what pgherd does about channel binding: it uses it, it could but the
// server did not offer it, or it cannot (RFC 5802, section 6).
func (x *scramProof) gs2Header() string {
	switch {
	case x.plus:
		return plusFlag + ",,"
	case len(x.binding) > 0:
		return "y,,"
	}
	return "n,,"
}

// first is client-first-message. It leaves the user name out, as libpq does.
func (x *scramProof) first() string {
	x.clientFirst = "n=,r=" + x.ownNonce
	return x.gs2Header() + x.clientFirst
}

// final answers server-first-message.
func (x *scramProof) final(serverFirst string) (string, error) {
	nonce, rest, ok := attribute(serverFirst, 'r')
	if !ok || !printable(nonce) || !strings.HasPrefix(nonce, x.ownNonce) || len(nonce) == len(x.ownNonce) {
		return "", malformed("the server's nonce does not extend ours")
	}
	encoded, rest, ok := attribute(rest, 's')
	salt, err := base64.StdEncoding.DecodeString(encoded)
	if !ok || err != nil || len(salt) == 0 || len(salt) > maxSaltLen {
		return "", malformed("the server's salt is missing or invalid")
	}
	count, _, ok := attribute(rest, 'i')
	iterations, err := parseIterations(count)
	if !ok || err != nil {
		return "", malformed(fmt.Sprintf("the server's iteration count is not 1 to %d", maxIterations))
	}
	keys, same := x.secret.keysFor(salt, iterations)
	if !same {
		return "", stale()
	}
	withoutProof := "c=" + channelBinding(x.gs2Header(), x.plus, x.binding) + ",r=" + nonce
	signed := x.clientFirst + "," + serverFirst + "," + withoutProof
	x.signature = sign(keys.server, signed)
	proof := xor(keys.client, sign(storedKey(keys.client), signed))
	return withoutProof + ",p=" + base64.StdEncoding.EncodeToString(proof), nil
}

// stale says that keys learnt from a client do not fit this server.
func stale() *wire.Fault {
	return &wire.Fault{Severity: "FATAL", Code: "28P01",
		Message: "the user's SCRAM verifier in PostgreSQL is another than the one that the client proved itself by",
		Detail:  "The password has been changed since the client logged in, or pool_passwd has a verifier with another salt.",
		Hint:    "Log in again. If that does not help, copy rolpassword from pg_authid to pool_passwd."}
}

// verify checks server-final-message, which proves that the server knows the verifier.
func (x *scramProof) verify(serverFinal string) error {
	if _, _, failed := attribute(serverFinal, 'e'); failed {
		return malformed("the server reports a SCRAM error")
	}
	encoded, _, ok := attribute(serverFinal, 'v')
	signature, err := base64.StdEncoding.DecodeString(encoded)
	if !ok || err != nil || x.signature == nil || !equal(signature, x.signature) {
		return malformed("the server does not prove that it knows the password")
	}
	return nil
}
