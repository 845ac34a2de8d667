package session

import (
	"pgherd/proxy/expect"
	"pgherd/proxy/wire"
)

// handOn sends a reply, or a piece of one, on to the client.
func (s *exchange) handOn(m wire.Message) {
	s.replies.pass(s.client, m)
	s.torn = !m.Last
}

// substitute sends the client pgherd's words instead of an error, if it is the error that
// sendSubstitute has caused.
func (s *exchange) substitute(m wire.Message) {
	a := s.expect.Words()
	if a.Code != "" && (!m.Last || wire.ViewFault(m.Body()).Code != a.Code) {
		s.handOn(m)
	} else if m.First {
		s.client.Write(a.Bytes)
	}
}

// answer sends the client a reply of pgherd's own when its turn comes (I1). If ready is true, a
// ReadyForQuery follows.
func (s *exchange) answer(bytes []byte, ready bool) { s.answerOr(bytes, ready, nil) }

// answerOr is answer. undo takes back what was noted, if an error makes the reply obsolete.
func (s *exchange) answerOr(bytes []byte, ready bool, undo expect.Undo) {
	s.inTurn(expect.Answer{Bytes: bytes, Ready: ready, Undo: undo})
}

// inTurn sends the client something of pgherd's own, at once or when its turn comes.
func (s *exchange) inTurn(a expect.Answer) {
	if s.expect.Answer(a, s.torn) {
		s.say(a)
	}
}

// answerLocals sends those of pgherd's own replies whose turn has come.
func (s *exchange) answerLocals() {
	for a, ok := s.expect.NextLocal(); ok; a, ok = s.expect.NextLocal() {
		s.say(a)
	}
}

// say sends the client a reply of pgherd's own.
func (s *exchange) say(a expect.Answer) {
	if a.Ready {
		a.Bytes = wire.AppendReadyForQuery(a.Bytes, s.status)
	}
	s.client.Write(a.Bytes)
}

// nonsense is a text that is a syntax error to PostgreSQL.
const nonsense = "refused by pgherd"

// refuseInside refuses a request inside of a transaction or sequence. It makes the server fail,
// so that it rolls back and skips as it must, and the client gets pgherd's words. whole says that
// the request is a Query or FunctionCall.
func (s *exchange) refuseInside(words []byte, whole bool) {
	if whole {
		s.sendSubstitute(wire.Query, words, "", wire.AppendQuery(nil, nonsense))
		return
	}
	s.sendSubstitute(wire.Parse, words, "", wire.AppendParse(nil, ownStatement, nonsense, nil))
}
