package wire

// QueryView is a Query in place.
type QueryView struct {
	SQL []byte // without the terminating zero
}

// ViewQuery reads the body of a Query.
func ViewQuery(body []byte) (v QueryView, err error) {
	c := cursor{rest: body}
	v.SQL = c.text()
	return v, c.end("Query")
}

// AppendQuery builds a Query.
func AppendQuery[S Text](dst []byte, sql S) []byte {
	dst, at := begin(dst, 'Q')
	return finish(appendText(dst, sql), at)
}
