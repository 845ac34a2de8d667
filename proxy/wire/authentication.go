package wire

import "encoding/binary"

// AuthCode says what an Authentication message asks for.
type AuthCode uint32

// The codes. Those that pgherd does not support are named too, so that an error can say
// what the server asked for.
const (
	AuthOk                AuthCode = 0
	AuthKerberosV5        AuthCode = 2
	AuthCleartextPassword AuthCode = 3
	AuthMD5Password       AuthCode = 5
	AuthGSS               AuthCode = 7
	AuthGSSContinue       AuthCode = 8
	AuthSSPI              AuthCode = 9
	AuthSASL              AuthCode = 10
	AuthSASLContinue      AuthCode = 11
	AuthSASLFinal         AuthCode = 12
)

// AuthenticationView is an Authentication message in place.
type AuthenticationView struct {
	Code       AuthCode
	Salt       [4]byte // AuthMD5Password
	Mechanisms Texts   // AuthSASL
	Data       Secret  // AuthSASLContinue, AuthSASLFinal, AuthGSSContinue
}

// ViewAuthentication reads the body of an Authentication message.
func ViewAuthentication(body []byte) (v AuthenticationView, err error) {
	c := cursor{rest: body}
	switch v.Code = AuthCode(c.uint32()); v.Code {
	case AuthOk, AuthKerberosV5, AuthCleartextPassword, AuthGSS, AuthSSPI:
	case AuthMD5Password:
		copy(v.Salt[:], c.take(len(v.Salt)))
	case AuthSASL:
		v.Mechanisms = c.mechanisms()
	case AuthSASLContinue, AuthSASLFinal, AuthGSSContinue:
		v.Data = c.take(len(c.rest))
	default:
		c.fail("unknown code")
	}
	return v, c.end("Authentication")
}

// mechanisms reads names up to an empty one.
func (c *cursor) mechanisms() (t Texts) {
	t.bytes = c.rest
	for len(c.text()) > 0 {
		t.count++
	}
	return t
}

// AppendAuthenticationOk builds an AuthenticationOk.
func AppendAuthenticationOk(dst []byte) []byte { return appendAuth(dst, AuthOk, "") }

// AppendAuthenticationCleartextPassword builds an AuthenticationCleartextPassword.
func AppendAuthenticationCleartextPassword(dst []byte) []byte {
	return appendAuth(dst, AuthCleartextPassword, "")
}

// AppendAuthenticationMD5Password builds an AuthenticationMD5Password.
func AppendAuthenticationMD5Password(dst []byte, salt [4]byte) []byte {
	return appendAuth(dst, AuthMD5Password, salt[:])
}

// AppendAuthenticationSASL builds an AuthenticationSASL.
func AppendAuthenticationSASL(dst []byte, mechanisms ...string) []byte {
	return appendAuth(dst, AuthSASL, append(MakeTexts(mechanisms...).bytes, 0))
}

// AppendAuthenticationSASLContinue builds an AuthenticationSASLContinue.
func AppendAuthenticationSASLContinue(dst []byte, data Secret) []byte {
	return appendAuth(dst, AuthSASLContinue, data)
}

// AppendAuthenticationSASLFinal builds an AuthenticationSASLFinal.
func AppendAuthenticationSASLFinal(dst []byte, data Secret) []byte {
	return appendAuth(dst, AuthSASLFinal, data)
}

func appendAuth[T Text](dst []byte, code AuthCode, rest T) []byte {
	dst, at := begin(dst, 'R')
	return finish(append(binary.BigEndian.AppendUint32(dst, uint32(code)), rest...), at)
}
