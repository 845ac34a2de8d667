package wire

// PasswordView is a PasswordMessage in place.
type PasswordView struct {
	Password Secret // in clear text or, for md5, hashed; without the terminating zero
}

// ViewPassword reads the body of a PasswordMessage. Messages of SASL have the
// same type byte 'p'; which one it is follows from what the client was asked for.
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
