package session

import (
	"bytes"
	"errors"

	"pgherd/proxy/expect"
	"pgherd/proxy/metrics"
	"pgherd/proxy/pool"
	"pgherd/proxy/wire"
)

// relaying passes replies on, and waits for them: the client's own, and those to what
// pgherd asks on its own behalf.
type relaying struct {
	analysis
	signals
	vacating
	admitted
	placing
}

// idle: no transaction is open any more.
func (s *relaying) idle() {
	if s.wrote {
		s.fresh.wrote = s.loop.Now()
		s.loop.Wrote()
	}
	if s.disposition == expect.Forward || s.disposition == expect.Substitute {
		s.begun = nil
	}
}

func (s *relaying) fromServer() (moved bool, err error) {
	for s.server != nil && (s.state == Closing || s.client.Queued() < queuedLimit) {
		m, ok, err := s.replies.next()
		if err != nil {
			return moved, s.nonsense(err)
		}
		if !ok {
			if why := s.server.Endpoint.Ended(); why != nil {
				return moved, s.serverGone()
			}
			return moved, nil
		}
		moved = true
		if err := s.reply(m); err != nil {
			return moved, s.broken(err)
		}
	}
	return moved, nil
}

// broken is why the session ends for which a reply could not be used.
func (o *owed) broken(err error) error {
	if _, told := errors.AsType[*wire.Fault](err); told {
		return err
	}
	return o.nonsense(err)
}

// reply handles a reply, or a piece of one.
func (s *relaying) reply(m wire.Message) (err error) {
	if m.First {
		if s.disposition, err = s.expect.Admit(m.Kind); err != nil {
			return err
		}
	}
	if m.Kind == wire.ErrorResponse && m.First && s.follows && bytes.Contains(m.Body(), outdated) {
		s.meetOutdated(m)
	}
	if m.Kind == wire.NotificationResponse {
		s.disposition = expect.Forward // whatever it came in between
		s.notified(&m)
	}
	if m.First && m.Kind.Whole() {
		if err := s.observe(m); err != nil {
			return err
		}
	}
	s.deliver(m)
	n := len(m.Bytes)
	if m.Last && s.disposition == expect.Forward && (m.Kind == wire.DataRow || m.Kind == wire.CopyRow) {
		n += s.replies.run(s.client, m.Kind)
	}
	s.replies.passes(n)
	if m.Last {
		s.expect.Settle(m.Kind)
		s.answerLocals()
	}
	if s.disposition == expect.Retry && m.Kind == wire.ErrorResponse {
		s.expect.Mark(expect.Retry) // its Sync
	}
	if m.Kind == wire.ReadyForQuery {
		s.replies.ends()
		s.endOwn()
	}
	return nil
}

// endOwn: the answer to something of pgherd's own has come to its end.
func (s *relaying) endOwn() {
	switch s.disposition {
	case expect.Forward:
		s.missTarget()
		s.retry.end()
		s.since, s.overdue = s.loop.Now(), false // of the next one's time
	case expect.Capture:
		q := s.asking
		s.asking = nil
		q.done(q)
	case expect.Restore:
		if s.expect.Next() != expect.Restore {
			s.tell()
		}
	}
}

// deliver gives the client what is its own of a reply.
func (s *relaying) deliver(m wire.Message) {
	switch {
	case s.disposition == expect.Forward, s.disposition == expect.Setup && m.Kind == wire.ErrorResponse:
		s.handOn(m)
	case s.disposition == expect.Substitute && m.Kind == wire.ErrorResponse:
		s.substitute(m)
	case s.disposition == expect.Substitute: // the end of its round, or it has not failed
		s.handOn(m)
	case s.disposition == expect.Capture:
		s.asking.hear(m)
	}
}

// observe learns from a reply that is there as a whole, if it is not too long for that.
func (s *relaying) observe(m wire.Message) error {
	switch m.Kind {
	case wire.ParameterDescription, wire.RowDescription, wire.NoData:
		s.hearShape(m)
		return nil
	}
	if !m.Last {
		return nil
	}
	switch m.Kind {
	case wire.CommandComplete:
		if s.disposition == expect.Forward && s.follows {
			s.complete(m)
		}
		s.tellOthers(m)
	case wire.ReadyForQuery:
		if s.transaction.settle(m.Body()[0], s.expect.Len() > 1); s.status == wire.Idle {
			s.idle()
		}
		s.endDefinitions()
		s.tellOthers(m)
	case wire.ParameterStatus:
		if p, err := wire.ViewParameterStatus(m.Body()); err == nil {
			s.server.SetParam(string(p.Name), string(p.Value))
			if s.disposition == expect.Forward {
				s.learn(pool.WithParam(s.told, string(p.Name), string(p.Value)))
			}
		}
	case wire.ErrorResponse:
		return s.observeError(m)
	}
	return nil
}

// tellOthers has other sessions know, before the client hears of it, what the end of a
// statement or request means to them.
func (s *relaying) tellOthers(m wire.Message) {
	s.noteDefinedUnseen(m)
	s.regrant(m)
	if s.held != nil {
		s.vacated(m)
	}
}

func (s *relaying) observeError(m wire.Message) error {
	fault := wire.ViewFault(m.Body())
	s.loop.Count(s.server.Key.Node, severity(fault.Severity))
	s.fatal = s.disposition == expect.Forward && (fault.Severity == "FATAL" || fault.Severity == "PANIC")
	switch s.disposition {
	case expect.Forward, expect.Setup, expect.Substitute:
		s.target.ends = false
		s.tracker.Failed(fault.Code, s.replies.passed == 0)
	case expect.Swallow:
		s.expect.Uncertain = true
	case expect.Attempt: // what should be there is not
		s.tracker.Unsure = true
	case expect.Restore:
		s.expect.Uncertain = true
		return failedRestore(m)
	}
	return nil
}

func severity(word string) metrics.Statement {
	switch word {
	case "PANIC":
		return metrics.Panic
	case "FATAL":
		return metrics.Fatal
	}
	return metrics.Error
}

// complete learns from the end of one of the client's statements.
func (s *relaying) complete(m wire.Message) {
	v, err := wire.ViewCommandComplete(m.Body())
	if err != nil {
		return
	}
	s.tellDefinitions()
	switch s.tracker.Confirm(v.Tag); string(v.Tag) {
	case "DISCARD ALL":
		s.discarded()
		s.server.Prepared.Forget()
		s.statements.Unnamed = nil
		s.statements.Clear()
	case "DEALLOCATE ALL":
		s.deallocated()
	case "COMMIT":
		if s.wrote { // the client knows, though it may not have asked for the status
			s.loop.Wrote()
		}
	}
}

// deallocated: the server has no named statement any more, and the client none.
func (s *relaying) deallocated() {
	unnamed := s.server.Prepared.Unnamed
	s.server.Prepared.Forget()
	s.server.Prepared.Unnamed = unnamed
	s.statements.Clear()
}

// serverGone ends the session: what it had built up on its server is lost.
func (o *owed) serverGone() error {
	o.expect.Uncertain = true
	return &wire.Fault{Code: "08006", Message: "server closed the connection unexpectedly",
		Detail: "The connection between pgherd and PostgreSQL was lost.",
		Hint:   "Connect again; the outcome of a transaction that was being committed is not known."}
}

// nonsense ends the session: nothing more that its server says can be trusted.
func (o *owed) nonsense(err error) error {
	o.expect.Uncertain = true
	return &wire.Fault{Code: "08P01", Message: "server violated the protocol", Detail: err.Error()}
}
