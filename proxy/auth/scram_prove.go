package auth

import (
	"encoding/base64"
	"fmt"
	"strings"
)

// scramProof is our side when we log in to a server.
type scramProof struct {
	secret      Secret
	ownNonce    string
	clientFirst string // bare
	signature   []byte // that the server must show
}

// gs2None says that we do no channel binding.
const gs2None = "n,,"

// first is client-first-message. The user name is left out, as libpq does.
func (x *scramProof) first() string {
	x.clientFirst = "n=,r=" + x.ownNonce
	return gs2None + x.clientFirst
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
	keys := x.secret.keysFor(salt, iterations)
	withoutProof := "c=" + base64.StdEncoding.EncodeToString([]byte(gs2None)) + ",r=" + nonce
	signed := x.clientFirst + "," + serverFirst + "," + withoutProof
	x.signature = sign(keys.server, signed)
	proof := xor(keys.client, sign(storedKey(keys.client), signed))
	return withoutProof + ",p=" + base64.StdEncoding.EncodeToString(proof), nil
}

// verify checks server-final-message: that the server knows the verifier.
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
