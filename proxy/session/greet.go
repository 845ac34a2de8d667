package session

import (
	"pgherd/proxy/pool"
	"pgherd/proxy/wire"
)

// greet completes the log-in. The client is told the server's parameters and its cancel key.
func (s *serving) greet() error {
	params, err := s.letIn()
	if err != nil {
		return err
	}
	if s.server != nil && !s.keepsForLife() {
		if s.calm() {
			s.release(pool.Return)
		} else {
			s.release(pool.Discard)
		}
	} else if s.server != nil && s.loop.Known(s.server.PID) {
		s.pid = s.server.PID
		s.server.Clients.Renamed(s.pid)
	}
	s.learn(params)
	told := s.lastPrimary()
	if s.stands.given {
		told = s.stands.node
	}
	s.timeouts = s.loop.Timeouts(s.on(told))
	out := wire.AppendAuthenticationOk(nil)
	for _, p := range params {
		out = wire.AppendParameterStatus(out, p.Name, p.Value)
	}
	out = wire.AppendBackendKeyData(out, s.pid, s.key)
	s.client.Write(wire.AppendReadyForQuery(out, wire.Idle))
	return nil
}

// keepsForLife says that the client has one server from its log-in to its end. Such a client
// is known by that server's process number.
func (s *serving) keepsForLife() bool {
	return s.who.Target.Replication || !s.follows && s.set.ServerFirst
}
