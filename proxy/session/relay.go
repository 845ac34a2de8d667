package session

import (
	"bytes"
	"errors"

	"pgherd/proxy/expect"
	"pgherd/proxy/metrics"
	"pgherd/proxy/pool"
	"pgherd/proxy/wire"
)

// relaying passes replies on to the client and waits for them. It also asks questions of
// pgherd's own and reads their answers.
type relaying struct {
	analysis
	signals
	vacating
	admitted
	placing
}

// idle is called when a ReadyForQuery says that no transaction is open any more.
func (s *relaying) idle() {
	if s.wrote {
		s.fresh.wrote = s.loop.Now()
		s.loop.Wrote()
	}
	if s.disposition == expect.Forward || s.disposition == expect.Substitute {
		s.begun = nil
	}
}

// fromServer handles the replies that have arrived, while the client reads what it is sent.
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

// broken is the error that ends the session because a reply could not be used.
func (o *owed) broken(err error) error {
	if _, told := errors.AsType[*wire.Fault](err); told {
		return err
	}
	return o.nonsense(err)
}

// reply passes on a reply, or a piece of one, as its disposition says (I1), and learns from
// it.
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
		s.disposition = expect.Forward // it answers no request, so it may come between any replies
		s.notified(&m)
	}
	if m.First && m.Last && (m.Kind == wire.ErrorResponse && s.shutsDown(m) || m.Kind == wire.NoticeResponse && s.crashes(m)) {
		return s.serverGone()
	}
	if m.First && m.Kind.Whole() {
		if err := s.observe(m); err != nil {
			return err
		}
	}
	if !s.unreplicated(m) {
		s.deliver(m)
	}
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
		s.erred = false
		s.endOwn()
	}
	return nil
}

// endOwn ends what the session does for the request, the client's or pgherd's, whose
// ReadyForQuery has come.
func (s *relaying) endOwn() {
	switch s.disposition {
	case expect.Forward:
		s.missTarget()
		s.retry.end()
		s.recent, s.rerun.crashes = recent{}, crashes{}
		s.since, s.overdue = s.loop.Now(), false // the time of the next request begins
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

// deliver passes a reply on to the client, if it is the client's (I1).
func (s *relaying) deliver(m wire.Message) {
	switch {
	case s.disposition == expect.Forward, s.disposition == expect.Setup && m.Kind == wire.ErrorResponse:
		s.handOn(m)
		s.erred = s.erred || m.Kind == wire.ErrorResponse
	case s.disposition == expect.Substitute && m.Kind == wire.ErrorResponse:
		s.substitute(m)
		s.erred = true
	case s.disposition == expect.Substitute: // the end of its round, or it has not failed
		s.handOn(m)
	case s.disposition == expect.Capture:
		s.asking.hear(m)
	}
}

// observe learns from a reply. A reply in pieces, too long to be there as a whole, teaches
// nothing but that a statement has been described.
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
		s.transaction.settle(m.Body()[0], s.expect.Len() > 1)
		if s.disposition == expect.Restore && s.status == wire.Idle {
			s.transaction.resume() // the BEGIN that was held back is behind the settings
		}
		if s.status == wire.Idle {
			s.idle()
			s.outlasts()
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

// tellOthers tells other sessions what the end of a statement or request means to them,
// before the client gets the reply.
func (s *relaying) tellOthers(m wire.Message) {
	s.noteDefinedUnseen(m)
	s.regrant(m)
	if s.held != nil {
		s.vacated(m)
	}
}

// observeError counts an error, and notes what it changes.
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
	case expect.Attempt: // what pgherd wanted to make on the server is not there
		s.tracker.Unsure = true
	case expect.Restore:
		s.expect.Uncertain = true
		return failedRestore(m)
	}
	return nil
}

// outlasts notes, at the end of a transaction behind which more was sent, what it has left:
// if the server is lost now, that is not lost with what follows.
func (s *relaying) outlasts() {
	if !s.follows || s.disposition != expect.Forward || s.expect.Len() < 2 {
		return
	}
	if s.tracker.Certain() {
		s.commit()
	}
	s.tracker.Outlasts()
}

// commit is called when the transaction has ended with a certain outcome. What it has set
// becomes the session's, and the server's.
func (s *relaying) commit() {
	s.tracker.Commit(s.server.Params)
	s.server.Settings = s.tracker.Settings
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
	s.recent.add(s.expect.About())
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
		if s.wrote { // the client knows of its COMMIT before it gets a ReadyForQuery
			s.loop.Wrote()
		}
	}
}

// deallocated notes that all named statements are deallocated, the client's and the server's.
func (s *relaying) deallocated() {
	unnamed := s.server.Prepared.Unnamed
	s.server.Prepared.Forget()
	s.server.Prepared.Unnamed = unnamed
	s.statements.Clear()
}

// serverGone is the error that ends a session whose server's connection is lost, and with it
// what the session had built up there.
func (o *owed) serverGone() error {
	o.expect.Uncertain = true
	return gone{&wire.Fault{Code: "08006", Message: "server closed the connection unexpectedly",
		Detail: "The connection between pgherd and PostgreSQL was lost.",
		Hint:   "Connect again; the outcome of a transaction that was being committed is not known."}}
}

// nonsense is the error that ends a session whose server has violated the protocol. Nothing
// that this server says can be trusted any more.
func (o *owed) nonsense(err error) error {
	o.expect.Uncertain = true
	return &wire.Fault{Code: "08P01", Message: "server violated the protocol", Detail: err.Error()}
}
