package session

import (
	"pgherd/proxy/expect"
	"pgherd/proxy/wire"
)

// query sends a query of pgherd's own. Like any Query it destroys the unnamed statement.
func (s *exchange) query(sql string, w expect.Disposition) {
	s.server.Prepared.Sweep()
	s.send(wire.Query, w, nil, wire.AppendQuery(nil, sql))
}

// All that goes to a server goes through this file, so that every request has its entry in the
// list of replies owed. Without an entry the next reply would be taken for another request's (I1).

// send sends a request of pgherd's own. undo takes back what was noted of it, if it fails or the
// server skips it.
func (s *exchange) send(kind wire.Kind, w expect.Disposition, undo expect.Undo, message []byte) {
	s.sendAbout(kind, w, undo, nil, message)
}

// sendAbout is send for a request whose reply describes something, which expect.List.About then
// returns.
func (s *exchange) sendAbout(kind wire.Kind, w expect.Disposition, undo expect.Undo, about any, message []byte) {
	s.expect.AddAbout(kind, w, undo, about)
	s.write(message)
}

// sendSubstitute sends a request that will fail in the place of the client's, so that the server
// skips and rolls back as it must. The client gets words instead of the error, if the error has
// that code; code "" is any.
func (s *exchange) sendSubstitute(kind wire.Kind, words []byte, code string, message []byte) {
	s.expect.AddSubstitute(kind, words, code)
	s.write(message)
}

func (s *exchange) write(message []byte) {
	s.sent = s.loop.Now()
	s.server.Endpoint.Write(message)
}

// sendFlush makes the server send the replies that it holds back until a Sync. A Flush has no
// reply itself.
func (c *checkout) sendFlush() { c.server.Endpoint.Write(wire.AppendFlush(nil)) }

// forward sends the client's request as it is. Of a long request it sends the first piece, and
// the others follow.
func (s *exchange) forward(m *wire.Message, undo expect.Undo, about any) {
	s.expect.AddAbout(m.Kind, expect.Forward, undo, about)
	s.passFirst(m)
}

// expectReply notes the reply to a request of the client's that the caller passes on itself.
func (o *owed) expectReply(kind wire.Kind, about any) {
	o.expect.AddAbout(kind, expect.Forward, nil, about)
}

// passFirst sends on the first piece of a request whose other pieces, if any,
// follow as they are.
func (s *exchange) passFirst(m *wire.Message) {
	if len(m.Bytes) > 0 {
		s.passPiece(*m)
	}
	s.passing = !m.Last
}

// passPiece sends on a piece of a request of the client's.
func (s *exchange) passPiece(m wire.Message) {
	s.sent = s.loop.Now()
	s.requests.pass(s.server.Endpoint, m)
}

// within runs SQL inside of the client's sequence of the extended protocol. The client gets an
// error in it.
func (s *exchange) within(sql string) {
	s.send(wire.Parse, expect.Setup, nil, wire.AppendParse(nil, ownStatement, sql, nil))
	s.send(wire.Bind, expect.Setup, nil, wire.AppendBind(nil, &wire.BindView{Portal: []byte(ownStatement), Statement: []byte(ownStatement)}))
	s.send(wire.Execute, expect.Setup, nil, wire.AppendExecute(nil, ownStatement, 0))
	s.send(wire.Close, expect.Setup, nil, wire.AppendClose(nil, 'P', ownStatement))
	s.send(wire.Close, expect.Setup, nil, wire.AppendClose(nil, 'S', ownStatement))
}

// aside runs SQL before the request at hand, which is of that kind. The client gets no reply to
// it.
func (s *exchange) aside(kind wire.Kind, sql string) {
	if s.expect.InExtended() || kind != wire.Query && kind != wire.FunctionCall {
		s.within(sql)
	} else {
		s.query(sql, expect.Attempt)
	}
}
