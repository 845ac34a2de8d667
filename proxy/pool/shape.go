package pool

import (
	"encoding/binary"
	"hash/maphash"

	"pgherd/proxy/wire"
)

// Shape is what a server has told about a statement: the types of its parameters, and
// the names and types of its result's columns. Either may be unknown.
type Shape struct {
	params, rows bool // are known
	types        string
	parameters   uint64 // a digest of types
	columns      uint64 // a digest; 0 for no columns
	last         uint64 // a digest of the whole RowDescription that said so
}

// seed is this process's own, so that nobody can construct two equal digests.
var seed = maphash.MakeSeed()

// Known says that something is known.
func (s *Shape) Known() bool { return s.params || s.rows }

// Keeps says that a statement of this shape keeps the promise.
func (s *Shape) Keeps(promise *Shape) bool {
	return (!promise.params || s.params && s.parameters == promise.parameters) && (!promise.rows || s.rows && s.columns == promise.columns)
}

// Types are the types of the parameters in the form that ends a Parse, if they are
// known.
func (s *Shape) Types() (types string, known bool) { return s.types, s.params }

// Brief is the shape without Types, which is all that needs to be kept for a server.
func (s Shape) Brief() Shape {
	s.types = ""
	return s
}

// Hear notes a part of the answer to a Describe.
func (s *Shape) Hear(m wire.Message) {
	switch m.Kind {
	case wire.ParameterDescription:
		s.params, s.types, s.parameters = true, string(m.Body()), maphash.Bytes(seed, m.Body())
	case wire.NoData:
		s.rows, s.columns, s.last = true, 0, 0
	case wire.RowDescription:
		last := maphash.Bytes(seed, m.Body())
		if s.rows && s.last == last { // the same as at every execution
			return
		}
		if v, err := wire.ViewRowDescription(m.Body()); err == nil {
			s.rows, s.columns, s.last = true, digest(v.Columns), last
		}
	}
}

// Agree copies what another shape has just heard in a message of that kind.
func (s *Shape) Agree(with *Shape, kind wire.Kind) {
	if kind == wire.ParameterDescription {
		s.params, s.parameters = with.params, with.parameters
	} else {
		s.rows, s.columns, s.last = with.rows, with.columns, with.last
	}
}

// digest covers what PostgreSQL compares before it says that a result has changed. The
// table of a column and its format may change.
func digest(columns wire.Columns) uint64 {
	var text [256]byte
	b := text[:0]
	for c := range columns.All() {
		b = append(append(b, c.Name...), 0)
		b = binary.BigEndian.AppendUint32(b, c.Type)
		b = binary.BigEndian.AppendUint32(b, uint32(c.Modifier))
	}
	return maphash.Bytes(seed, binary.BigEndian.AppendUint16(b, uint16(columns.Len())))
}
