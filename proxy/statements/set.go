package statements

import "pgherd/proxy/wire"

// Set is all that a client has prepared at one moment, by the client's own names.
type Set struct {
	Unnamed *Statement // nil if there is none
	named   map[string]*Statement
	bytes   int // of those with a name
	doubted int // bytes of those that may have to be taken back
}

// Named is the statement of that name; nil: there is none.
func (s *Set) Named(name string) *Statement { return s.named[name] }

// Find is the statement that a message calls by this name, which is empty for the unnamed
// one; nil: there is none.
func (s *Set) Find(name []byte) *Statement {
	if len(name) == 0 {
		return s.Unnamed
	}
	return s.named[string(name)]
}

// All are the statements that have a name. The caller does not change it.
func (s *Set) All() map[string]*Statement { return s.named }

// Keep is the one place where the client gets a prepared statement.
func (s *Set) Keep(name string, st *Statement) {
	if s.named == nil {
		s.named = map[string]*Statement{}
	}
	s.Drop(name)
	s.named[name], st.kept = st, st.Size(name)
	s.bytes += st.kept
}

// Drop is the one place where it has one no more.
func (s *Set) Drop(name string) {
	if st := s.named[name]; st != nil {
		delete(s.named, name)
		s.bytes -= st.kept
		st.kept = 0
	}
}

// Doubt is Drop for what may have to be taken back, and is kept until that is known.
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

// DoubtUnnamed counts the unnamed statement as one that may have to be taken back.
func (s *Set) DoubtUnnamed() {
	if s.Unnamed != nil {
		s.doubted += len(s.Unnamed.Text)
	}
}

// Certain says that nothing has to be taken back any more.
func (s *Set) Certain() { s.doubted = 0 }

// Doubted is how many bytes are kept of statements that may have to be taken back.
func (s *Set) Doubted() int { return s.doubted }

// Bytes is what the client has pgherd keep of them, as if it shared nothing with others.
func (s *Set) Bytes() int {
	n := s.bytes + s.doubted
	if s.Unnamed != nil {
		n += len(s.Unnamed.Text)
	}
	return n
}

// Promise notes that the client was told, by a part of the answer to a Describe, what a
// statement is.
func (s *Set) Promise(st *Statement, reply wire.Message) {
	before, _ := st.Promise.Types()
	st.Promise.Hear(reply)
	if after, _ := st.Promise.Types(); st.kept > 0 {
		st.kept += len(after) - len(before)
		s.bytes += len(after) - len(before)
	}
}
