package auth

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"

	"pgherd/proxy/wire"
)

// scramExchange is our side of one authentication of a client: first, then
// final, nothing else.
type scramExchange struct {
	verifier    verifier
	ownNonce    string
	gs2Header   string // "n,," or "y,,"
	clientFirst string // client-first-message-bare
	serverFirst string
	nonce       string
}

// first answers client-first-message. The user name in it is ignored, as
// PostgreSQL does: the start-up packet has told it.
func (x *scramExchange) first(message string) (reply string, err error) {
	bare, err := x.takeHeader(message)
	if err != nil {
		return "", err
	}
	x.clientFirst = bare
	if strings.HasPrefix(bare, "m=") {
		return "", &wire.Fault{Severity: "FATAL", Code: "0A000",
			Message: "client requires an unsupported SCRAM extension"}
	}
	_, rest, ok := attribute(bare, 'n')
	if !ok {
		return "", malformed("the user name is missing")
	}
	nonce, _, ok := attribute(rest, 'r')
	if !ok || !printable(nonce) {
		return "", malformed("the nonce is missing or not printable")
	}
	x.nonce = nonce + x.ownNonce
	x.serverFirst = fmt.Sprintf("r=%s,s=%s,i=%d", x.nonce,
		base64.StdEncoding.EncodeToString(x.verifier.salt), x.verifier.iterations)
	return x.serverFirst, nil
}

// takeHeader takes the gs2-header off (RFC 5802, section 7). "y" says that
// the client could do channel binding and thinks that we cannot: right.
func (x *scramExchange) takeHeader(message string) (bare string, err error) {
	flag, rest, ok := strings.Cut(message, ",")
	switch {
	case strings.HasPrefix(flag, "p="):
		return "", violation("client asked for channel binding, which was not offered", "")
	case !ok || flag != "n" && flag != "y":
		return "", malformed("the channel-binding flag is unexpected")
	}
	authzid, bare, ok := strings.Cut(rest, ",")
	switch {
	case !ok:
		return "", malformed("the header is cut short")
	case strings.HasPrefix(authzid, "a="):
		return "", &wire.Fault{Severity: "FATAL", Code: "0A000",
			Message: "client uses authorization identity, but it is not supported"}
	case authzid != "":
		return "", malformed("the authorization identity is unexpected")
	}
	x.gs2Header = flag + ",,"
	return bare, nil
}

// final judges client-final-message. The reply proves to the client that we
// know the verifier; it is for the client only if proved.
func (x *scramExchange) final(message string) (reply string, proved bool, err error) {
	end := strings.LastIndex(message, ",p=")
	if end < 0 {
		return "", false, malformed("the proof is missing")
	}
	withoutProof := message[:end]
	proof, err := base64.StdEncoding.Strict().DecodeString(message[end+len(",p="):])
	if err != nil || len(proof) != sha256.Size {
		return "", false, malformed("the proof is no proof")
	}
	binding, rest, ok := attribute(withoutProof, 'c')
	if !ok || binding != base64.StdEncoding.EncodeToString([]byte(x.gs2Header)) {
		return "", false, malformed("the channel binding is not that of the first message")
	}
	nonce, _, ok := attribute(rest, 'r')
	if !ok || !hmac.Equal([]byte(nonce), []byte(x.nonce)) {
		return "", false, malformed("the nonce does not match")
	}
	signed := x.clientFirst + "," + x.serverFirst + "," + withoutProof
	clientKey := xor(proof, sign(x.verifier.storedKey, signed))
	reply = "v=" + base64.StdEncoding.EncodeToString(sign(x.verifier.serverKey, signed))
	return reply, equal(storedKey(clientKey), x.verifier.storedKey), nil
}

func malformed(detail string) *wire.Fault { return violation("malformed SCRAM message", detail) }
