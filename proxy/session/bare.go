package session

import (
	"maps"
	"slices"

	"pgherd/proxy/expect"
	"pgherd/proxy/wire"
)

// bare gives the server the client's prepared statements under the client's
// own names and takes all others away, for a statement that shows them. From
// then on the server stays, and names pass as they are.
func (s *Session) bare(kind wire.Kind) {
	server, ours := s.server, expect.Prelude
	if kind == wire.Query {
		ours = expect.Attempt // an error would have the query skipped
	}
	for _, name := range slices.Sorted(slices.Values(server.Prepared.Names())) {
		s.expect.Add(wire.Close, ours, nil)
		server.Endpoint.Write(wire.AppendClose(nil, 'S', name))
	}
	server.Prepared.Forget()
	for _, name := range slices.Sorted(maps.Keys(s.statements)) {
		st := s.statements[name]
		s.under(st, func() {
			s.expect.Add(wire.Parse, ours, nil)
			server.Endpoint.Write(appendParse(nil, name, st.typed()))
		})
		if kind == wire.Query { // one that cannot be parsed any more spoils no other
			s.expect.Add(wire.Sync, ours, nil)
			server.Endpoint.Write(wire.AppendSync(nil))
		}
	}
	switch {
	case kind != wire.Query:
		s.ensureUnnamed()
	case len(s.statements) == 0:
		s.expect.Add(wire.Sync, ours, nil)
		server.Endpoint.Write(wire.AppendSync(nil))
	}
	s.plain = true
}
