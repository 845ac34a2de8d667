package session

import (
	"pgherd/proxy/expect"
	"pgherd/proxy/pool"
	"pgherd/proxy/statements"
	"pgherd/proxy/wire"
)

// A client that has a statement described relies on what it is told: it sends parameters
// and reads rows by those types from then on. PostgreSQL keeps to them or says that they
// have changed. A server on which the statement is prepared anew, perhaps after an ALTER
// TABLE, would answer with others, without a word: so it is asked first.

// keepPromise has the statement that a request is about on the server as the client was
// told it is. An error says that it is not any more.
func (s *relaying) keepPromise(m *wire.Message) error {
	if !s.follows || s.plain || s.expect.Skipping || s.status == wire.Failed {
		return nil
	}
	name, st := s.about(m)
	switch {
	case st == nil:
		return nil
	case m.Kind == wire.Describe && !st.Promise.Known():
		s.describeAnew(name, st)
		return nil
	case !st.Promise.Known():
		if s.status != wire.Idle || s.expect.InExtended() { // what fails there cannot be repeated
			s.ownPlan(name, st)
		}
		return nil
	case len(name) == 0 && s.server.Prepared.Unnamed == st.ID:
		return nil
	case len(name) > 0 && st.ServedBy(s.server.Prepared.Find(st.Key)):
		return nil
	}
	return s.prepareAsPromised(name, st)
}

// agreed has the statement that a request is about mean on the server what it means to
// the client.
func (s *relaying) agreed(m *wire.Message) error {
	if err := s.settled(m.Kind); err != nil {
		return err
	}
	if err := s.informed(m); err != nil {
		return err
	}
	return s.keepPromise(m)
}

// about is the client's statement that a Bind or Describe is about; nil: none.
func (h *holdings) about(m *wire.Message) (name []byte, st *statements.Statement) {
	switch m.Kind {
	case wire.Bind:
		_, name, st = h.bound(m)
	case wire.Describe:
		if v, err := wire.ViewDescribe(m.Body()); err == nil && v.What == 'S' {
			return v.Name, h.statements.Find(v.Name)
		}
	}
	return name, st
}

// describeAnew has a statement, of which the client has been told nothing yet, prepared
// anew, unless that was just done for this client: what it is then is what it is now.
func (s *relaying) describeAnew(name []byte, st *statements.Statement) {
	there, now := s.server.Prepared.Find(st.Key), st.Round == s.round
	switch {
	case len(name) == 0 && s.server.Prepared.Unnamed == st.ID && !now:
		s.server.Prepared.Unnamed = 0
	case len(name) > 0 && there != nil && (there.By != st.ID || !now):
		there.Outdated = true
	}
}

// ownPlan has a statement, of which the client has been told nothing, prepared anew if the
// server has it of another client: that may be of another time.
func (c *checkout) ownPlan(name []byte, st *statements.Statement) {
	if there := c.server.Prepared.Find(st.Key); len(name) > 0 && there != nil && there.By != st.ID {
		there.Outdated = true
	}
}

// prepareAsPromised prepares a statement and waits for what it is.
func (s *relaying) prepareAsPromised(name []byte, st *statements.Statement) error {
	there, named := s.ensure(name)
	var told pool.Shape
	s.sendAbout(wire.Describe, expect.Setup, nil, &told, wire.AppendDescribe(nil, 'S', there))
	if err := s.quiesce(); err != nil || s.expect.Skipping {
		return err
	}
	if named {
		if found := s.server.Prepared.Find(st.Key); found != nil {
			found.Shape = told.Brief()
		}
	}
	if told.Keeps(&st.Promise) {
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
func (s *relaying) hearShape(m wire.Message) {
	switch about := s.expect.About().(type) {
	case *pool.Shape:
		about.Hear(m)
	case *statements.Statement:
		if about == nil {
			return
		}
		if !m.Last {
			s.tracker.Keep("a statement with more columns or parameters than are remembered")
			return
		}
		s.statements.Promise(about, m)
		if about == s.statements.Unnamed { // that the server has under no name
			return
		}
		if there := s.server.Prepared.Find(about.Key); there != nil && !there.Outdated {
			there.Shape.Agree(&about.Promise, m.Kind)
		}
	}
}

// settled waits until it is known what became of what the client has prepared
// so far; a Parse, until it is known whether the transaction still takes one.
func (s *relaying) settled(kind wire.Kind) error {
	parse := kind == wire.Parse && s.follows
	return s.relayUntil(func() bool {
		return !s.expect.Unsettled() && !(parse && s.expect.StatusPending() && s.expect.RepliesPending())
	})
}

// informed has the server asked what is set, if nobody knows, before it is given
// a statement that it does not have: only then can that be parsed under the
// settings that gave it its meaning. Within a transaction it cannot be asked.
func (s *relaying) informed(m *wire.Message) error {
	f := &s.tracker
	if !f.Unsure || f.GivenUp() || s.plain || s.expect.Skipping || s.expect.InExtended() || !s.lacks(m) {
		return nil
	}
	if s.status != wire.Idle && !s.expect.StatusPending() {
		return nil
	}
	if err := s.quiesce(); err != nil {
		return err
	}
	if f.Unsure && s.status == wire.Idle && s.expect.Empty() {
		s.askState()
	}
	return s.quiesce()
}
