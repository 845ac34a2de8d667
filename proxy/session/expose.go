package session

import (
	"maps"
	"slices"

	"pgherd/proxy/expect"
	"pgherd/proxy/wire"
)

// expose gives the server the client's prepared statements under the client's
// own names and takes all others away, for a statement that shows them. From
// then on the server stays, and names pass as they are: unless the server skips it all.
func (s *clientState) expose(kind wire.Kind) {
	server, ours := s.server, expect.Setup
	if kind == wire.Query {
		ours = expect.Attempt // an error would have the query skipped
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
		if kind == wire.Query { // one that cannot be parsed any more spoils no other
			s.send(wire.Sync, ours, nil, wire.AppendSync(nil))
		}
	}
	switch {
	case kind != wire.Query:
		s.ensureUnnamed()
	case len(s.statements.All()) == 0:
		s.send(wire.Sync, ours, nil, wire.AppendSync(nil))
	}
	s.plain = true
}

// undoExpose forgets the server's statements, and returns what is called for each of so many
// requests that did not do what they should. If none did, all is as before; if some did,
// the server is closed in the end.
func (s *clientState) undoExpose(requests int) expect.Undo {
	server, undone := s.server, 0
	back := server.Prepared.Aside()
	return func(erred bool) {
		if undone++; !erred && undone == requests {
			s.plain = false
			back()
			return
		}
		server.Retire(s.loop.Now())
	}
}
