package statements

import "pgherd/proxy/wire"

// Set has all that a client has prepared, by the client's own names.
type Set struct {
	Unnamed *Statement // nil if there is none
	named   map[string]*Statement
	bytes   int // of the statements in named
	doubted int // bytes of statements that were dropped, and may have to be brought back
}

// Named is the statement of that name; nil if there is none.
func (s *Set) Named(name string) *Statement { return s.named[name] }

// Find is the statement that a message calls by this name, which is empty for the unnamed one. It
// is nil if there is none.
func (s *Set) Find(name []byte) *Statement {
	if len(name) == 0 {
		return s.Unnamed
	}
	return s.named[string(name)]
}

// All are the statements that have a name. The caller must not change the map.
func (s *Set) All() map[string]*Statement { return s.named }

// Keep gives the client a prepared statement of that name. It is the one place that does so.
func (s *Set) Keep(name string, st *Statement) {
	if s.named == nil {
		s.named = map[string]*Statement{}
	}
	s.Drop(name)
	s.named[name], st.kept = st, st.Size(name)
	s.bytes += st.kept
}

// Drop takes the statement of that name from the client. Beside Clear it is the one place that
// does so.
func (s *Set) Drop(name string) {
	if st := s.named[name]; st != nil {
		delete(s.named, name)
		s.bytes -= st.kept
		st.kept = 0
	}
}

// Doubt is Drop for a statement that may have to be brought back. Its bytes count until Certain.
func (s *Set) Doubt(name string) {
	if st := s.named[name]; st != nil {
		s.doubted += st.kept
		s.Drop(name)
	}
}

// Clear drops all that have a name.
func (s *Set) Clear() {
	for _, st := range s.named {
		st.kept = 0
	}
	s.named, s.bytes = nil, 0
}

// DoubtUnnamed counts the bytes of the unnamed statement as those of one that may have to be
// brought back.
func (s *Set) DoubtUnnamed() {
	if s.Unnamed != nil {
		s.doubted += len(s.Unnamed.Text)
	}
}

// Certain notes that no statement has to be brought back any more.
func (s *Set) Certain() { s.doubted = 0 }

// Doubted is how many bytes there are of statements that may have to be brought back.
func (s *Set) Doubted() int { return s.doubted }

// Bytes is how many bytes pgherd keeps for the client's statements. What clients share counts for
// each of them.
func (s *Set) Bytes() int {
	n := s.bytes + s.doubted
	if s.Unnamed != nil {
		n += len(s.Unnamed.Text)
	}
	return n
}

// Promise notes what the client was told of a statement's types, by one message of the reply to a
// Describe.
func (s *Set) Promise(st *Statement, reply wire.Message) {
	before, _ := st.Promise.Types()
	st.Promise.Hear(reply)
	after, _ := st.Promise.Types()
	if st.kept > 0 {
		st.kept += len(after) - len(before)
		s.bytes += len(after) - len(before)
	}
}
