package auth

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"

	"pgherd/proxy/wire"
)

// scramExchange is pgherd's side of one authentication of a client: first and then
// final, nothing else.
type scramExchange struct {
	verifier    verifier
	ownNonce    string
	binding     Binding // what pgherd offers to bind to; empty: nothing
	plus        bool    // the client chose SCRAM-SHA-256-PLUS
	gs2Header   string  // "n,,", "y,," or the one of PLUS
	clientFirst string  // client-first-message-bare
	serverFirst string
	nonce       string
	clientKey   []byte // the key that a right proof reveals
}

// first answers client-first-message. It ignores the user name in it, as PostgreSQL
// does, because the start-up packet has named the user.
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

// takeHeader removes the gs2-header (RFC 5802, section 7).
func (x *scramExchange) takeHeader(message string) (bare string, err error) {
	flag, rest, ok := strings.Cut(message, ",")
	if !ok {
		return "", malformed("the channel-binding flag is missing")
	}
	if err := x.checkFlag(flag); err != nil {
		return "", err
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

// checkFlag checks the channel-binding flag. "y" says that the client supports channel
// binding and thinks that pgherd does not. If pgherd offered it, somebody removed the
// offer on the way (RFC 5802, section 6).
func (x *scramExchange) checkFlag(flag string) error {
	isPlus := strings.HasPrefix(flag, "p=")
	switch {
	case isPlus && !x.plus:
		return violation("client asked for channel binding without choosing "+plusName, "")
	case isPlus && flag != plusFlag:
		return violation("unsupported SCRAM channel-binding type", "pgherd and PostgreSQL have tls-server-end-point only.")
	case !isPlus && x.plus:
		return violation("client chose "+plusName+" and sent no channel binding", "")
	case flag == "y" && len(x.binding) > 0:
		return refuse("28000", "SCRAM channel binding was offered, but the client did not see that",
			"somebody between the client and pgherd changes messages")
	case !isPlus && flag != "n" && flag != "y":
		return malformed("the channel-binding flag is unexpected")
	}
	return nil
}

// final checks client-final-message. The reply proves to the client that pgherd knows
// the verifier; it is for the client only if proved.
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
	if !ok || !equal([]byte(binding), []byte(channelBinding(x.gs2Header, x.plus, x.binding))) {
		return "", false, x.unbound()
	}
	nonce, _, ok := attribute(rest, 'r')
	if !ok || !hmac.Equal([]byte(nonce), []byte(x.nonce)) {
		return "", false, malformed("the nonce does not match")
	}
	signed := x.clientFirst + "," + x.serverFirst + "," + withoutProof
	x.clientKey = xor(proof, sign(x.verifier.storedKey, signed))
	reply = "v=" + base64.StdEncoding.EncodeToString(sign(x.verifier.serverKey, signed))
	return reply, equal(storedKey(x.clientKey), x.verifier.storedKey), nil
}

// unbound says that the client sees another certificate than pgherd's, or that its
// message makes no sense.
func (x *scramExchange) unbound() error {
	if x.plus {
		return refuse("28000", "SCRAM channel binding check failed",
			"the client is connected by TLS to somebody else than pgherd, or pgherd's certificate has just changed")
	}
	return malformed("the channel binding is not that of the first message")
}

// channelBinding is attribute c of client-final-message.
func channelBinding(gs2Header string, plus bool, b Binding) string {
	input := []byte(gs2Header)
	if plus {
		input = append(input, b...)
	}
	return base64.StdEncoding.EncodeToString(input)
}

func malformed(detail string) *wire.Fault { return violation("malformed SCRAM message", detail) }
