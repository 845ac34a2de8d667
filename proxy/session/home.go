package session

import "pgherd/proxy/pool"

// keeps says that the server at hand stays with its session until that ends.
func (s *Session) keeps() bool { return s.mode == pool.Session && !s.away }

// shelve puts the session's own server aside, so that the next transaction may
// go to another node.
func (s *Session) shelve() {
	at := s.moment()
	if at.Used, at.Expired = false, false; s.routes() && !s.server.Restless() && pool.Transaction.Judge(at) == pool.Return {
		s.home = s.detach()
	}
}

// unshelve takes the session's own server at hand. False: it has none, or it
// cannot be used and nothing was lost with it.
func (s *Session) unshelve(node int) bool {
	home := s.home
	if s.home = nil; home == nil {
		return false
	}
	if home.Key.Node == node && (home.Endpoint.Ended() == nil || home.Drawn) {
		s.take(home)
		return true
	}
	s.loop.Discard(home)
	return false
}
