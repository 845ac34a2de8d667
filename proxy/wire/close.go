package wire

// CloseView is a Close in place.
type CloseView struct {
	What byte // Statement or Portal
	Name []byte
}

// ViewClose reads the body of a Close.
func ViewClose(body []byte) (v CloseView, err error) {
	c := cursor{rest: body}
	v.What = c.one("SP")
	v.Name = c.text()
	return v, c.end("Close")
}

// AppendClose builds a Close.
func AppendClose[N Text](dst []byte, what byte, name N) []byte {
	dst, at := begin(dst, 'C')
	return finish(appendText(append(dst, what), name), at)
}
