package session

import (
	"errors"

	"pgherd/proxy/pool"
	"pgherd/proxy/wire"
)

// greet completes the log-in. The first log-in to a pool opens a server, so
// that a wrong database fails here; later ones are told what that one said.
func (s *Session) greet() error {
	params := s.loop.Template(s.on(s.primary()))
	if err := s.meet(params != nil); err != nil {
		return err
	}
	if s.server != nil {
		params = s.server.Params
		if s.follows || !s.set.ServerFirst && !s.who.Target.Replication {
			if s.calm() {
				s.release(pool.Return)
			} else {
				s.release(pool.Discard)
			}
		} else if pid := s.server.PID; s.loop.Known(pid) {
			s.pid = pid
			s.server.Clients.Renamed(pid)
		}
	}
	s.learn(params)
	s.timeouts = s.loop.Timeouts(s.on(s.primary()))
	out := wire.AppendAuthenticationOk(nil)
	for _, p := range params {
		out = wire.AppendParameterStatus(out, p.Name, p.Value)
	}
	out = wire.AppendBackendKeyData(out, s.pid, s.key)
	s.client.Write(wire.AppendReadyForQuery(out, wire.Idle))
	return nil
}

// meet gets the log-in a server, if it needs one: to be told what servers say, or
// because the client keeps it for life, and is known by its number. spare: it can do
// without.
func (s *Session) meet(spare bool) error {
	keeps := !s.follows && s.set.ServerFirst
	if spare && !keeps && !s.who.Target.Replication {
		return nil
	}
	s.hurried = spare && !s.who.Target.Replication
	err := s.checkout(s.primary())
	if s.hurried && s.server == nil && scarce(err) {
		err = nil
	}
	if s.hurried = false; err != nil || s.server == nil {
		return err
	}
	return s.await(s.expect.Empty) // what another client has set is taken back
}

// scarce says that there is no server now. PostgreSQL would have said so; pgherd lets
// the client in, who may look for the reason.
func scarce(err error) bool {
	fault, ok := errors.AsType[*wire.Fault](err)
	if !ok || len(fault.Code) < 2 {
		return false
	}
	class := fault.Code[:2]
	return class == "08" || class == "53" || class == "57"
}
