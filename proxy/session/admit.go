package session

import (
	"errors"
	"strings"
	"time"

	"pgherd/proxy/expect"
	"pgherd/proxy/pool"
	"pgherd/proxy/wire"
)

// loginWait is how long a log-in waits for a server that could be asked about it,
// where the client can be let in without.
const loginWait = time.Second

// errHurried ends that wait.
var errHurried = errors.New("ask about log-in: no server became free")

// letIn is what the client is told of its server. The first log-in to a pool opens
// one, so that a wrong database fails here, and so does one after something has changed
// that log-ins stand on: PostgreSQL judges it. Others are told what that server said, if
// PostgreSQL has lately confirmed that nothing has changed. If it cannot be asked now, it
// is once the client gets a server.
func (s *serving) letIn() (params []wire.Param, err error) {
	params, err = s.shareAnswer()
	if err != nil {
		return s.letInUnasked(err)
	}
	if params != nil && !s.unproved && !s.keepsForLife() {
		return params, nil
	}
	s.hurried = params != nil
	err = s.checkOut(s.primary())
	if err == nil {
		err = s.relayUntil(s.expect.Empty) // what another client has set is taken back
	}
	s.hurried = false
	if err != nil {
		return s.letInUnasked(err)
	}
	return s.server.Params, nil
}

// shareAnswer waits while another log-in to the pool asks: a crowd of them is not to open a
// server each.
func (s *serving) shareAnswer() (params []wire.Param, err error) {
	deadline := s.loop.Now().Add(loginWait)
	for {
		params, s.admission, s.unproved = s.template()
		if params == nil || !s.unproved || s.loop.Claim(s.who.Target) {
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

// shareEvery is how often a log-in looks whether another one has the answer.
const shareEvery = 2 * time.Millisecond

func (s *serving) template() (params []wire.Param, on *pool.Admission, unproved bool) {
	if s.who.Target.Replication { // it has a server of its own, which PostgreSQL lets in
		return nil, nil, false
	}
	params, on, fresh := s.loop.Template(s.on(s.primary()))
	return params, on, !fresh
}

// letInUnasked lets the client in though there is no server now, if nothing is known
// against it: it may want to know from pgherd what is going on.
func (s *serving) letInUnasked(why error) (params []wire.Param, err error) {
	fault, ok := errors.AsType[*wire.Fault](why)
	_, over := errors.AsType[lost](why)
	unreachable := ok && !over && (strings.HasPrefix(fault.Code, "08") || strings.HasPrefix(fault.Code, "57P"))
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

// admits says whether a server is one for this client: let in on what the client was,
// or on what has changed since then for the same role and database.
func (a *admitted) admits(server *pool.Server) error {
	its := server.Admission
	switch {
	case its == nil || its == a.admission && !a.unproved:
	case its.Over():
		return outdatedServer
	case a.admission == nil || a.unproved: // vouch will say
	case its.Whose != a.admission.Whose:
		return lost{&wire.Fault{Severity: "FATAL", Code: "28000",
			Message: "the role or the database that this session has logged in to is gone: its name is another's now",
			Hint:    "Connect again."}}
	default:
		a.admission = its
	}
	return nil
}

// outdatedServer is why a server cannot serve the client: what it was let in on is over.
// Another one is got in its place.
var outdatedServer = &wire.Fault{Severity: "FATAL", Code: "57P03", Message: "the servers of this role and database are being replaced",
	Detail: "What their log-ins stand on has changed."}

// vouch has PostgreSQL confirm that the server at hand, which may have been idle for long,
// is one for a client that has logged in now. If not it is closed.
func (s *serving) vouch() error {
	if !s.loop.Proved(s.who.Target, s.server.Admission) {
		note := s.loop.Vouch(s.server)
		s.ask(pool.AdmissionQuestion, func(q *question) {
			if q.failed {
				q.rows = nil
			}
			note(pool.ReadFinding(q.rows))
		})
		err := s.relayUntil(func() bool { return s.asking == nil })
		if _, over := errors.AsType[lost](err); over && s.server.Endpoint.Ended() != nil { // just now
			return s.replace()
		} else if err != nil {
			return err
		}
	}
	if s.server.Admission.Over() {
		return s.replace()
	}
	s.admission, s.unproved = s.server.Admission, false
	return nil
}

// replace closes the server at hand, so that another one is got.
func (s *serving) replace() error {
	s.asking, s.expect = nil, expect.List{}
	s.release(pool.Discard)
	return outdatedServer
}
