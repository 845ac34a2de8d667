package wire

// DataRowView is a DataRow in place.
type DataRowView struct{ Values Values }

// ViewDataRow reads the body of a DataRow.
func ViewDataRow(body []byte) (v DataRowView, err error) {
	c := cursor{rest: body}
	v.Values = c.values()
	return v, c.end("DataRow")
}

// AppendDataRow builds a DataRow; nil is NULL.
func AppendDataRow(dst []byte, values ...[]byte) []byte {
	dst, at := begin(dst, 'D')
	dst = appendCount(dst, len(values))
	for _, value := range values {
		dst = appendNullable(dst, value)
	}
	return finish(dst, at)
}

// AppendTextRow builds a DataRow of texts, none of them NULL.
func AppendTextRow(dst []byte, values ...string) []byte {
	dst, at := begin(dst, 'D')
	dst = appendCount(dst, len(values))
	for _, value := range values {
		dst = appendValue(dst, value)
	}
	return finish(dst, at)
}
