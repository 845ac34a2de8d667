package session

import (
	"errors"

	"pgherd/proxy/wire"
)

// passes are the steps that a request passes through, in order, until one is done with it. What
// passes all of them is sent as it is.
var passes = [...]func(*Session, *wire.Message) result{
	(*Session).taken,
	(*Session).skipped,
	(*Session).unserved,
	func(s *Session, _ *wire.Message) result { return refuseFor(s.acquaint()) },     // what is known of its database
	func(s *Session, m *wire.Message) result { return endFor(s.partAhead(m.Kind)) }, // from the server of the transaction before
	(*Session).command, // is it for pgherd itself
	(*Session).analyze, // what will it do to the session
	(*Session).place,   // a server, on the node where it belongs
	func(s *Session, m *wire.Message) result { return refuseFor(s.vacate(m)) }, // what is in its way
	func(s *Session, m *wire.Message) result { return refuseFor(s.agreed(m)) }, // its statement is what the client was told
	func(s *Session, m *wire.Message) result { return endFor(s.record(m.Kind)) },
	(*Session).mark,
	(*Session).redirect, // a signal goes to the process in its client's place
	(*Session).prepare,  // its statement has another name on the server
}

// result is what a step has made of the request at hand.
type result struct {
	outcome
	err error
}

type outcome uint8

const (
	goOn     outcome = iota // the next step has it
	answered                // it is not sent as it is: pgherd has answered it, or nobody does, or it was sent in other words
	refused                 // a *wire.Fault is its answer; any other error ends the session
	ends                    // the session ends, by the error if there is one
)

var (
	onward  = result{outcome: goOn}
	handled = result{outcome: answered}
)

// handledIf says that a step has answered.
func handledIf(is bool) result {
	if is {
		return handled
	}
	return onward
}

// refuseFor has an error answer the request; nil: the next step has it.
func refuseFor(err error) result {
	if err != nil {
		return result{refused, err}
	}
	return onward
}

// endFor has an error end the session; nil: the next step has it.
func endFor(err error) result {
	if err != nil {
		return result{ends, err}
	}
	return onward
}

// begin takes a request, or the first piece of one, through the steps. sent: it is to be
// sent as it is.
func (s *Session) begin() (sent bool, err error) {
	m := &s.message
	for _, step := range passes {
		switch r := step(s, m); r.outcome {
		case answered:
			return false, nil
		case refused:
			return false, s.refuse(m.Kind, r.err)
		case ends:
			return false, r.err
		}
	}
	s.expectReply(m.Kind)
	return true, nil
}

// taken is what is said of every request.
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

// skipped: behind a request that was refused here nothing is read until the Sync.
func (f *front) skipped(m *wire.Message) result {
	if f.refusing && m.Kind != wire.Sync {
		return handled
	}
	if m.Kind == wire.Sync {
		f.refusing = false
	}
	return onward
}

// unserved answers what needs no server, if there is none.
func (s *Session) unserved(m *wire.Message) result {
	if s.server != nil {
		return onward
	}
	switch m.Kind {
	case wire.Sync:
		s.begins = nil // its portal ends
		s.answer(nil, true)
		return handled
	case wire.Flush, wire.CopyData, wire.CopyDone, wire.CopyFail:
		return handled // outside a copy PostgreSQL takes no notice either
	}
	return onward
}

// mark notes what is about to be sent, and tells of it.
func (s *Session) mark(m *wire.Message) result {
	s.server.Used = s.server.Used || s.keeps() || s.tracker.Pinned() != ""
	s.tellSent(m)
	return onward
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
