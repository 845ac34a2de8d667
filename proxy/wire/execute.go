package wire

import "encoding/binary"

// ExecuteView is an Execute in place.
type ExecuteView struct {
	Portal  []byte
	MaxRows int32 // rows to return at most; 0 or less is no limit
}

// ViewExecute reads the body of an Execute.
func ViewExecute(body []byte) (v ExecuteView, err error) {
	c := cursor{rest: body}
	v.Portal = c.text()
	v.MaxRows = int32(c.uint32())
	return v, c.end("Execute")
}

// AppendExecute builds an Execute.
func AppendExecute[N Text](dst []byte, portal N, maxRows int32) []byte {
	dst, at := begin(dst, 'E')
	return finish(binary.BigEndian.AppendUint32(appendText(dst, portal), uint32(maxRows)), at)
}
