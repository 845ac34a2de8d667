package wire

// FunctionCallResponseView is a FunctionCallResponse in place.
type FunctionCallResponseView struct {
	Value []byte // nil is NULL
}

// ViewFunctionCallResponse reads the body of a FunctionCallResponse.
func ViewFunctionCallResponse(body []byte) (v FunctionCallResponseView, err error) {
	c := cursor{rest: body}
	v.Value = c.value()
	return v, c.end("FunctionCallResponse")
}

// AppendFunctionCallResponse builds a FunctionCallResponse; nil is NULL.
func AppendFunctionCallResponse(dst, value []byte) []byte {
	dst, at := begin(dst, 'V')
	return finish(appendNullable(dst, value), at)
}
