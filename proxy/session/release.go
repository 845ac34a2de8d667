package session

import (
	"time"

	"pgherd/proxy/pool"
	"pgherd/proxy/wire"
)

// finish decides what becomes of the server once its client is gone, and does
// it.
func (s *Session) finish() {
	if s.server == nil {
		return
	}
	verdict := s.set.Mode.Judge(s.moment())
	if verdict != pool.Discard && s.awaitCancels() {
		verdict = s.set.Mode.Judge(s.moment()) // one may have got no answer
	} else {
		verdict = pool.Discard
	}
	if verdict == pool.Reset {
		verdict = s.reset()
	}
	if verdict == pool.Discard && s.busy() {
		s.loop.Abort(s.detach())
		return
	}
	s.release(verdict)
}

// part gives the server back between two transactions, if the mode and the
// session's state allow it.
func (s *Session) part() {
	if s.server == nil || s.cancels > 0 {
		return
	}
	if verdict := s.set.Mode.Judge(s.moment()); verdict != pool.Keep {
		s.release(verdict)
	}
}

// moment is what the release rule looks at.
func (s *Session) moment() pool.Moment {
	return pool.Moment{
		Ended:     s.state == Closing,
		Owes:      !s.expect.empty() || !s.replies.cut.Between() || !s.requests.cut.Between(),
		Status:    s.status,
		Used:      s.server.Used,
		Pinned:    s.pinned != "",
		Uncertain: s.expect.uncertain || s.fatal || s.server.Endpoint.Ended() != nil,
		Expired:   s.server.Expired(s.loop.Now()),
		Single:    s.server.Key.Replication || !s.set.KeepServers,
	}
}

// awaitCancels holds the server until no cancel is on its way to it any more,
// so that none can reach another client's query (I10).
func (s *Session) awaitCancels() bool {
	deadline := s.loop.Now().Add(cancelHold)
	for s.cancels > 0 {
		if !s.loop.Now().Before(deadline) || s.loop.Wait(deadline) != nil {
			return false
		}
	}
	return true
}

// reset runs reset_query_list, each statement a query of its own whose replies
// nobody sees. A server that is not idle and debtless after it is closed.
func (s *Session) reset() pool.Verdict {
	deadline := s.loop.Now().Add(s.set.ResetTimeout)
	for _, sql := range s.set.ResetQueries {
		s.expect.add(wire.Query, swallow, nil)
		s.server.Endpoint.Write(wire.AppendQuery(nil, sql))
	}
	for !s.expect.empty() {
		moved, err := s.fromServer()
		if err != nil {
			return pool.Discard
		}
		if !moved && s.outOfTime(deadline) {
			return pool.Discard
		}
	}
	s.server.Used = false
	s.server.Prepared.Forget()
	s.pinned = ""
	return s.set.Mode.Judge(s.moment())
}

// busy says that the server is at work and can be told to stop. One that waits
// for the rest of a message ends by itself when it is closed.
func (s *Session) busy() bool {
	return s.expect.coming() && !s.expect.uncertain && s.requests.cut.Between() && s.server.Endpoint.Ended() == nil
}

// detach takes the server from the session.
func (s *Session) detach() *pool.Server {
	server := s.server
	s.replies.drop()
	s.server, s.status = nil, wire.Idle
	return server
}

// outOfTime waits for something to happen; true once it is too late.
func (s *Session) outOfTime(deadline time.Time) bool {
	return !s.loop.Now().Before(deadline) || s.loop.Wait(deadline) != nil
}

// release parts with the server.
func (s *Session) release(verdict pool.Verdict) {
	server := s.detach()
	if verdict == pool.Return {
		s.loop.Return(server)
	} else {
		s.loop.Discard(server)
	}
}
