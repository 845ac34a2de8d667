package session

import (
	"errors"

	"pgherd/proxy/wire"
)

// passes are the steps of a request, in order. The first step that is done with the request
// ends them. A request that passes all of them is sent as it is.
var passes = [...]func(*Session, *wire.Message) result{
	(*Session).taken,
	(*Session).skipped,
	(*Session).bereft, // tells of a transaction that was lost
	(*Session).unserved,
	func(s *Session, _ *wire.Message) result { return refuseFor(s.acquaint()) },     // asks for the catalog, if nothing is known of it
	func(s *Session, m *wire.Message) result { return endFor(s.partAhead(m.Kind)) }, // parts with the server of the transaction before
	(*Session).command, // is it for pgherd itself
	func(s *Session, m *wire.Message) result { return refuseFor(s.hold(m.Kind)) }, // waits while the primary hands over
	(*Session).analyze, // what will it do to the session
	(*Session).place,   // gets a server on the node where it belongs
	func(s *Session, m *wire.Message) result { return refuseFor(s.vacate(m)) }, // empties the databases that it wants for itself
	func(s *Session, m *wire.Message) result { return refuseFor(s.agreed(m)) }, // sees that its statement is still what the client was told
	(*Session).licensed, // waits while this pgherd may not write
	func(s *Session, m *wire.Message) result { return endFor(s.record(m.Kind)) },
	(*Session).mark,
	(*Session).redirect, // sends a signal for a client to the process that serves that client
	(*Session).prepare,  // puts in the name that its statement has on the server
}

// result is what a step has made of the request at hand.
type result struct {
	outcome
	err error
}

type outcome uint8

const (
	goOn     outcome = iota // the request goes on to the next step
	answered                // pgherd has answered the request or sent it in other words, or it has no answer
	refused                 // err is the answer to the request if it is a *wire.Fault; any other error ends the session
	ends                    // the session ends, with err if there is one
)

var (
	onward  = result{outcome: goOn}
	handled = result{outcome: answered}
)

// handledIf is the result of a step that may have answered the request.
func handledIf(is bool) result {
	if is {
		return handled
	}
	return onward
}

// refuseFor makes an error the answer to the request. Without an error the request goes on.
func refuseFor(err error) result {
	if err != nil {
		return result{refused, err}
	}
	return onward
}

// endFor makes an error end the session. Without an error the request goes on.
func endFor(err error) result {
	if err != nil {
		return result{ends, err}
	}
	return onward
}

// begin takes a request, or the first piece of one, through the steps. sent is true if the
// caller is to send it as it is. If the server is lost before the request was sent, the
// request goes through the steps anew.
func (s *Session) begin() (sent bool, err error) {
	if s.set.FailoverWait > 0 && s.expect.OwedToClient() == 0 && !s.expect.InExtended() {
		s.rerun.end()
	}
	for range losses {
		before := s.request
		if sent, err = s.pass(); err == nil {
			return sent, nil
		}
		if err = s.outlive(err); err != nil {
			return false, err
		}
		if s.rerun.due { // what was sent before it goes first
			if err := s.askAgain(); err != nil {
				return false, err
			}
		}
		s.request = before
	}
	return false, &lostOutcome
}

// losses is how many servers one request may lose before it is sent.
const losses = 5

// pass takes it through the steps once.
func (s *Session) pass() (sent bool, err error) {
	m := &s.message
	for _, step := range passes {
		r := step(s, m)
		switch r.outcome {
		case answered:
			return false, nil
		case refused:
			return false, s.refuse(m.Kind, r.err)
		case ends:
			return false, r.err
		}
	}
	s.expectReply(m.Kind, s.runs(m))
	return true, nil
}

// taken is the first step of every request. It ends the session for a Terminate, counts the
// request, and holds it back while an earlier cancel may still strike the server (I10).
func (s *Session) taken(m *wire.Message) result {
	switch m.Kind {
	case wire.Terminate:
		return result{ends, s.leave(nil)}
	case wire.Password:
		return endFor(&wire.Fault{Code: "08P01", Message: "invalid frontend message type 112"})
	}
	s.enter(Active)
	s.countExecuted(m.Kind)
	if s.wish.alive || s.cancels > 0 {
		return endFor(s.spared())
	}
	return onward
}

// skipped ignores what follows a request that pgherd has refused, up to the Sync, as a
// server does after an error.
func (f *front) skipped(m *wire.Message) result {
	if f.refusing && m.Kind != wire.Sync {
		return handled
	}
	if m.Kind == wire.Sync {
		f.refusing = false
	}
	return onward
}

// unserved answers requests that need no server, while the session has none or may send it nothing: outside of a transaction a
// Sync commits nothing.
func (s *Session) unserved(m *wire.Message) result {
	if s.server != nil && !(s.holdsBack() && s.outside()) {
		return onward
	}
	switch m.Kind {
	case wire.Sync:
		s.begins = nil // the portal ends with the Sync
		s.answer(nil, true)
		return handled
	case wire.Flush, wire.CopyData, wire.CopyDone, wire.CopyFail:
		return handled // there is no reply to flush, and PostgreSQL ignores the others outside a copy, too
	}
	return onward
}

// licensed is the step that does so for a request. Inside of a transaction the session ends with it: to fail it there the
// server would have to be sent something.
func (s *Session) licensed(*wire.Message) result {
	err := s.awaitLicence()
	if err != nil && !s.outside() {
		return endFor(err)
	}
	return refuseFor(err)
}

// runs is what a request runs, for the case that its server is lost; nil: nobody knows.
func (s *Session) runs(m *wire.Message) any {
	switch m.Kind {
	case wire.Query:
		return s.script
	case wire.Bind: // it passes as it is
		s.portalOf = nil
	case wire.Execute:
		if v, err := wire.ViewExecute(m.Body()); err == nil && len(v.Portal) == 0 && s.portalOf != nil {
			return s.portalOf
		}
	}
	return nil
}

// mark notes whether the server will need a reset because of this session, and logs to
// which node the request goes.
func (s *Session) mark(m *wire.Message) result {
	s.server.Used = s.server.Used || s.keeps() || s.tracker.Pinned() != ""
	s.tellSent(m)
	return onward
}

// sent is called once a request, or a piece of one, was sent or answered. It copies the
// request in case it has to be repeated; after the last request of a round it asks the
// server what the session has left there, if that is to be asked.
func (s *Session) sent(m wire.Message) {
	if !s.follows {
		return
	}
	s.retry.add(m)
	if s.set.FailoverWait > 0 {
		s.rerun.add(&m)
		s.hasOnlyRead = s.hasOnlyRead && !(m.Kind == wire.Sync && s.rerun.bound) // the portal would be lost with the server
	}
	if !m.Last {
		return
	}
	if m.Kind == wire.Query || m.Kind == wire.Sync {
		s.round++
		s.askAhead()
	}
}

// refuse answers a request with an error, as a server would, and the session goes on. An
// error that is no *wire.Fault, or a lost, is returned and ends the session.
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
	s.rerun.crashes = crashes{} // it is answered now
	refusal := *fault
	refusal.Severity = "ERROR"
	words := wire.AppendError(nil, &refusal)
	whole := kind == wire.Query || kind == wire.FunctionCall || kind == wire.Sync // a ReadyForQuery ends the answer
	if s.server != nil && !s.expect.Skipping && (s.status != wire.Idle || s.expect.InExtended()) {
		s.refuseInside(words, whole)
		return nil
	}
	if s.server == nil { // no server knows of the transaction yet
		s.transaction.fail()
	}
	s.refusing = !whole
	s.answer(words, whole)
	return nil
}
