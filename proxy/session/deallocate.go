package session

import (
	"pgherd/proxy/expect"
	"pgherd/proxy/pool"
	"pgherd/proxy/query"
	"pgherd/proxy/statements"
	"pgherd/proxy/wire"
)

// parseUnnamed sends on a Parse of the unnamed statement. A DEALLOCATE of a statement that the
// client has prepared by a Parse must not run as it is, because the server has that statement
// under another name, and for other clients, too. It deallocates a statement of pgherd's
// instead.
func (s *clientState) parseUnnamed(m *wire.Message, st *statements.Statement) {
	st.Closes = s.closing(st.Script)
	if st.Closes == "" {
		s.forward(m, s.setUnnamed(st), nil)
		return
	}
	s.prepareGone()
	st.Text = "DEALLOCATE " + goneStatement + "\x00\x00\x00" // and no types
	st.Key = s.privately(st.Text)
	s.send(wire.Parse, expect.Forward, s.setUnnamed(st), appendParse(nil, "", st.Text))
}

// prepareGone prepares the statement that is deallocated instead.
func (s *clientState) prepareGone() {
	s.send(wire.Close, expect.Setup, nil, wire.AppendClose(nil, 'S', goneStatement))
	s.send(wire.Parse, expect.Setup, nil, wire.AppendParse(nil, goneStatement, "", nil))
}

// forgetClosed forgets a statement that the client deallocates. The function that it returns
// brings it back, if the server skips the request.
func (s *clientState) forgetClosed(name string) expect.Undo {
	st := s.statements.Named(name)
	if st == nil {
		return nil
	}
	s.statements.Doubt(name)
	return func(bool) { s.statements.Keep(name, st) }
}

// closing is the name of the client's statement that a script deallocates, if the script does
// nothing else; "" if there is none.
func (h *holdings) closing(script *query.Script) string {
	if script == nil || len(script.Statements) != 1 || script.Statements[0].Kind != query.Deallocate {
		return ""
	}
	if name := script.Statements[0].Name; h.statements.Named(name) != nil {
		return name
	}
	return ""
}

// goneStatement is the name of the statement that is deallocated instead. No client's statement
// has it.
const goneStatement = pool.PreparedPrefix + "gone"
