package statements

import (
	"encoding/binary"
	"slices"

	"pgherd/proxy/query"
	"pgherd/proxy/wire"
)

// Bound is the process number that a Bind gives as a parameter of the statement. It is not known
// if the Bind gives no such number, or in a form that is not read. from is the type from which the
// text of the statement casts the parameter; "" is integer.
func (st *Statement) Bound(bind []byte, parameter int, from string) (n int64, known bool) {
	v, err := wire.ViewBind(bind)
	if err != nil || parameter >= v.Params.Len() {
		return 0, false
	}
	value := slices.Collect(v.Params.All())[parameter]
	switch declared := st.declared(parameter); {
	case !v.Binary(parameter), declared == oidText, declared == oidVarchar, declared == 0 && from == "text":
		return query.Process(string(value)), true
	}
	return binaryNumber(value)
}

// Types that the client may declare for the parameter and whose values are text. A binary value
// of any other type is read as an integer, if it has the length of one.
const (
	oidText    = 25
	oidUnknown = 705 // as if no type was declared
	oidVarchar = 1043
)

// declared is the type that the Parse has declared for a parameter; 0 if there is none.
func (st *Statement) declared(parameter int) uint32 {
	v, err := wire.ViewParse([]byte("\x00" + st.Text))
	if err != nil || parameter >= v.Types.Len() || v.Types.At(parameter) == oidUnknown {
		return 0
	}
	return v.Types.At(parameter)
}

// binaryNumber reads a binary value as an integer; it is known if it fits a process number.
func binaryNumber(value []byte) (n int64, known bool) {
	switch len(value) {
	case 2:
		return int64(int16(binary.BigEndian.Uint16(value))), true
	case 4:
		return int64(int32(binary.BigEndian.Uint32(value))), true
	case 8:
		n = int64(binary.BigEndian.Uint64(value))
		return n, n == int64(int32(n))
	}
	return 0, false
}
