package wire

// CopyResponseView is a CopyInResponse, CopyOutResponse or CopyBothResponse
// in place; their bodies look the same.
type CopyResponseView struct {
	Format  byte    // 0 text, 1 binary
	Columns Formats // one per column
}

// ViewCopyResponse reads the body of a CopyInResponse, CopyOutResponse or
// CopyBothResponse; k is which of them it is.
func ViewCopyResponse(k Kind, body []byte) (v CopyResponseView, err error) {
	c := cursor{rest: body}
	v.Format = c.one("\x00\x01")
	v.Columns = c.formats()
	return v, c.end(k.String())
}

// AppendCopyInResponse builds a CopyInResponse.
func AppendCopyInResponse(dst []byte, format byte, columns Formats) []byte {
	return appendCopyResponse(dst, 'G', format, columns)
}

// AppendCopyOutResponse builds a CopyOutResponse.
func AppendCopyOutResponse(dst []byte, format byte, columns Formats) []byte {
	return appendCopyResponse(dst, 'H', format, columns)
}

// AppendCopyBothResponse builds a CopyBothResponse.
func AppendCopyBothResponse(dst []byte, format byte, columns Formats) []byte {
	return appendCopyResponse(dst, 'W', format, columns)
}

func appendCopyResponse(dst []byte, tag, format byte, columns Formats) []byte {
	dst, at := begin(dst, tag)
	return finish(appendFormats(append(dst, format), columns), at)
}
