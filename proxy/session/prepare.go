package session

import (
	"encoding/binary"

	"pgherd/proxy/expect"
	"pgherd/proxy/statements"
	"pgherd/proxy/wire"
)

// prepare makes prepared statements follow the client from server to server. On a server a
// statement has one name, which all sessions share that prepare the same text with the same
// types. The client's own names are replaced and do not reach the server.
//
// A name that pgherd does not know is passed as it is, so that the client gets the server's own
// error. So is the name of a statement that is too long to keep.
func (s *clientState) prepare(m *wire.Message) result {
	if !s.follows || s.exposed || s.expect.Skipping { // the names pass as they are, or the server skips the request
		return onward
	}
	switch m.Kind {
	case wire.Query: // it destroys the unnamed statement
		back := s.setUnnamed(nil)
		if !s.expect.InExtended() {
			back = nil // no error before it can make the server skip it
		}
		s.forward(m, back, s.script)
		return handled
	case wire.Parse:
		return handledIf(s.prepareParse(m))
	case wire.Bind:
		return handledIf(s.prepareBind(m))
	case wire.Describe:
		return handledIf(s.prepareDescribe(m))
	case wire.Close:
		return handledIf(s.prepareClose(m))
	}
	return onward
}

// prepareParse sends a Parse on under the statement's name on the server.
func (s *clientState) prepareParse(m *wire.Message) bool {
	if !m.Last {
		if m.Bytes[wire.HeaderLen] == 0 { // of the unnamed statement
			s.forward(m, s.setUnnamed(s.statement("")), nil)
			return true
		}
		return false // the server stays with the session and knows the statement by the client's name
	}
	v, err := wire.ViewParse(m.Body())
	if err != nil {
		return false
	}
	st := s.statement(string(m.Body()[len(v.Name)+1:]))
	if len(v.Name) == 0 {
		if why := s.roomUnnamed(len(st.Text)); why != nil {
			s.refuseInside(wire.AppendError(nil, why), false)
		} else {
			s.parseUnnamed(m, st)
		}
		return true
	}
	name := string(v.Name)
	if s.tracker.Runs[name] != nil {
		return false // a statement of SQL PREPARE has the name, and the server will say so
	}
	if s.status == wire.Failed && !s.ended && !st.Script.Recovers() && !st.Script.Empty() { // the transaction has failed, so the server refuses any Parse
		st.Key = s.privately(st.Key)
		s.parse(st, expect.Forward, nil)
		return true
	}
	if s.statements.Named(name) != nil {
		s.collide(name, st.Text)
		return true
	}
	st.Shorten()
	if why := s.mayKeep(name, st); why != nil {
		s.refuseInside(wire.AppendError(nil, why), false)
		return true
	}
	s.statements.Keep(name, st)
	forget := func(bool) { s.statements.Drop(name) }
	s.parse(st, expect.Forward, forget) // even if the server has it, which may be from before a table changed
	return true
}

// setUnnamed notes what the client's unnamed statement is from now on, and the server's. The
// function that it returns takes that back.
func (s *clientState) setUnnamed(st *statements.Statement) expect.Undo {
	if st == nil && s.statements.Unnamed == nil && s.server.Prepared.Unnamed == 0 {
		return nil // nothing changes
	}
	before, there, server := s.statements.Unnamed, s.server.Prepared.Unnaming(), s.server
	s.statements.DoubtUnnamed()
	s.statements.Unnamed, server.Prepared.Unnamed = st, st.Number()
	return func(erred bool) {
		s.statements.Unnamed = before
		there()
		if erred { // a Parse that fails destroys the unnamed statement before it
			s.statements.Unnamed, server.Prepared.Unnamed = nil, 0
		}
	}
}

// duplicate is PostgreSQL's error for a name that another statement has.
const duplicate = "42P05"

// collide answers a Parse whose name the client has given to another statement. It sends a Parse
// of the name that the server has for that statement, so that the server fails, skips and rolls
// back as it must. The client gets the error with its own name in it. If the server reports
// another error, the client gets that one.
func (s *clientState) collide(name, text string) {
	there, _ := s.ensure([]byte(name))
	fault := &wire.Fault{Severity: "ERROR", Code: duplicate, Message: `prepared statement "` + name + `" already exists`}
	s.sendSubstitute(wire.Parse, wire.AppendError(nil, fault), duplicate, appendParse(nil, there, text))
}

// prepareAhead answers a Parse without a server, if a server of its pool has prepared the same
// statement before. A driver that prepares on one thread what it runs on others would otherwise
// wait for the servers that the other threads hold.
func (s *clientState) prepareAhead(m *wire.Message) bool {
	v, err := wire.ViewParse(m.Body())
	if !m.Last || err != nil || len(v.Name) == 0 || s.status == wire.Failed || s.statements.Named(string(v.Name)) != nil || s.tracker.Runs[string(v.Name)] != nil || s.tracker.Mean != nil {
		return false
	}
	st := s.statement(string(m.Body()[len(v.Name)+1:]))
	st.Shorten()
	if !s.loop.Proven(s.pool, st.Key) || s.mayKeep(string(v.Name), st) != nil {
		return false
	}
	st.Unparsed = true
	s.statements.Keep(string(v.Name), st)
	s.answer(wire.AppendParseComplete(nil), false)
	return true
}

// prepareBind sends a Bind on under the statement's name on the server. It needs only the
// beginning of a Bind that comes in pieces.
func (s *clientState) prepareBind(m *wire.Message) bool {
	portal, name, whole := wire.BindNames(m.Body())
	if !whole {
		return false
	}
	copies := s.copies()
	there, ok := s.ensure(name)
	s.retry.of = s.statements.Find(name)
	if len(portal) == 0 {
		s.portalOf = s.retry.of
	}
	if ok && copies {
		s.retry.begin(name)
	}
	var back expect.Undo
	if len(name) == 0 && s.statements.Unnamed != nil {
		back = s.forgetClosed(s.statements.Unnamed.Closes)
	}
	if !ok {
		s.forward(m, back, s.statements.Find(name))
		return true
	}
	length := int(binary.BigEndian.Uint32(m.Bytes[1:])) + len(there) - len(name)
	head := binary.BigEndian.AppendUint32(append(s.scratch[:0], 'B'), uint32(length))
	s.scratch = append(append(append(append(head, portal...), 0), there...), 0)
	s.sendAbout(wire.Bind, expect.Forward, back, s.statements.Find(name), s.scratch)
	rest := *m
	rest.Bytes = m.Body()[len(portal)+1+len(name)+1:]
	s.passFirst(&rest)
	return true
}

// prepareDescribe sends a Describe on under the statement's name on the server.
func (s *clientState) prepareDescribe(m *wire.Message) bool {
	v, err := wire.ViewDescribe(m.Body())
	if err != nil {
		return false
	}
	if v.What == 'P' {
		s.forward(m, nil, s.retry.of)
		return true
	}
	copies := s.copies()
	there, ok := s.ensure(v.Name)
	if ok {
		st := s.statements.Named(string(v.Name))
		s.retry.of = st
		if copies {
			s.retry.begin(v.Name)
		}
		s.sendAbout(wire.Describe, expect.Forward, nil, st, wire.AppendDescribe(nil, 'S', there))
	} else {
		s.forward(m, nil, s.statements.Find(v.Name))
	}
	return true
}

// prepareClose answers a Close and forgets the client's statement. The server keeps it for other
// clients.
func (s *clientState) prepareClose(m *wire.Message) bool {
	v, err := wire.ViewClose(m.Body())
	if err != nil || v.What != 'S' {
		return false
	}
	if len(v.Name) == 0 {
		s.forward(m, s.setUnnamed(nil), nil)
		return true
	}
	name := string(v.Name)
	if runs := s.tracker.Runs[name]; runs != nil { // a statement of SQL PREPARE
		delete(s.tracker.Runs, name)
		s.tracker.Unsure = true
		s.forward(m, func(bool) { s.tracker.Runs[name] = runs }, nil)
		return true
	}
	st := s.statements.Named(name)
	if st == nil {
		return false
	}
	s.statements.Doubt(name)
	s.answerOr(wire.AppendCloseComplete(nil), false, func(bool) { s.statements.Keep(name, st) })
	return true
}

// copies says that the Bind or Describe at hand is copied, in case it has to be repeated.
func (s *clientState) copies() bool {
	return s.status == wire.Idle && s.follows && !s.expect.InExtended() && s.expect.OwedToClient() == 0
}
