package session

import (
	"errors"
	"fmt"
	"time"

	"pgherd/proxy/expect"
	"pgherd/proxy/pool"
	"pgherd/proxy/wire"
)

// serving gets a server for the session, brings it to the session's settings, and parts
// with it.
type serving struct{ relaying }

// checkOut gets a server of a node, now or after a wait in the queue, within a deadline. A
// *wire.Fault says why there is none; any other error ends the session.
func (s *serving) checkOut(node int) error {
	for try := 1; ; try++ {
		err := s.checkoutOne(node)
		if err == nil && s.unproved {
			err = s.vouch()
		}
		if err == outdatedServer && s.tells(node) && (node == s.primary() || s.unproved) && try < restoreTries {
			continue
		}
		if why, failed := errors.AsType[unrestored](err); !failed || !why.others || try == restoreTries {
			return err
		}
		s.expect = expect.List{}
		s.release(pool.Discard) // the next server may be a new one, on which nobody has set anything
	}
}

// restoreTries is how many servers one checkout may close because the settings of other
// sessions cannot be taken back there.
const restoreTries = 20

// checkoutOne gets one server: the parked one, an idle one, or one from the queue.
func (s *serving) checkoutOne(node int) error {
	if node < 0 {
		return noPrimary("")
	}
	if node == s.primary() && s.unpark(node) {
		return s.restore()
	}
	server := s.loop.Checkout(s.on(node), s.who.Secret)
	if server == nil {
		var err error
		if server, err = s.queue(); err != nil {
			return err
		}
	}
	err := s.admits(server, node == s.primary())
	if err == nil && s.follows && s.set.FailoverWait > 0 && server.Endpoint.Ended() != nil {
		err = lost{s.serverGone()} // it was idle when it was lost
	}
	if err != nil {
		s.loop.Discard(server)
		return err
	}
	return s.attach(server)
}

// queue waits for the server that Checkout has queued for, until the deadline.
func (s *serving) queue() (*pool.Server, error) {
	before := s.state
	s.enter(WaitServer)
	deadline := Forever
	if s.set.QueryWait > 0 {
		deadline = s.loop.Now().Add(s.set.QueryWait)
	}
	if s.parked != nil && !s.signalTarget { // the parked server may take the very place that is waited for
		deadline = sooner(deadline, s.loop.Now().Add(parkedWait))
	}
	if s.hurried {
		deadline = sooner(deadline, s.loop.Now().Add(loginWait))
	}
	notify := Forever
	if s.set.QueryNotify > 0 && s.told != nil { // during the log-in no client shows notices
		notify = s.loop.Now().Add(s.set.QueryNotify)
	}
	for {
		server, err := s.loop.Granted()
		if err == nil && server == nil {
			err = s.impatient(deadline)
		}
		if err != nil {
			s.loop.Withdraw()
		}
		if err != nil || server != nil {
			s.enter(before)
			return server, err
		}
		if over(notify, s.loop.Now()) {
			notify = Forever
			s.client.Write(wire.AppendNotice(nil, s.whyWaiting()))
		}
		if err := s.loop.Wait(sooner(notify, deadline)); err != nil {
			s.loop.Withdraw()
			return nil, err
		}
	}
}

// whyWaiting is the notice for a client that waits for a server.
func (s *serving) whyWaiting() *wire.Fault {
	notice := wire.Fault{Severity: "NOTICE", Code: "00000", Hint: "SHOW POOL_CLIENTS tells who holds them.",
		Message: "waiting for a server connection: all that the limits allow are in use"}
	if why, paused := s.loop.Paused(s.Database()); paused {
		fault := why.Fault(s.Database())
		notice.Message, notice.Hint = "waiting for a server connection: "+fault.Message, fault.Hint
	}
	return &notice
}

// impatient is why the session waits no longer for a server; nil if it goes on waiting.
func (s *serving) impatient(deadline time.Time) error {
	switch {
	case s.evicted != nil:
		return errEvicted
	case s.client.Left():
		return errLeft // nobody wants the answer, and the request was not sent
	case s.struck():
		return canceled
	case over(deadline, s.loop.Now()) && s.hurried:
		return errHurried
	case over(deadline, s.loop.Now()):
		if why, paused := s.loop.Paused(s.Database()); paused {
			return inPause{why.Fault(s.Database())}
		}
		return &wire.Fault{Severity: "FATAL", Code: "53300",
			Message: fmt.Sprintf("no server connection became free within %v", s.set.QueryWait),
			Detail:  "All connections that the limits allow are in use by other clients.",
			Hint: "SHOW POOL_CLIENTS tells who holds them. Raise default_pool_size, max_node_connections, max_db_connections or " +
				"max_user_connections (and PostgreSQL's max_connections), or query_wait_timeout; or share servers: pool_mode = transaction."}
	}
	return nil
}

// inPause is the error after a wait for a server of a database that is paused.
type inPause struct{ *wire.Fault }

func (p inPause) Unwrap() error { return p.Fault }

var canceled = &wire.Fault{Severity: "ERROR", Code: "57014", Message: "canceling statement due to user request"}

// attach makes the server the session's own (I1) and brings it to the session's settings.
func (s *serving) attach(server *pool.Server) error {
	if s.server != nil || !s.expect.Empty() {
		s.loop.Discard(server)
		panic("session: a second server")
	}
	server.Uses++
	s.take(server)
	return s.restore()
}

// take makes a new checkout of the server.
func (s *serving) take(server *pool.Server) {
	s.checkout = checkout{server: server, away: s.follows && server.Key.Node != s.primary(),
		signalTarget: s.signalTarget, replies: stream{from: server.Endpoint, cut: wire.CutReplies()}}
	s.expect.Reset()
	s.transaction.enter(wire.Idle)
	s.fatal, s.erred = false, false
	s.timeouts = server.Timeouts
}
