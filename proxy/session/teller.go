package session

import (
	"errors"
	"strings"
	"time"

	"pgherd/proxy/pool"
	"pgherd/proxy/route"
	"pgherd/proxy/wire"
)

// The teller is the node that is asked about log-ins and catalogs: the primary. Only while the
// herd is headless a standby tells, of what it has replayed, and a client that a standby has let
// in gets servers of that standby only, until the primary has let it in.

// standing is what a standby has said of the log-in.
type standing struct {
	given bool // one has let the client in
	node  int
	on    *pool.Admission
}

// headless says that no primary can be asked. One that this pgherd may not write to may be the primary no more.
func (s *serving) headless() bool { return s.loop.Nodes().Headless() || !s.loop.Licensed() }

// tells says that a node may be asked about log-ins now.
func (s *serving) tells(node int) bool {
	n := s.loop.Nodes().Node(node)
	return node == s.primary() && s.loop.Licensed() || n != nil && s.headless() && n.Vouches()
}

// checkOutTeller gets a server of the primary, or of a standby while there is no primary, if
// reads go to standbys. A standby's refusal is not the last word: the log-in then waits for the primary.
func (s *serving) checkOutTeller(deadline time.Time) error {
	s.roams = s.follows && s.set.Routing != nil && !s.hurried
	defer func() { s.roams = false }()
	for {
		err := s.checkOutPrimary(deadline)
		if err != errRoams {
			return err
		}
		err = s.checkOutStandby()
		switch {
		case barred(err), err == errRoams && s.set.FailoverWait == 0:
			return s.insteadOf(err, deadline)
		case err == error(outdatedServer) && !s.headless(): // the primary is there again
			continue
		case err != errRoams && err != error(outdatedServer) && (s.set.FailoverWait == 0 || !transient(err)):
			return err
		}
		s.partAfter(err)
		if err := s.awaitNodes(deadline); err != nil {
			return err
		}
	}
}

// checkOutStandby gets a server of the standby to which the client's reads would go.
func (s *serving) checkOutStandby() error {
	chosen := route.Choose(s.loop.Candidates(), s.whom(), &s.set.Routing.Balance, s.chance, s.ratio)
	if chosen.Index == s.primary() || !s.tells(chosen.Index) {
		return errRoams
	}
	return s.checkOut(chosen.Index)
}

// insteadOf waits for the primary where no standby lets the client in. If there is none in time,
// the standby's reason is the error, if it has given one.
func (s *serving) insteadOf(refusal error, deadline time.Time) error {
	s.roams = false
	err := s.checkOutPrimary(deadline)
	if refusal != errRoams && err != nil && transient(err) {
		s.partAfter(err)
		return refusal
	}
	return err
}

// confirm lets the primary decide about a log-in that a standby may have decided about.
func (s *serving) confirm() error {
	if s.who.Confirm == nil {
		return nil
	}
	var refusal error
	if err := s.loop.Offload(func() { refusal = s.who.Confirm() }); err != nil {
		return err
	}
	switch {
	case full(refusal):
		return &unconfirmed
	case refusal == nil || transient(refusal):
		return refusal
	}
	return lost{refusal}
}

// full says that a node has no connection left: for anybody, for the role or for the database.
func full(err error) bool {
	fault, told := errors.AsType[*wire.Fault](err)
	return told && strings.HasPrefix(fault.Code, "53")
}

// unconfirmed is the error where the primary has no connection left on which it could decide about a log-in. It is asked again.
var unconfirmed = wire.Fault{Severity: "FATAL", Code: "57P03", Message: "the primary has not confirmed the log-in of this session yet",
	Detail: "A standby may have let it in. The primary has no connection left on which it could be asked.", Hint: "Repeat this later."}

// barred says that a node does not let the user in, or not to this database.
func barred(err error) bool {
	fault, told := errors.AsType[*wire.Fault](err)
	_, over := errors.AsType[lost](err)
	if !told || over || fault.Severity != "FATAL" {
		return false
	}
	return strings.HasPrefix(fault.Code, "28") || fault.Code == "3D000" || fault.Code == "42501" || fault.Code == "55000"
}

// firstParams are the parameters of the server that has let the client in. A standby's differ
// from the primary's in that it is one, which is nothing of the session's; see ofNode.
func (s *serving) firstParams() []wire.Param {
	params := s.server.Params
	if s.away && pool.Param(params, "in_hot_standby") != "" {
		params = pool.WithParam(params, "in_hot_standby", "off")
	}
	return params
}
