package session

import (
	"errors"
	"strings"
	"time"

	"pgherd/proxy/pool"
	"pgherd/proxy/wire"
)

// primaryAgain is how soon a session that could not get a server of the primary tries
// again, if nothing is heard of the nodes before that.
const primaryAgain = 50 * time.Millisecond

// noPrimary is the error where no node takes writes.
func noPrimary(detail string) error {
	return &wire.Fault{Severity: "FATAL", Code: "57P03", Message: "no primary node is available", Detail: detail,
		Hint: "SHOW POOL_NODES tells what is believed of each node."}
}

// checkOutPrimary gets a server of the primary. Where another node may take its place, it
// waits while there is none, and while the one that is believed to be it cannot be reached, until the deadline.
func (s *serving) checkOutPrimary(deadline time.Time) error {
	for {
		if s.roams && s.headless() {
			return errRoams
		}
		if err := s.awaitPrimary(deadline); err != nil {
			return err
		}
		node := s.primary()
		err := s.checkOut(node)
		if err == error(outdatedServer) && (node != s.primary() || !s.loop.Licensed()) && s.set.FailoverWait > 0 && !over(deadline, s.loop.Now()) {
			continue // it was the servers of the primary before
		}
		roams := s.roams && s.unanswered()
		if err == nil || s.set.FailoverWait == 0 || s.hurried || !transient(err) || over(deadline, s.loop.Now()) && !roams {
			return err
		}
		s.partAfter(err)
		if roams {
			return errRoams
		}
		if err := s.waitForNodes(sooner(deadline, s.loop.Now().Add(primaryAgain))); err != nil {
			return err
		}
	}
}

// patience is until when what is asked now waits for nodes.
func (s *serving) patience() time.Time { return s.loop.Now().Add(s.set.FailoverWait) }

// lostEarly says that a server was lost before anything of the client's was sent to it, and
// parts with it.
func (s *serving) lostEarly(err error) bool {
	_, lost := errors.AsType[gone](err)
	if !lost || s.set.FailoverWait == 0 {
		return false
	}
	if s.server != nil {
		s.loop.Suspect(s.server.Key.Node, s.server.Endpoint.Ended())
		s.release(pool.Discard)
	}
	return true
}

// partAfter parts with a server that cannot be used because its node is lost, starts or stops.
func (s *serving) partAfter(err error) {
	if !s.lostEarly(err) && s.server != nil {
		s.release(pool.Discard)
	}
}

// errRoams ends a read's wait for the primary, because there is none any more, or it does not
// answer: a standby may answer the read.
var errRoams = errors.New("get server: there is no primary now")

// unanswered says that nobody answers as the primary, as far as is known, or that nothing may be sent to it.
func (s *serving) unanswered() bool {
	primary := s.loop.Nodes().Primary()
	return primary == nil || primary.Unanswered() || !s.loop.Licensed()
}

// transient says that an error is of a node that is lost, or starts or stops: another try may
// meet another primary, or the same one again.
func transient(err error) bool {
	if _, unused := errors.AsType[pool.Unused](err); unused {
		return true
	}
	if _, lost := errors.AsType[gone](err); lost {
		return true
	}
	if _, paused := errors.AsType[inPause](err); paused {
		return false
	}
	f, told := errors.AsType[*wire.Fault](err)
	if _, restoring := errors.AsType[unrestored](err); restoring || !told || err == error(outdatedServer) {
		return false
	}
	return strings.HasPrefix(f.Code, "08") || f.Code == "57P01" || f.Code == "57P02" || f.Code == "57P03"
}

// awaitPrimary waits until there is a primary, but not if the client may do without.
func (s *serving) awaitPrimary(deadline time.Time) error {
	if s.served() {
		return nil
	}
	switch {
	case s.set.FailoverWait > 0 && !s.hurried:
	case !s.loop.Licensed():
		return unlicensed(0)
	default:
		return noPrimary("")
	}
	if err := s.awaitView(s.served, deadline); err != nil || s.served() {
		return err
	}
	return s.foundNone()
}

// foundNone is the error where none was found in time.
func (s *serving) foundNone() error {
	if !s.loop.Licensed() {
		return unlicensed(s.set.FailoverWait)
	}
	return noPrimary("None was found within failover_wait_timeout (" + s.set.FailoverWait.String() + ").")
}

// awaitNodes waits a little for a change of the nodes.
func (s *serving) awaitNodes(deadline time.Time) error {
	if over(deadline, s.loop.Now()) && s.unanswered() {
		return s.foundNone()
	}
	before := s.loop.Nodes()
	return s.awaitView(func() bool { return s.loop.Nodes() != before }, sooner(deadline, s.loop.Now().Add(primaryAgain)))
}

// awaitView waits until something of the nodes holds, or the deadline is over.
func (s *serving) awaitView(holds func() bool, deadline time.Time) error {
	before := s.state
	s.enter(WaitServer)
	defer func() { s.enter(before) }()
	for !holds() && !over(deadline, s.loop.Now()) {
		if err := s.waitForNodes(deadline); err != nil {
			return err
		}
	}
	return nil
}

// served says that there is a primary on which transactions begin.
func (s *serving) served() bool {
	return s.primary() >= 0 && s.loop.Licensed() && (!s.loop.Nodes().Draining || s.set.FailoverWait == 0)
}

// hold keeps a request that begins a transaction from a primary that hands over to another
// node. The server is lost in the end; then the request gets another.
func (s *serving) hold(kind wire.Kind) error {
	if s.server == nil || s.away || !s.follows || s.set.FailoverWait == 0 || !s.outside() || !s.loop.Nodes().Draining && !s.deposed() {
		return nil
	}
	switch kind {
	case wire.Query, wire.Parse, wire.Bind, wire.FunctionCall:
	default:
		return nil
	}
	handedOver := func() bool { return !s.loop.Nodes().Draining || s.server.Endpoint.Ended() != nil }
	if err := s.awaitView(handedOver, s.patience()); err != nil {
		return err
	}
	if s.server.Endpoint.Ended() != nil || s.deposed() {
		return lost{s.serverGone()}
	}
	return nil
}

// deposed says that the server is of a node that is the primary no more, and is about to be
// fenced. What was sent there now would have an unknown outcome.
func (s *serving) deposed() bool {
	return s.loop.Nodes().Epoch > s.server.Epoch && s.primary() != s.server.Key.Node
}

// waitForNodes waits until something has changed, unless nobody wants the answer any more.
func (s *serving) waitForNodes(deadline time.Time) error {
	switch {
	case s.evicted != nil:
		return errEvicted
	case s.client.Left():
		return errLeft
	case s.struck():
		return canceled
	}
	return s.loop.Wait(deadline)
}
