package session

import (
	"pgherd/proxy/expect"
	"pgherd/proxy/pool"
	"pgherd/proxy/statements"
	"pgherd/proxy/wire"
)

// A client that describes a statement relies on the answer. From then on it sends parameters
// and reads rows by those types. PostgreSQL keeps to them, or reports an error if they have
// changed. A server on which pgherd prepares the statement anew, perhaps after an ALTER TABLE,
// would answer with other types and without an error, so pgherd describes the statement there
// first.

// keepPromise makes sure that the statement which a request is about has the types on the
// server that the client was told. The error is PostgreSQL's for a statement that has changed.
func (s *relaying) keepPromise(m *wire.Message) error {
	if !s.follows || s.exposed || s.expect.Skipping || s.status == wire.Failed {
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
		if s.status != wire.Idle || s.expect.InExtended() { // an Execute that fails here cannot be repeated
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

// agreed makes sure that the statement which a request is about means the same on the server
// as to the client.
func (s *relaying) agreed(m *wire.Message) error {
	if err := s.settled(m.Kind); err != nil {
		return err
	}
	if err := s.informed(m); err != nil {
		return err
	}
	return s.keepPromise(m)
}

// about is the client's statement that a Bind or Describe is about; nil if there is none.
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

// describeAnew lets a statement be prepared anew for a Describe that is the client's first of
// it, so that the answer is of this moment. That is not needed if this client has prepared it
// in this same round.
func (s *relaying) describeAnew(name []byte, st *statements.Statement) {
	there, now := s.server.Prepared.Find(st.Key), st.Round == s.round
	switch {
	case len(name) == 0 && s.server.Prepared.Unnamed == st.ID && !now:
		s.server.Prepared.Unnamed = 0
	case len(name) > 0 && there != nil && (there.By != st.ID || !now):
		there.Outdated = true
	}
}

// ownPlan lets a statement of which the client has been told nothing be prepared anew if the
// server has it from another client, because that one may have prepared it before a table
// changed.
func (c *checkout) ownPlan(name []byte, st *statements.Statement) {
	if there := c.server.Prepared.Find(st.Key); len(name) > 0 && there != nil && there.By != st.ID {
		there.Outdated = true
	}
}

// prepareAsPromised prepares a statement, waits for its description, and compares that with
// what the client was told.
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
		s.server.Prepared.Unnamed = 0 // it is not the statement that the client knows
	}
	return changed
}

// changed is PostgreSQL's own error for this.
var changed = &wire.Fault{Severity: "ERROR", Code: "0A000", Message: "cached plan must not change result type"}

// hearShape learns the types of a statement from the answer to a Describe.
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
		if about == s.statements.Unnamed { // the server's list has only named statements
			return
		}
		if there := s.server.Prepared.Find(about.Key); there != nil && !there.Outdated {
			there.Shape.Agree(&about.Promise, m.Kind)
		}
	}
}

// settled waits until it is known which of the client's earlier Parses and Closes hold. A
// Parse waits, too, until it is known whether the transaction has failed.
func (s *relaying) settled(kind wire.Kind) error {
	parse := kind == wire.Parse && s.follows
	return s.relayUntil(func() bool {
		return !s.expect.Unsettled() && !(parse && s.expect.StatusPending() && s.expect.RepliesPending())
	})
}

// informed asks the server for its settings, if they are not known, before a statement is
// prepared there anew. The statement has to be parsed under the settings that gave it its
// meaning, and pgherd can only set those if it knows the present ones. Within a transaction
// the server cannot be asked.
func (s *relaying) informed(m *wire.Message) error {
	f := &s.tracker
	if !f.Unsure || f.GivenUp() || s.exposed || s.expect.Skipping || s.expect.InExtended() || !s.lacks(m) {
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
