package session

import (
	"errors"

	"pgherd/proxy/expect"
	"pgherd/proxy/pool"
	"pgherd/proxy/query"
	"pgherd/proxy/wire"
)

// restore brings the server to the settings of the session, in the same round
// trip as what the client asks for; if that could fail, before it.
func (s *Session) restore() error {
	had := s.server.Settings
	r := had.Restore(s.tracker.Settings)
	if s.server.Drawn && !s.server.Used && (s.mode == pool.Session || s.entry != nil && s.entry.Drawing()) { // others' numbers
		r.Settings += pool.DiscardSequences + ";"
		s.server.Drawn = false
	}
	s.server.Settings = s.tracker.Settings
	if r.Encoding != "" { // in which the rest is written
		s.query(r.Encoding, expect.Restore)
	}
	if r.Settings != "" {
		s.query(r.Settings, expect.Restore)
	}
	if r.Encoding == "" && r.Settings == "" {
		s.tell()
	}
	for _, sql := range r.Prepared {
		s.query(sql, expect.Attempt)
	}
	if r.Sure {
		return nil
	}
	err := s.relayUntil(s.expect.Empty)
	if why, failed := errors.AsType[unrestored](err); failed && len(had) > 0 {
		why.others = true
		return why
	}
	return err
}

// tell tells the client what its server reports otherwise than it knows.
func (s *Session) tell() {
	if s.told == nil || pool.SameParams(s.told, s.server.Params) {
		return // it is logging in, or knows
	}
	for _, p := range s.server.Params {
		if !ofNode[p.Name] && pool.Param(s.told, p.Name) != p.Value {
			s.learn(pool.WithParam(s.told, p.Name, p.Value))
			s.client.Write(wire.AppendParameterStatus(nil, p.Name, p.Value))
		}
	}
}

// ofNode are parameters that tell of the node and not of the session: the client
// is to see one server.
var ofNode = map[string]bool{"in_hot_standby": true, "server_version": true}

// learn notes what the client knows of its server's parameters now.
func (s *Session) learn(params []wire.Param) {
	s.told = params
	s.watchSuperuser(params)
	s.syntax = query.Syntax{
		BackslashEscapes: pool.Param(params, "standard_conforming_strings") == "off",
		UnsafeEncoding:   !query.SafeEncoding(pool.Param(params, "client_encoding")),
	}
}

// unrestored ends the session: a statement must not run with settings that are
// not its session's.
type unrestored struct {
	error
	others bool // it may be another session's that could not be taken back
}

func (u unrestored) Unwrap() error { return u.error }

func failedRestore(m wire.Message) error {
	why := wire.ViewFault(m.Body())
	return unrestored{error: &wire.Fault{Code: why.Code, Message: "could not restore the session's settings: " + why.Message,
		Hint: "What was set is not possible any more on the server. Connect again."}}
}
