package wire

// SASLInitialResponseView is a SASLInitialResponse in place.
type SASLInitialResponseView struct {
	Mechanism []byte
	Data      Secret // nil if there is none
}

// ViewSASLInitialResponse reads the body of a SASLInitialResponse.
func ViewSASLInitialResponse(body []byte) (v SASLInitialResponseView, err error) {
	c := cursor{rest: body}
	v.Mechanism = c.text()
	v.Data = c.value()
	return v, c.end("SASLInitialResponse")
}

// AppendSASLInitialResponse builds a SASLInitialResponse; nil is no data.
func AppendSASLInitialResponse[N Text](dst []byte, mechanism N, data Secret) []byte {
	dst, at := begin(dst, 'p')
	return finish(appendNullable(appendText(dst, mechanism), data), at)
}

// AppendSASLResponse builds a SASLResponse. Its body is the data and nothing
// else, so there is no view of it.
func AppendSASLResponse(dst []byte, data Secret) []byte {
	dst, at := begin(dst, 'p')
	return finish(append(dst, data...), at)
}
