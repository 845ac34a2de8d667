package session

import (
	"errors"

	"pgherd/proxy/expect"
	"pgherd/proxy/wire"
)

// pieces says what becomes of a request that arrives in pieces, or behind one that failed.
type pieces struct {
	refusing bool // a request failed here; skip to the next Sync
	dropping bool // the one that arrives is not for the server
	passing  bool // its first piece was sent on in other words, the others are to follow
}

// handle handles a request, or a piece of one.
func (s *Session) handle(m wire.Message) error {
	s.handling = true
	defer func() { s.request = request{came: s.came} }()
	if m.First {
		s.reload()
		s.message, s.came = m, s.requests.position()-uint64(len(m.Bytes))
		if m.Kind != wire.CopyData {
			s.requests.ends()
		}
		s.passing = false
		sent, err := s.begin()
		if err != nil || !sent {
			if s.dropping = !s.passing; err == nil { // of the pieces to come
				s.sent(m)
			}
			return err
		}
		s.dropping = false
		m = s.message
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
	s.retry.add(m)
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

// settled waits until it is known what became of what the client has prepared
// so far; a Parse, until it is known whether the transaction still takes one.
func (s *Session) settled(kind wire.Kind) error {
	parse := kind == wire.Parse && s.follows
	return s.relayUntil(func() bool {
		return !s.expect.Unsettled() && !(parse && s.expect.StatusPending() && s.expect.RepliesPending())
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
	if s.server != nil && !s.expect.Skipping && (s.status != wire.Idle || s.expect.InExtended()) {
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
		s.sendSubstitute(wire.Query, words, "", wire.AppendQuery(nil, nonsense))
		return
	}
	s.sendSubstitute(wire.Parse, words, "", wire.AppendParse(nil, ownStatement, nonsense, nil))
}
