package session

import (
	"pgherd/proxy/catalog"
	"pgherd/proxy/pool"
	"pgherd/proxy/query"
	"pgherd/proxy/wire"
)

// tell tells the client those parameters that its server reports with another value than the
// client was told.
func (s *analysis) tell() {
	if s.told == nil || pool.SameParams(s.told, s.server.Params) {
		return // the client is logging in, or was told all of them
	}
	for _, p := range s.server.Params {
		if !ofNode[p.Name] && pool.Param(s.told, p.Name) != p.Value {
			s.learn(pool.WithParam(s.told, p.Name, p.Value))
			s.client.Write(wire.AppendParameterStatus(nil, p.Name, p.Value))
		}
	}
}

// ofNode are parameters of the node and not of the session. The client is not told when they
// change, because to the client all nodes are one server.
var ofNode = map[string]bool{"in_hot_standby": true, "server_version": true}

// learn notes what the client is told of its server's parameters, and how its SQL is read under
// them.
func (s *analysis) learn(params []wire.Param) {
	s.told = params
	s.watchSuperuser(params)
	s.syntax = query.Syntax{
		BackslashEscapes: pool.Param(params, "standard_conforming_strings") == "off",
		UnsafeEncoding:   !query.SafeEncoding(pool.Param(params, "client_encoding")),
	}
}

// watch begins to watch a session that is not followed, if its database has code that may leave
// what outlasts DISCARD ALL; see watched.go.
func (s *analysis) watch() {
	if s.follows || s.set.Catalogs == nil || s.who.Target.Replication {
		return
	}
	if entry := s.set.Catalogs.Entry(s.who.Target.Database); entry.Holds() {
		s.entry, s.watches = entry, true
	}
}

// watchSuperuser watches the session of a superuser, who may call functions of PostgreSQL's own
// that leave what outlasts DISCARD ALL. What user-defined functions do is not known there.
func (s *analysis) watchSuperuser(params []wire.Param) {
	s.watches = s.watches || !s.follows && s.set.Statements != nil && pool.Param(params, "is_superuser") == "on"
}

// bare is the catalog of a database that has nothing of its own.
var bare = new(catalog.Snapshot)
