package session

import "pgherd/proxy/pool"

// park sets the session's own server aside, in session mode, so that the next transaction
// may go to another node. A server that is pinned or not idle is not parked.
func (s *serving) park() {
	at := s.moment()
	at.Used, at.Expired = false, false
	if s.routes() && !s.server.Restless() && pool.Transaction.Judge(at) == pool.Return {
		if s.parked != nil { // one of a node that was the primary before
			s.loop.Discard(s.parked)
		}
		s.parked = s.detach()
	}
}

// unpark takes up the parked server. It is false if there is none, or if the parked server
// could not be used and nothing was lost with it. One that has said goodbye is not used: why
// its node has ended it cannot be told any more once the node is there again. What a session has drawn from
// sequences outlives no failover.
func (s *serving) unpark(node int) bool {
	server := s.parked
	s.parked = nil
	if server == nil {
		return false
	}
	if server.Key.Node == node && (!server.Endpoint.Left() || server.Drawn && !s.replaceable()) {
		s.take(server)
		return true
	}
	s.loop.Discard(server)
	return false
}
