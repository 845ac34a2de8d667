package wire

// What a Describe or a Close is about.
const (
	Statement byte = 'S'
	Portal    byte = 'P'
)

// DescribeView is a Describe in place.
type DescribeView struct {
	What byte // Statement or Portal
	Name []byte
}

// ViewDescribe reads the body of a Describe.
func ViewDescribe(body []byte) (v DescribeView, err error) {
	c := cursor{rest: body}
	v.What = c.one("SP")
	v.Name = c.text()
	return v, c.end("Describe")
}

// AppendDescribe builds a Describe.
func AppendDescribe[N Text](dst []byte, what byte, name N) []byte {
	dst, at := begin(dst, 'D')
	return finish(appendText(append(dst, what), name), at)
}
