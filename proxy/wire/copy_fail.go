package wire

// CopyFailView is a CopyFail in place.
type CopyFailView struct{ Reason []byte }

// ViewCopyFail reads the body of a CopyFail.
func ViewCopyFail(body []byte) (v CopyFailView, err error) {
	c := cursor{rest: body}
	v.Reason = c.text()
	return v, c.end("CopyFail")
}

// AppendCopyFail builds a CopyFail.
func AppendCopyFail[T Text](dst []byte, reason T) []byte {
	dst, at := begin(dst, 'f')
	return finish(appendText(dst, reason), at)
}
