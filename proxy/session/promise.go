package session

import (
	"pgherd/proxy/expect"
	"pgherd/proxy/pool"
	"pgherd/proxy/wire"
)

// A client that has a statement described relies on what it is told: it sends parameters
// and reads rows by those types from then on. PostgreSQL keeps to them or says that they
// have changed. A server on which the statement is prepared anew, perhaps after an ALTER
// TABLE, would answer with others, without a word: so it is asked first.

// serves says that a statement as a server has it is what the client prepared, as far as
// the client was told.
func serves(there *pool.PreparedStatement, st *statement) bool {
	return there != nil && !there.Outdated && !st.unparsed && there.Shape.Keeps(&st.promise)
}

// keepPromise has the statement that a request is about on the server as the client was
// told it is. An error says that it is not any more.
func (s *Session) keepPromise(m *wire.Message) error {
	if !s.follows || s.plain || s.expect.Skipping || s.status == wire.Failed {
		return nil
	}
	name, st := s.about(m)
	switch {
	case st == nil:
		return nil
	case m.Kind == wire.Describe && !st.promise.Known():
		s.describeAnew(name, st)
		return nil
	case !st.promise.Known():
		if s.status != wire.Idle || s.expect.InExtended() { // what fails there cannot be repeated
			s.ownPlan(name, st)
		}
		return nil
	case len(name) == 0 && s.server.Prepared.Unnamed == st.id:
		return nil
	case len(name) > 0 && serves(s.server.Prepared.Find(st.key), st):
		return nil
	}
	return s.prepareAsPromised(name, st)
}

// agreed has the statement that a request is about mean on the server what it means to
// the client.
func (s *Session) agreed(m *wire.Message) error {
	if err := s.settled(m.Kind); err != nil {
		return err
	}
	if err := s.informed(m); err != nil {
		return err
	}
	return s.keepPromise(m)
}

// about is the client's statement that a Bind or Describe is about; nil: none.
func (s *Session) about(m *wire.Message) (name []byte, st *statement) {
	switch m.Kind {
	case wire.Bind:
		_, name, st = s.bound(m)
	case wire.Describe:
		if v, err := wire.ViewDescribe(m.Body()); err == nil && v.What == 'S' {
			return v.Name, s.statementOf(v.Name)
		}
	}
	return name, st
}

// describeAnew has a statement, of which the client has been told nothing yet, prepared
// anew, unless that was just done for this client: what it is then is what it is now.
func (s *Session) describeAnew(name []byte, st *statement) {
	there, now := s.server.Prepared.Find(st.key), st.round == s.round
	switch {
	case len(name) == 0 && s.server.Prepared.Unnamed == st.id && !now:
		s.server.Prepared.Unnamed = 0
	case len(name) > 0 && there != nil && (there.By != st.id || !now):
		there.Outdated = true
	}
}

// ownPlan has a statement, of which the client has been told nothing, prepared anew if the
// server has it of another client: that may be of another time.
func (s *Session) ownPlan(name []byte, st *statement) {
	if there := s.server.Prepared.Find(st.key); len(name) > 0 && there != nil && there.By != st.id {
		there.Outdated = true
	}
}

// prepareAsPromised prepares a statement and waits for what it is.
func (s *Session) prepareAsPromised(name []byte, st *statement) error {
	there, named := s.ensure(name)
	var told pool.Shape
	s.sendAbout(wire.Describe, expect.Setup, nil, &told, wire.AppendDescribe(nil, 'S', there))
	if err := s.quiesce(); err != nil || s.expect.Skipping {
		return err
	}
	if named {
		if found := s.server.Prepared.Find(st.key); found != nil {
			found.Shape = told.Brief()
		}
	}
	if told.Keeps(&st.promise) {
		return nil
	}
	if !named {
		s.server.Prepared.Unnamed = 0 // it is another
	}
	return changed
}

// changed is PostgreSQL's own error.
var changed = &wire.Fault{Severity: "ERROR", Code: "0A000", Message: "cached plan must not change result type"}

// hearShape learns what a statement is from the answer to a Describe.
func (s *Session) hearShape(m wire.Message) {
	switch about := s.expect.About().(type) {
	case *pool.Shape:
		about.Hear(m)
	case *statement:
		if about == nil {
			return
		}
		if !m.Last {
			s.tracker.Keep("a statement with more columns or parameters than are remembered")
			return
		}
		s.promised(about, m)
		if about == s.unnamed { // that the server has under no name
			return
		}
		if there := s.server.Prepared.Find(about.key); there != nil && !there.Outdated {
			there.Shape.Agree(&about.promise, m.Kind)
		}
	}
}
