package wire

import "encoding/binary"

// FunctionCallView is a FunctionCall in place.
type FunctionCallView struct {
	Function     uint32  // object identifier
	Formats      Formats // of the arguments: none, one for all, or one each
	Args         Values
	ResultFormat int16
}

// ViewFunctionCall reads the body of a FunctionCall.
func ViewFunctionCall(body []byte) (v FunctionCallView, err error) {
	c := cursor{rest: body}
	v.Function = c.uint32()
	v.Formats = c.formats()
	v.Args = c.values()
	v.ResultFormat = int16(c.uint16())
	return v, c.end("FunctionCall")
}

// AppendFunctionCall builds a FunctionCall.
func AppendFunctionCall(dst []byte, v *FunctionCallView) []byte {
	dst, at := begin(dst, 'F')
	dst = binary.BigEndian.AppendUint32(dst, v.Function)
	dst = appendValues(appendFormats(dst, v.Formats), v.Args)
	return finish(binary.BigEndian.AppendUint16(dst, uint16(v.ResultFormat)), at)
}
