package session

import "pgherd/proxy/pool"

// park puts the session's own server aside, so that the next transaction may
// go to another node.
func (s *serving) park() {
	at := s.moment()
	if at.Used, at.Expired = false, false; s.routes() && !s.server.Restless() && pool.Transaction.Judge(at) == pool.Return {
		s.parked = s.detach()
	}
}

// unpark takes the session's own server at hand. False: it has none, or it
// cannot be used and nothing was lost with it.
func (s *serving) unpark(node int) bool {
	server := s.parked
	if s.parked = nil; server == nil {
		return false
	}
	if server.Key.Node == node && (server.Endpoint.Ended() == nil || server.Drawn) {
		s.take(server)
		return true
	}
	s.loop.Discard(server)
	return false
}
