package session

import (
	"errors"
	"io"

	"pgherd/proxy/wire"
)

// leave is called when the client has said goodbye or closed its side. As with PostgreSQL, what
// it had asked for before is still done, unless the client cannot be reached any more.
func (s *exchange) leave(why error) error {
	if !s.expect.RepliesPending() || why != nil && why != io.EOF || !s.requests.cut.Between() {
		return s.parting()
	}
	if !s.leaving {
		s.leaving = true
		s.sendFlush() // no Sync will come to make the server answer
	}
	return nil
}

// refuseClient ends the session of a client that has violated the protocol. As with PostgreSQL,
// what it had asked for before is answered first.
func (s *exchange) refuseClient(why error) error {
	s.violation = &wire.Fault{Code: "08P01", Message: why.Error()}
	return s.leave(nil)
}

// parting is the error that ends a session whose client has left, or has violated the protocol.
func (e *ending) parting() error {
	if e.violation != nil {
		return e.violation
	}
	return errLeft
}

// errLeft ends a session whose client has left or cannot be reached.
var errLeft = errors.New("serve client: it has left")

// Left says that a session has ended because its client has left, and not because something went
// wrong.
func Left(why error) bool { return errors.Is(why, errLeft) }

// farewell sends the client the reason why the session ends, unless the client has left itself,
// has got the reason from the server, or has got half of a reply, after which nothing can be
// sent.
func (s *exchange) farewell(why error) {
	if why == errLeft || s.fatal || s.torn {
		return
	}
	fault, ok := errors.AsType[*wire.Fault](why)
	if !ok {
		fault = &wire.Fault{Code: "XX000", Message: why.Error()}
	}
	last := *fault
	last.Severity = "FATAL"
	s.client.Write(wire.AppendError(nil, &last))
}

// flush waits for a while until the client has got what is queued for it.
func (s *exchange) flush() {
	deadline := s.loop.Now().Add(goodbye)
	s.client.TellSends()
	for s.client.Queued() > 0 && !s.gone() && s.loop.Now().Before(deadline) {
		if s.loop.Wait(deadline) != nil {
			return
		}
		s.discardInput()
	}
}

// gone says that nothing can be sent to the client any more.
func (f *front) gone() bool {
	ended := f.client.Ended()
	return ended != nil && ended != io.EOF
}

// discardInput reads what the client still sends. If it were left unread, closing would reset the
// connection, and the client could lose the last bytes that pgherd has sent.
func (f *front) discardInput() {
	f.requests.drop()
	for chunk := f.client.Take(); chunk != nil; chunk = f.client.Take() {
		chunk.Release()
	}
}
