package wire

// PasswordView is a PasswordMessage in place.
type PasswordView struct {
	Password Secret // in clear text or, for md5, hashed; without the terminating zero
}

// ViewPassword reads the body of a PasswordMessage. The type byte 'p' is
// shared: what was asked for says whether it is this or SASL.
func ViewPassword(body []byte) (v PasswordView, err error) {
	c := cursor{rest: body}
	v.Password = c.text()
	return v, c.end("PasswordMessage")
}

// AppendPassword builds a PasswordMessage.
func AppendPassword[T Text](dst []byte, password T) []byte {
	dst, at := begin(dst, 'p')
	return finish(appendText(dst, password), at)
}
