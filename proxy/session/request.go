package session

import (
	"errors"

	"pgherd/proxy/expect"
	"pgherd/proxy/wire"
)

// request handles a request, or a piece of one.
func (s *Session) request(m wire.Message) error {
	s.handling = true
	defer func() { s.handling = false }()
	if m.First {
		s.reload()
		s.came = s.requests.position() - uint64(len(m.Bytes))
		if m.Kind != wire.CopyData {
			s.requests.ends()
		}
		s.passing = false
		mine, err := s.begin(m)
		if err != nil || mine {
			if s.dropping = !s.passing; err == nil { // of the pieces to come
				s.sent(m)
			}
			return err
		}
		s.dropping = false
	}
	n := len(m.Bytes)
	if !s.dropping {
		s.requests.pass(s.server.Endpoint, m)
		if m.Kind == wire.CopyData && m.Last {
			n += s.requests.run(s.server.Endpoint, wire.CopyData)
		}
	}
	if m.Kind == wire.CopyData {
		s.requests.passes(n)
	}
	s.sent(m)
	return nil
}

// sent: a request, or a piece of one, has gone to the server.
func (s *Session) sent(m wire.Message) {
	if !s.follows {
		return
	}
	s.again.add(m)
	if !m.Last {
		return
	}
	if m.Kind == wire.Query || m.Kind == wire.Sync {
		s.round++
		s.askAhead()
	}
}

func (s *Session) countExecuted(kind wire.Kind) {
	switch kind {
	case wire.Query, wire.Execute, wire.FunctionCall:
		s.executed++
	}
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
	s.countExecuted(m.Kind)
	if s.wish.alive || s.cancels > 0 {
		if err := s.spared(); err != nil {
			return true, err
		}
	}
	if s.refusing && m.Kind != wire.Sync {
		return true, nil
	}
	if m.Kind == wire.Sync {
		s.refusing = false
	}
	if s.server == nil {
		switch m.Kind {
		case wire.Sync:
			s.begins = nil // its portal ends
			s.answer(nil, true)
			return true, nil
		case wire.Flush, wire.CopyData, wire.CopyDone, wire.CopyFail:
			return true, nil // outside a copy PostgreSQL takes no notice either
		}
	}
	if err := s.acquaint(); err != nil {
		return true, s.refuse(m.Kind, err)
	}
	if err := s.partAhead(m.Kind); err != nil {
		return true, err
	}
	if !m.Last {
		s.prepared.Overtake(m.Kind)
	} else if mine, err = s.command(m); err != nil || mine {
		return true, s.refuse(m.Kind, err)
	}
	if mine, err = s.look(&m); err != nil || mine {
		return true, s.refuse(m.Kind, err)
	}
	if mine, err = s.place(&m); err != nil || mine {
		return true, s.refuse(m.Kind, err)
	}
	if err := s.vacate(&m); err != nil {
		return true, s.refuse(m.Kind, err)
	}
	if err := s.agreed(&m); err != nil {
		return true, s.refuse(m.Kind, err)
	}
	if err := s.carry(m.Kind); err != nil {
		return true, err
	}
	s.server.Used = s.server.Used || s.keeps() || s.tracker.Pinned() != ""
	s.tellSent(&m)
	if s.redirect(&m) {
		return true, nil
	}
	if s.follows && !s.plain && s.prepare(&m) {
		return true, nil
	}
	s.expectReply(m.Kind)
	return false, nil
}

// settled waits until it is known what became of what the client has prepared
// so far; a Parse, until it is known whether the transaction still takes one.
func (s *Session) settled(kind wire.Kind) error {
	parse := kind == wire.Parse && s.follows
	return s.await(func() bool {
		return !s.expect.Unsettled() && !(parse && s.expect.Settling() && s.expect.Coming())
	})
}

// answer sends pgherd's own reply when its turn comes.
func (s *Session) answer(bytes []byte, ready bool) { s.answerOr(bytes, ready, nil) }

// answerOr is answer, with what to take back if the server skips it.
func (s *Session) answerOr(bytes []byte, ready bool, undo expect.Undo) {
	s.inTurn(expect.Answer{Bytes: bytes, Ready: ready, Undo: undo})
}

// inTurn sends something of pgherd's own now, or when its turn comes.
func (s *Session) inTurn(a expect.Answer) {
	if s.expect.Answer(a, s.torn) {
		s.say(a)
	}
}

// answerLocals sends pgherd's own replies whose turn has come.
func (s *Session) answerLocals() {
	for a, ok := s.expect.NextLocal(); ok; a, ok = s.expect.NextLocal() {
		s.say(a)
	}
}

func (s *Session) say(a expect.Answer) {
	if a.Ready {
		a.Bytes = wire.AppendReadyForQuery(a.Bytes, s.status)
	}
	s.client.Write(a.Bytes)
}

// refuse answers a request for which there is no server with an error, as a
// server would, and keeps the client.
func (s *Session) refuse(kind wire.Kind, err error) error {
	if err == nil {
		return nil
	}
	fault, ok := errors.AsType[*wire.Fault](err)
	if _, over := errors.AsType[lost](err); over || !ok {
		return err
	}
	if err := s.known(); err != nil {
		return err
	}
	refusal := *fault
	refusal.Severity = "ERROR"
	words := wire.AppendError(nil, &refusal)
	whole := kind == wire.Query || kind == wire.FunctionCall
	if s.server != nil && !s.expect.Skipping && (s.status != wire.Idle || s.expect.Within()) {
		s.refuseInside(words, whole)
		return nil
	}
	if s.server == nil { // of its transaction none knows yet
		s.transaction.fail()
	}
	s.refusing = !whole
	s.answer(words, whole)
	return nil
}

// nonsense is no SQL.
const nonsense = "refused by pgherd"

// refuseInside makes the server fail in the request's place, so that it rolls
// back and skips as it must; the client gets pgherd's words for it.
func (s *Session) refuseInside(words []byte, whole bool) {
	if whole {
		s.sendInstead(wire.Query, words, "", wire.AppendQuery(nil, nonsense))
		return
	}
	s.sendInstead(wire.Parse, words, "", wire.AppendParse(nil, ownStatement, nonsense, nil))
}
