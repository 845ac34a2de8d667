package wire

// BindView is a Bind in place. To send it under another name, change Statement and
// build it again.
type BindView struct {
	Portal        []byte
	Statement     []byte
	Formats       Formats // of the parameters: none, one for all, or one each
	Params        Values
	ResultFormats Formats // of the result's columns, as above
}

// ViewBind reads the body of a Bind.
func ViewBind(body []byte) (v BindView, err error) {
	c := cursor{rest: body}
	v.Portal = c.text()
	v.Statement = c.text()
	v.Formats = c.formats()
	v.Params = c.values()
	v.ResultFormats = c.formats()
	return v, c.end("Bind")
}

// Binary says that a parameter comes in binary form.
func (v *BindView) Binary(parameter int) bool {
	return v.Formats.Len() == 1 && v.Formats.At(0) == 1 || parameter < v.Formats.Len() && v.Formats.At(parameter) == 1
}

// BindNames reads the names with which the body of a Bind begins; the rest need not be
// there. ok is false if the names are not complete.
func BindNames(body []byte) (portal, statement []byte, ok bool) {
	c := cursor{rest: body}
	portal, statement = c.text(), c.text()
	return portal, statement, c.wrong == ""
}

// AppendBind builds a Bind.
func AppendBind(dst []byte, v *BindView) []byte {
	dst, at := begin(dst, 'B')
	dst = appendText(appendText(dst, v.Portal), v.Statement)
	dst = appendValues(appendFormats(dst, v.Formats), v.Params)
	return finish(appendFormats(dst, v.ResultFormats), at)
}
