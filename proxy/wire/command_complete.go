package wire

// CommandCompleteView is a CommandComplete in place.
type CommandCompleteView struct {
	Tag []byte // such as "SELECT 1"
}

// ViewCommandComplete reads the body of a CommandComplete.
func ViewCommandComplete(body []byte) (v CommandCompleteView, err error) {
	c := cursor{rest: body}
	v.Tag = c.text()
	return v, c.end("CommandComplete")
}

// AppendCommandComplete builds a CommandComplete.
func AppendCommandComplete[T Text](dst []byte, tag T) []byte {
	dst, at := begin(dst, 'C')
	return finish(appendText(dst, tag), at)
}
