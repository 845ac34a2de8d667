package wiretest

import (
	"fmt"

	"pgherd/proxy/wire"
)

// authentications share a type byte; the code in the body tells them apart.
var authentications = []message{
	asks("AuthenticationOk", wire.AuthOk,
		func(dst []byte, _ *fields) []byte { return wire.AppendAuthenticationOk(dst) }),
	asks("AuthenticationCleartextPassword", wire.AuthCleartextPassword,
		func(dst []byte, _ *fields) []byte { return wire.AppendAuthenticationCleartextPassword(dst) }),
	asks("AuthenticationMD5Password", wire.AuthMD5Password, func(dst []byte, f *fields) []byte {
		salt := f.text()
		if len(salt) != 4 {
			f.fail("a salt of four bytes is wanted")
			return nil
		}
		return wire.AppendAuthenticationMD5Password(dst, [4]byte([]byte(salt)))
	}),
	asks("AuthenticationSASL", wire.AuthSASL,
		func(dst []byte, f *fields) []byte { return wire.AppendAuthenticationSASL(dst, f.rest()...) }),
	asks("AuthenticationSASLContinue", wire.AuthSASLContinue, func(dst []byte, f *fields) []byte {
		return wire.AppendAuthenticationSASLContinue(dst, wire.Secret(f.text()))
	}),
	asks("AuthenticationSASLFinal", wire.AuthSASLFinal, func(dst []byte, f *fields) []byte {
		return wire.AppendAuthenticationSASLFinal(dst, wire.Secret(f.text()))
	}),
}

func asks(name string, code wire.AuthCode, build func([]byte, *fields) []byte) message {
	return message{name: name, side: Server, kind: wire.Authentication, build: build,
		read: func(body []byte) ([]word, error) {
			v, err := wire.ViewAuthentication(body)
			if err == nil && v.Code != code {
				err = fmt.Errorf("its code is %d, not %d", v.Code, code)
			}
			return authWords(&v), err
		}}
}

func authWords(v *wire.AuthenticationView) []word {
	switch v.Code {
	case wire.AuthMD5Password:
		return []word{text(v.Salt[:])}
	case wire.AuthSASL:
		return texts(v.Mechanisms)
	case wire.AuthSASLContinue, wire.AuthSASLFinal:
		return []word{text(v.Data)}
	}
	return nil
}
