package session

import (
	"errors"
	"strings"
	"time"

	"pgherd/proxy/expect"
	"pgherd/proxy/pool"
	"pgherd/proxy/wire"
)

// loginWait is how long a log-in waits for a server that PostgreSQL can be asked through, if
// the client can be let in without asking.
const loginWait = time.Second

// errHurried ends a wait after loginWait.
var errHurried = errors.New("ask about log-in: no server became free")

// letIn returns the server's parameters that the client is told at its log-in. The first
// log-in to a pool opens a server, so that a wrong database fails here, and so does the
// first after something has changed that log-ins rest on. PostgreSQL then decides about the
// log-in. Later log-ins are told what that server reported, if PostgreSQL has lately
// confirmed that nothing has changed. If PostgreSQL cannot be asked now, or there is no primary
// to ask, it is asked once the client gets a server.
func (s *serving) letIn() (params []wire.Param, err error) {
	params, err = s.shareAnswer()
	if err != nil {
		return s.letInUnasked(err)
	}
	if params != nil && (!s.unproved || s.headless()) && !s.keepsForLife() {
		return params, nil
	}
	deadline := s.patience()
	for range losses {
		if err = s.firstServer(params != nil, deadline); err == nil {
			return s.firstParams(), nil
		}
		if !s.losesPrimary(err) {
			break
		}
		if params, s.admission, s.unproved = s.template(); params != nil {
			s.unproved = true
			return params, nil
		}
	}
	return s.letInUnasked(err)
}

// losesPrimary says that the primary was lost during a log-in, which then waits for another,
// and parts with the server.
func (s *serving) losesPrimary(err error) bool {
	if s.set.FailoverWait == 0 || !transient(err) {
		return false
	}
	s.partAfter(err)
	return true
}

// firstServer gets a server for the log-in; in a hurry if the client may do without.
func (s *serving) firstServer(hurried bool, deadline time.Time) error {
	s.hurried = hurried
	defer func() { s.hurried = false }()
	if err := s.checkOutTeller(deadline); err != nil {
		return err
	}
	return s.relayUntil(s.expect.Empty) // the server takes back what another client has set
}

// shareAnswer waits while another log-in to the pool asks PostgreSQL, so that many log-ins at
// once do not open a server each.
func (s *serving) shareAnswer() (params []wire.Param, err error) {
	deadline := s.loop.Now().Add(loginWait)
	for {
		params, s.admission, s.unproved = s.template()
		if params == nil || !s.unproved || s.headless() || s.loop.Claim(s.who.Target) {
			return params, nil
		}
		s.hurried = true
		err := s.impatient(deadline)
		s.hurried = false
		if err == nil {
			err = s.loop.Wait(sooner(deadline, s.loop.Now().Add(shareEvery)))
		}
		if err != nil {
			return nil, err
		}
	}
}

// shareEvery is how often a log-in looks whether another one has got the answer.
const shareEvery = 2 * time.Millisecond

// template is Loop.Template for servers of the primary, or of the last one while there is none.
func (s *serving) template() (params []wire.Param, on *pool.Admission, unproved bool) {
	if s.who.Target.Replication { // the client gets a server of its own, with a log-in of its own
		return nil, nil, false
	}
	params, on, fresh := s.loop.Template(s.on(s.lastPrimary()))
	return params, on, !fresh || s.who.Confirm != nil || !s.loop.Licensed()
}

// letInUnasked lets the client in although there is no server now, if an earlier log-in like
// it was good. The client may want to ask pgherd itself what is going on.
func (s *serving) letInUnasked(why error) (params []wire.Param, err error) {
	fault, ok := errors.AsType[*wire.Fault](why)
	_, over := errors.AsType[lost](why)
	_, unused := errors.AsType[pool.Unused](why)
	unreachable := unused || ok && !over && (strings.HasPrefix(fault.Code, "08") || strings.HasPrefix(fault.Code, "57P"))
	if why != errHurried && !unreachable {
		return nil, why
	}
	params, s.admission, s.unproved = s.template()
	if params == nil {
		return nil, why
	}
	s.unproved = true
	return params, nil
}

// admits says whether a server is good for this client. PostgreSQL must have let the server
// in as it would let in the client: for the same role and database, and by an Admission that
// is not over. A standby may lag behind those who have dropped a role and made another.
func (a *admitted) admits(server *pool.Server, ofPrimary bool) error {
	its := server.Admission
	switch {
	case its == nil || its == a.admission && !a.unproved:
	case its.Over():
		return outdatedServer
	case a.admission == nil || a.unproved: // vouch will ask PostgreSQL
	case its.Whose != a.admission.Whose && !ofPrimary:
		return outdatedServer
	case its.Whose != a.admission.Whose:
		return lost{&anothersName}
	default:
		a.admission = its
	}
	return nil
}

// anothersName is the error for a client whose role or database is another one's by now.
var anothersName = wire.Fault{Severity: "FATAL", Code: "28000",
	Message: "the role or the database that this session has logged in to is gone: its name is another's now", Hint: "Connect again."}

// outdatedServer is the error that a server's Admission is over. The client gets another
// server.
var outdatedServer = &wire.Fault{Severity: "FATAL", Code: "57P03", Message: "the servers of this role and database are being replaced",
	Detail: "The role, its rights or the database have changed since these servers logged in."}

// vouch finds out whether the Admission of the server at hand is still good for a client that
// logs in now. The server may have been idle for long. If the Admission is over, vouch closes the
// server. A standby's answer is good for its own servers, and while there is no primary.
func (s *serving) vouch() error {
	its := standing{true, s.server.Key.Node, s.server.Admission}
	byStandby := its.node != s.primary()
	good, err := s.stillGood(its)
	switch {
	case err != nil:
		return err
	case !good || s.server.Admission.Over() || !s.tells(its.node), byStandby != (its.node != s.primary()):
		return s.replace()
	case s.stands.given && !s.stands.on.SameRole(its.on):
		return lost{&anothersName}
	case byStandby:
		s.stands = its
		return nil
	}
	if err := s.confirm(); err != nil {
		_ = s.replace()
		return err
	}
	if s.server.Admission.Over() || its.node != s.primary() || !s.tells(its.node) { // meanwhile
		return s.replace()
	}
	s.admission, s.unproved, s.stands = s.server.Admission, false, standing{}
	return nil
}

// stillGood asks the node of the server at hand, unless an answer is new enough. A standby is
// asked once in a session, as if the client had connected to it.
func (s *serving) stillGood(its standing) (good bool, err error) {
	known := s.stands == its
	if its.node == s.primary() {
		known = s.loop.Proved(s.who.Target, its.on)
	}
	if known || !s.tells(its.node) {
		return known, nil
	}
	note := s.loop.Vouch(s.server)
	s.ask(pool.AdmissionQuestion, func(q *question) {
		if q.failed {
			q.rows = nil
		}
		good = note(pool.ReadFinding(q.rows))
	})
	err = s.relayUntil(func() bool { return s.asking == nil })
	if _, over := errors.AsType[lost](err); over && s.server.Endpoint.Ended() != nil { // PostgreSQL has ended the idle server just now
		return false, nil
	}
	return good, err
}

// replace closes the server at hand and returns the error by which checkOut gets another.
func (s *serving) replace() error {
	s.asking, s.expect = nil, expect.List{}
	s.release(pool.Discard)
	return outdatedServer
}
