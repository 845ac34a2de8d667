package session

import (
	"maps"
	"slices"

	"pgherd/proxy/expect"
	"pgherd/proxy/wire"
)

// expose prepares the client's statements on the server under the client's own names, and
// closes all others there, before a statement that shows the names or uses them in SQL. From
// then on the server stays with the session, and names pass as they are, unless the server has
// skipped all of these requests.
func (s *clientState) expose(kind wire.Kind) {
	server, ours := s.server, expect.Setup
	if kind == wire.Query {
		ours = expect.Attempt // an error must not make the server skip the query
	}
	names := slices.Sorted(slices.Values(server.Prepared.Names()))
	undo := s.undoExpose(len(names) + len(s.statements.All()))
	for _, name := range names {
		s.send(wire.Close, ours, undo, wire.AppendClose(nil, 'S', name))
	}
	for _, name := range slices.Sorted(maps.Keys(s.statements.All())) {
		st := s.statements.Named(name)
		s.under(st, func() {
			s.send(wire.Parse, ours, undo, appendParse(nil, name, st.Typed()))
		})
		if kind == wire.Query { // an error in one Parse must not make the server skip the next
			s.send(wire.Sync, ours, nil, wire.AppendSync(nil))
		}
	}
	switch {
	case kind != wire.Query:
		s.ensureUnnamed()
	case len(s.statements.All()) == 0:
		s.send(wire.Sync, ours, nil, wire.AppendSync(nil))
	}
	s.exposed = true
}

// undoExpose forgets the server's statements. The function that it returns is called for each
// of so many requests that failed or was skipped. If the server has skipped all, everything is
// as before; if not, the server is closed in the end.
func (s *clientState) undoExpose(requests int) expect.Undo {
	server, undone := s.server, 0
	back := server.Prepared.Aside()
	return func(erred bool) {
		undone++
		if !erred && undone == requests {
			s.exposed = false
			back()
			return
		}
		server.Retire(s.loop.Now())
	}
}
