package session

import (
	"pgherd/proxy/expect"
	"pgherd/proxy/pool"
	"pgherd/proxy/query"
	"pgherd/proxy/statements"
	"pgherd/proxy/wire"
)

// parseUnnamed passes a Parse of the unnamed statement. One that deallocates
// what the client has prepared by message, and the server has by another name
// for others too, is given something to deallocate.
func (s *clientState) parseUnnamed(m *wire.Message, st *statements.Statement) {
	if st.Closes = s.closing(st.Script); st.Closes == "" {
		s.forward(m, s.setUnnamed(st), nil)
		return
	}
	s.prepareGone()
	st.Text = "DEALLOCATE " + goneStatement + "\x00\x00\x00" // and no types
	st.Key = s.privately(st.Text)
	s.send(wire.Parse, expect.Forward, s.setUnnamed(st), appendParse(nil, "", st.Text))
}

// prepareGone prepares what is to be deallocated.
func (s *clientState) prepareGone() {
	s.send(wire.Close, expect.Setup, nil, wire.AppendClose(nil, 'S', goneStatement))
	s.send(wire.Parse, expect.Setup, nil, wire.AppendParse(nil, goneStatement, "", nil))
}

// forgetClosed: the statement is being deallocated. It is not if the server
// skips that.
func (s *clientState) forgetClosed(name string) expect.Undo {
	st := s.statements.Named(name)
	if st == nil {
		return nil
	}
	s.statements.Doubt(name)
	return func(bool) { s.statements.Keep(name, st) }
}

// closing is the statement of the client's that a script deallocates and does
// nothing else.
func (h *holdings) closing(script *query.Script) string {
	if script == nil || len(script.Statements) != 1 || script.Statements[0].Kind != query.Deallocate {
		return ""
	}
	if name := script.Statements[0].Name; h.statements.Named(name) != nil {
		return name
	}
	return ""
}

// goneStatement is a name that no client's statement has.
const goneStatement = pool.PreparedPrefix + "gone"
