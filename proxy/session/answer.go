package session

import (
	"pgherd/proxy/expect"
	"pgherd/proxy/wire"
)

func (s *exchange) handOn(m wire.Message) {
	s.replies.pass(s.client, m)
	s.torn = !m.Last
}

// substitute tells the client an error in pgherd's words, if it is the one that
// was brought about.
func (s *exchange) substitute(m wire.Message) {
	a := s.expect.Words()
	if a.Code != "" && (!m.Last || wire.ViewFault(m.Body()).Code != a.Code) {
		s.handOn(m)
	} else if m.First {
		s.client.Write(a.Bytes)
	}
}

// answer sends pgherd's own reply when its turn comes.
func (s *exchange) answer(bytes []byte, ready bool) { s.answerOr(bytes, ready, nil) }

// answerOr is answer, with what to take back if the server skips it.
func (s *exchange) answerOr(bytes []byte, ready bool, undo expect.Undo) {
	s.inTurn(expect.Answer{Bytes: bytes, Ready: ready, Undo: undo})
}

// inTurn sends something of pgherd's own now, or when its turn comes.
func (s *exchange) inTurn(a expect.Answer) {
	if s.expect.Answer(a, s.torn) {
		s.say(a)
	}
}

// answerLocals sends pgherd's own replies whose turn has come.
func (s *exchange) answerLocals() {
	for a, ok := s.expect.NextLocal(); ok; a, ok = s.expect.NextLocal() {
		s.say(a)
	}
}

func (s *exchange) say(a expect.Answer) {
	if a.Ready {
		a.Bytes = wire.AppendReadyForQuery(a.Bytes, s.status)
	}
	s.client.Write(a.Bytes)
}

// nonsense is no SQL.
const nonsense = "refused by pgherd"

// refuseInside makes the server fail in the request's place, so that it rolls
// back and skips as it must; the client gets pgherd's words for it.
func (s *exchange) refuseInside(words []byte, whole bool) {
	if whole {
		s.sendSubstitute(wire.Query, words, "", wire.AppendQuery(nil, nonsense))
		return
	}
	s.sendSubstitute(wire.Parse, words, "", wire.AppendParse(nil, ownStatement, nonsense, nil))
}
