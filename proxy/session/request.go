package session

import (
	"errors"

	"pgherd/proxy/wire"
)

// request handles a request, or a piece of one.
func (s *Session) request(m wire.Message) error {
	if m.First {
		mine, err := s.begin(m)
		if err != nil {
			return err
		}
		s.dropping = mine
	}
	if !s.dropping {
		s.requests.pass(s.server.Endpoint, m)
	}
	return nil
}

// begin decides about a request. mine: it is answered here, or by nobody, and
// does not go to the server.
func (s *Session) begin(m wire.Message) (mine bool, err error) {
	switch m.Kind {
	case wire.Terminate:
		return true, s.leave(nil)
	case wire.Password:
		return true, &wire.Fault{Code: "08P01", Message: "invalid frontend message type 112"}
	}
	s.enter(Active)
	if s.refusing && m.Kind != wire.Sync {
		return true, nil
	}
	if s.server == nil {
		switch m.Kind {
		case wire.Sync:
			s.refusing = false
			s.answer(nil, true)
			return true, nil
		case wire.Flush, wire.CopyData, wire.CopyDone, wire.CopyFail:
			return true, nil // outside a copy PostgreSQL takes no notice either
		}
	}
	if !m.Last {
		s.prepared.overtake(m.Kind)
	} else if s.command(m) {
		return true, nil
	}
	if s.server == nil {
		if err := s.checkout(); err != nil {
			return true, s.refuse(m.Kind, err)
		}
	}
	s.expect.add(m.Kind, forward)
	s.server.Used = true
	return false, nil
}

// answer sends pgherd's own reply when its turn comes.
func (s *Session) answer(bytes []byte, ready bool) {
	if a := (answer{bytes, ready}); s.expect.answer(a, s.torn) {
		s.send(a)
	}
}

// answerLocals sends pgherd's own replies whose turn has come.
func (s *Session) answerLocals() {
	for a, ok := s.expect.nextLocal(); ok; a, ok = s.expect.nextLocal() {
		s.send(a)
	}
}

func (s *Session) send(a answer) {
	if a.ready {
		a.bytes = wire.AppendReadyForQuery(a.bytes, s.status)
	}
	s.client.Write(a.bytes)
}

// refuse answers a request for which there is no server with an error, as a
// server would, and keeps the client.
func (s *Session) refuse(kind wire.Kind, err error) error {
	fault, ok := errors.AsType[*wire.Fault](err)
	if !ok {
		return err
	}
	refusal := *fault
	refusal.Severity = "ERROR"
	whole := kind == wire.Query || kind == wire.FunctionCall
	s.refusing = !whole
	s.answer(wire.AppendError(nil, &refusal), whole)
	return nil
}
