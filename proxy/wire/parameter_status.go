package wire

// ParameterStatusView is a ParameterStatus in place.
type ParameterStatusView struct{ Name, Value []byte }

// ViewParameterStatus reads the body of a ParameterStatus.
func ViewParameterStatus(body []byte) (v ParameterStatusView, err error) {
	c := cursor{rest: body}
	v.Name = c.text()
	v.Value = c.text()
	return v, c.end("ParameterStatus")
}

// AppendParameterStatus builds a ParameterStatus.
func AppendParameterStatus[N, V Text](dst []byte, name N, value V) []byte {
	dst, at := begin(dst, 'S')
	return finish(appendText(appendText(dst, name), value), at)
}
