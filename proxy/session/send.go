package session

import (
	"pgherd/proxy/expect"
	"pgherd/proxy/wire"
)

// Nothing goes to a server but by this file, so that every request has its entry in the
// list of replies owed: without one the next reply is taken for another's (I1).

// send sends a request of pgherd's own making. undo takes back what was noted of it.
func (s *Session) send(kind wire.Kind, w expect.Disposition, undo expect.Undo, message []byte) {
	s.sendAbout(kind, w, undo, nil, message)
}

// sendAbout is send; what the reply tells is about something.
func (s *Session) sendAbout(kind wire.Kind, w expect.Disposition, undo expect.Undo, about any, message []byte) {
	s.expect.AddAbout(kind, w, undo, about)
	s.server.Endpoint.Write(message)
}

// sendSubstitute makes the server fail in the place of the client's request, so that it skips
// and rolls back as it must. The client gets words for the error, if it has that code.
func (s *Session) sendSubstitute(kind wire.Kind, words []byte, code string, message []byte) {
	s.expect.AddSubstitute(kind, words, code)
	s.server.Endpoint.Write(message)
}

// sendFlush has the server tell what it holds back until a Sync. It has no reply itself.
func (s *Session) sendFlush() { s.server.Endpoint.Write(wire.AppendFlush(nil)) }

// forward sends the client's request as it is; of a long one the first piece, which the
// others follow.
func (s *Session) forward(m *wire.Message, undo expect.Undo, about any) {
	s.expect.AddAbout(m.Kind, expect.Forward, undo, about)
	s.passFirst(m)
}

// expectReply is forward for a request whose pieces the caller passes.
func (s *Session) expectReply(kind wire.Kind) { s.expect.Add(kind, expect.Forward, nil) }

// passFirst sends on the first piece of a request whose other pieces, if any,
// follow as they are.
func (s *Session) passFirst(m *wire.Message) {
	if len(m.Bytes) > 0 {
		s.requests.pass(s.server.Endpoint, *m)
	}
	s.passing = !m.Last
}
