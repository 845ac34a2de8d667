package session

import (
	"bytes"
	"time"

	"pgherd/proxy/nodes"
	"pgherd/proxy/wire"
)

// Limits of the wait for what a FATAL 57P01 means.
const (
	shutdownWait = 2 * time.Second        // for the node to be asked; then it counts as shutting down
	shutdownSure = 100 * time.Millisecond // an answer sooner than that may be of a process that is not told yet to end
	shutdownLook = 5 * time.Millisecond   // between two looks
)

// told is the name, in an ErrorResponse, of PostgreSQL's routine that ends a session because
// it was told to. Another one says 57P01 when the postmaster has died.
var told = []byte("\x00RProcessInterrupts\x00")

// crashed is the name, in a NoticeResponse, of PostgreSQL's routine that ends a session at once,
// because another one has crashed or the shutdown is an immediate one.
var crashed = []byte("\x00Rquickdie\x00")

// replaceable says that another server can take the place of this one if it is lost.
func (s *relaying) replaceable() bool {
	return s.follows && s.set.FailoverWait > 0 && s.state != Closing
}

// crashes says that a notice is the last that its server says.
func (s *relaying) crashes(m wire.Message) bool {
	return s.replaceable() && bytes.Contains(m.Body(), crashed)
}

// shutsDown says that an error ends the server because its node is shut down, and not the
// session alone: PostgreSQL says the same to a session that pg_terminate_backend ends. The
// node is asked, and the client is told nothing until that is known.
func (s *relaying) shutsDown(m wire.Message) bool {
	f := wire.ViewFault(m.Body())
	switch {
	case f.Severity != "FATAL" || f.Code != "57P01" || !s.replaceable():
		return false
	case s.targeted > 0: // another client of pgherd's ends this one
		return false
	case !bytes.Contains(m.Body(), told):
		return true // the postmaster has died
	}
	node, asked := s.server.Key.Node, s.loop.Now()
	var connected time.Time
	if n := s.loop.Nodes().Node(node); n != nil {
		connected = n.Connected
	}
	s.loop.Suspect(node, &wire.Fault{Code: f.Code})
	deadline := asked.Add(shutdownWait)
	for now := asked; now.Before(deadline); now = s.loop.Now() {
		n := s.loop.Nodes().Node(node)
		switch {
		case n == nil, n.Status == nodes.Down, n.Status == nodes.Quarantine:
			return true
		case n.ReplayedAt.After(asked) && (!n.Reachable || n.Connected.After(connected)):
			return true // or it has been started again since: the check's own connection was ended, too
		case n.ReplayedAt.After(asked.Add(shutdownSure)):
			return false
		case n.ReplayedAt.After(asked):
			s.loop.Suspect(node, &wire.Fault{Code: f.Code}) // it is to be asked again
		}
		if s.loop.Wait(sooner(deadline, now.Add(shutdownLook))) != nil {
			return false
		}
	}
	return true
}
