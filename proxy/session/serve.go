package session

import (
	"bytes"
	"errors"

	"pgherd/proxy/expect"
	"pgherd/proxy/wire"
)

// errEvicted ends a wait because the session is to end. The field evicted has the reason.
var errEvicted = errors.New("wait for server: the session is to end")

// relay passes on what has arrived from either side. Requests go out while replies come
// back, so that no pipeline, copy or notification can dead-lock the session. While one side
// does not read, relay does not read from the other, so that only that peer slows down.
func (s *Session) relay() (moved bool, err error) {
	s.reload()
	if s.evicted != nil {
		return false, s.evicted
	}
	if err := s.digest(); err != nil {
		return false, err
	}
	fromServer, err := s.fromServer()
	if err != nil {
		return true, s.outlive(err)
	}
	fromClient, err := s.fromClient()
	if err != nil {
		return true, s.outlive(err)
	}
	s.settle()
	s.account()
	return fromServer || fromClient, nil
}

// fromClient handles the requests that have arrived, until the client has to wait.
func (s *Session) fromClient() (moved bool, err error) {
	if s.leaving {
		return false, s.leave(s.client.Ended())
	}
	if s.gone() {
		return false, s.parting()
	}
	if s.rerun.due {
		return true, s.askAgain()
	}
	if s.retry.due {
		if !s.expect.Empty() {
			return false, nil
		}
		return true, s.repeat()
	}
	for !s.crowded() {
		m, ok, err := s.requests.next()
		if err != nil {
			return moved, s.refuseClient(err)
		}
		if !ok {
			if why := s.client.Ended(); why != nil {
				return moved, s.leave(why)
			}
			return moved, nil
		}
		moved = true
		if s.set.Tells != 0 && m.First {
			s.logMessage(&m)
		}
		if err := s.handle(m); err != nil {
			return moved, err
		}
		if s.leaving {
			return moved, nil
		}
	}
	return moved, nil
}

// handle takes a request, or a piece of one, through the steps and passes on what they
// leave to be sent.
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
			s.dropping = !s.passing // the pieces to come
			if err == nil {
				s.sent(m)
			}
			return err
		}
		s.dropping = false
		m = s.message
	} else if !s.dropping {
		if err := s.awaitLicence(); err != nil {
			return err
		}
	}
	n := len(m.Bytes)
	if !s.dropping {
		s.passPiece(m)
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

// repeat sends the copied requests again. The server first closes the outdated statement,
// so that it is prepared anew.
func (s *Session) repeat() error {
	a := &s.retry
	if st := s.statements.Named(string(a.name)); st != nil && s.server != nil { // it may be lost meanwhile
		if there := s.server.Prepared.Find(st.Key); there != nil {
			s.server.Prepared.Remove(there)
			s.send(wire.Close, expect.Swallow, nil, wire.AppendClose(nil, 'S', there.Name))
		}
	}
	requests := bytes.Clone(a.bytes)
	*a = retry{spent: true}
	return s.handleCopy(requests)
}

// handleCopy handles requests of which a copy was kept.
func (s *Session) handleCopy(requests []byte) error {
	cut := wire.CutRequests()
	for len(requests) > 0 {
		m, rest, err := cut.Next(requests)
		if err != nil {
			return err
		}
		requests, m.Copied = rest, true
		if err := s.handle(m); err != nil {
			return err
		}
	}
	return nil
}
