package session

import (
	"errors"
	"io"

	"pgherd/proxy/wire"
)

// leave: the client said goodbye or closed its side. What it had asked for
// before is still done, as PostgreSQL would: until it cannot be reached.
func (s *exchange) leave(why error) error {
	if !s.expect.RepliesPending() || why != nil && why != io.EOF || !s.requests.cut.Between() {
		return s.parting()
	}
	if !s.leaving {
		s.leaving = true
		s.sendFlush() // no Sync will make it answer
	}
	return nil
}

// refuseClient: what the client sends is not the protocol. What it had asked
// for before is answered first, as PostgreSQL does.
func (s *exchange) refuseClient(why error) error {
	s.violation = &wire.Fault{Code: "08P01", Message: why.Error()}
	return s.leave(nil)
}

// parting is how a session ends whose client has left, or made it impossible
// to go on.
func (e *ending) parting() error {
	if e.violation != nil {
		return e.violation
	}
	return errLeft
}

// errLeft ends a session whose client has left or cannot be reached.
var errLeft = errors.New("serve client: it has left")

// Left says that a session has ended because its client has, and not for anything that went wrong.
func Left(why error) bool { return errors.Is(why, errLeft) }

// farewell sends the reason why the session ends, unless the client left itself,
// knows already, or has got half of a reply, after which nothing can be said.
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

// flush waits until the client has got what is queued for it, for a while.
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

// discardInput reads what the client still sends, so that closing does not
// reset the connection and with it our last words.
func (f *front) discardInput() {
	f.requests.drop()
	for chunk := f.client.Take(); chunk != nil; chunk = f.client.Take() {
		chunk.Release()
	}
}
