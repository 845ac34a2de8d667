package pool

import (
	"encoding/binary"
	"hash/maphash"

	"pgherd/proxy/wire"
)

// Shape is what a server has told of a statement: the types of its parameters, and the
// names and types of its result's columns. Either may not be known.
type Shape struct {
	params, rows bool // are known
	types        string
	parameters   uint64 // a digest of types
	columns      uint64 // a digest; of no columns 0
	last         uint64 // one of the RowDescription that said so, with all that may differ
}

// seed is of this process: nobody can make two digests the same.
var seed = maphash.MakeSeed()

// Known says that something is.
func (s *Shape) Known() bool { return s.params || s.rows }

// Keeps says that a statement of this shape is what was promised.
func (s *Shape) Keeps(promise *Shape) bool {
	return (!promise.params || s.params && s.parameters == promise.parameters) && (!promise.rows || s.rows && s.columns == promise.columns)
}

// Types are those of the parameters, as a Parse ends with them, if they are known.
func (s *Shape) Types() (types string, known bool) { return s.types, s.params }

// Brief is the shape without Types, as it need not take more than that for a server.
func (s Shape) Brief() Shape {
	s.types = ""
	return s
}

// Hear takes a part of the answer to a Describe.
func (s *Shape) Hear(m wire.Message) {
	switch m.Kind {
	case wire.ParameterDescription:
		s.params, s.types, s.parameters = true, string(m.Body()), maphash.Bytes(seed, m.Body())
	case wire.NoData:
		s.rows, s.columns, s.last = true, 0, 0
	case wire.RowDescription:
		last := maphash.Bytes(seed, m.Body())
		if s.rows && s.last == last { // as with every execution
			return
		}
		if v, err := wire.ViewRowDescription(m.Body()); err == nil {
			s.rows, s.columns, s.last = true, digest(v.Columns), last
		}
	}
}

// Agree takes what another has just heard in a message of that kind.
func (s *Shape) Agree(with *Shape, kind wire.Kind) {
	if kind == wire.ParameterDescription {
		s.params, s.parameters = with.params, with.parameters
	} else {
		s.rows, s.columns, s.last = with.rows, with.columns, with.last
	}
}

// digest is of what PostgreSQL compares before it says that a result has changed. Which
// table a column is of may change, and in which format it comes.
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
