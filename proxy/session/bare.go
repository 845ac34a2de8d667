package session

import (
	"maps"
	"slices"

	"pgherd/proxy/wire"
)

// bare gives the server the client's prepared statements under the client's
// own names and takes all others away, for a statement that shows them. From
// then on the server stays, and names pass as they are.
func (s *Session) bare() {
	server := s.server
	for _, name := range slices.Sorted(slices.Values(server.Prepared.Names())) {
		s.expect.add(wire.Close, prelude, nil)
		server.Endpoint.Write(wire.AppendClose(nil, 'S', name))
	}
	server.Prepared.Forget()
	for _, name := range slices.Sorted(maps.Keys(s.statements)) {
		st := s.statements[name]
		s.under(st, func() {
			s.expect.add(wire.Parse, prelude, nil)
			server.Endpoint.Write(appendParse(nil, name, st.text))
		})
	}
	s.ensureUnnamed()
	s.plain = true
}
