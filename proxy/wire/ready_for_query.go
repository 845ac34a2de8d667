package wire

// ReadyForQueryView is a ReadyForQuery.
type ReadyForQueryView struct {
	State byte // Idle, InTransaction or Failed
}

// ViewReadyForQuery reads the body of a ReadyForQuery.
func ViewReadyForQuery(body []byte) (v ReadyForQueryView, err error) {
	c := cursor{rest: body}
	v.State = c.one("ITE")
	return v, c.end("ReadyForQuery")
}

// AppendReadyForQuery builds a ReadyForQuery.
func AppendReadyForQuery(dst []byte, state byte) []byte { return append(dst, 'Z', 0, 0, 0, 5, state) }
