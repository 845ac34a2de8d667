package session

import (
	"pgherd/proxy/catalog"
	"pgherd/proxy/pool"
	"pgherd/proxy/query"
	"pgherd/proxy/wire"
)

// tell tells the client what its server reports otherwise than it knows.
func (s *analysis) tell() {
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
func (s *analysis) learn(params []wire.Param) {
	s.told = params
	s.watchSuperuser(params)
	s.syntax = query.Syntax{
		BackslashEscapes: pool.Param(params, "standard_conforming_strings") == "off",
		UnsafeEncoding:   !query.SafeEncoding(pool.Param(params, "client_encoding")),
	}
}

// watch begins to look at the statements of a session that are not followed.
func (s *analysis) watch() {
	if s.follows || s.set.Catalogs == nil || s.who.Target.Replication {
		return
	}
	if entry := s.set.Catalogs.Entry(s.who.Target.Database); entry.Holds() {
		s.entry, s.watches = entry, true
	}
}

// watchSuperuser has those of a superuser looked at, who may do what PostgreSQL
// itself has for it. What other users' functions do is not known then.
func (s *analysis) watchSuperuser(params []wire.Param) {
	s.watches = s.watches || !s.follows && s.set.Statements != nil && pool.Param(params, "is_superuser") == "on"
}

// bare is of a database that has nothing of its own.
var bare = new(catalog.Snapshot)
