package session

import (
	"slices"

	"pgherd/proxy/effect"
	"pgherd/proxy/expect"
	"pgherd/proxy/query"
	"pgherd/proxy/wire"
)

// holds answers a BEGIN, in either protocol, and holds it back until the first statement of
// its transaction says on which node that belongs. It is false for every other request.
func (s *placement) holds(m *wire.Message, script *query.Script) bool {
	if !m.Last || !s.canHold() {
		return false
	}
	begins := script.Begins()
	switch {
	case m.Kind == wire.Query && begins:
		s.transaction.hold(script, s.loop.Now())
		s.statements.Unnamed = nil // a Query destroys it
		s.answer(wire.AppendCommandComplete(nil, script.BeginTag()), true)
	case m.Kind == wire.Parse && begins:
		return s.holdParse(m)
	case m.Kind == wire.Bind && begins:
		return s.holdBind(m)
	case m.Kind == wire.Describe && begins: // of the statement
		s.answer(wire.AppendNoData(wire.AppendParameterDescription(nil, nil)), false)
	case s.begins != nil && m.Kind == wire.Describe && ofUnnamedPortal(m):
		s.answer(wire.AppendNoData(nil), false)
	case s.begins != nil && m.Kind == wire.Execute && ofUnnamedPortal(m):
		script = s.begins.Script
		s.transaction.hold(script, s.loop.Now())
		s.answer(wire.AppendCommandComplete(nil, script.BeginTag()), false)
	default:
		return false
	}
	return true
}

// readsHere says that a request does nothing in its block but read, and leaves nothing open.
func (s *placement) readsHere(m *wire.Message, script *query.Script) bool {
	reads := func() bool {
		e := s.upcoming
		return s.onlyReads(script) && !readsClock(script) && (e == nil || len(e.Changes) == 0 && !e.Has(effect.Ask))
	}
	switch m.Kind {
	case wire.Query:
		return reads()
	case wire.Bind:
		portal, _, _ := s.bound(m)
		return len(portal) == 0 && reads()
	case wire.Execute:
		v, err := wire.ViewExecute(m.Body())
		return err == nil && len(v.Portal) == 0 && v.MaxRows == 0
	case wire.FunctionCall:
		return false
	}
	return true
}

// readsClock says that a text reads the time of its transaction, which is another one if that
// begins anew.
func readsClock(script *query.Script) bool {
	return slices.ContainsFunc(script.Statements, func(st query.Statement) bool { return st.Effects.Has(query.ReadsClock) })
}

// canHold says that a BEGIN would be held back now.
func (s *placement) canHold() bool {
	return s.routes() && s.status == wire.Idle && len(s.loop.Candidates()) >= 2
}

// holdParse answers a Parse of what begins or ends a block, and keeps the statement.
func (s *placement) holdParse(m *wire.Message) bool {
	v, err := wire.ViewParse(m.Body())
	if err != nil || s.statements.Named(string(v.Name)) != nil || s.tracker.Runs[string(v.Name)] != nil {
		return false
	}
	st := s.statement(string(m.Body()[len(v.Name)+1:]))
	if len(v.Name) == 0 {
		s.statements.Unnamed = st
	} else if st.Shorten(); s.mayKeep(string(v.Name), st) != nil {
		return false
	} else {
		s.statements.Keep(string(v.Name), st)
	}
	s.answer(wire.AppendParseComplete(nil), false)
	return true
}

// holdBind answers a Bind of what begins or ends a block, for the unnamed portal.
func (s *placement) holdBind(m *wire.Message) bool {
	v, err := wire.ViewBind(m.Body())
	if err != nil || len(v.Portal) > 0 || v.Params.Len() > 0 { // the statement has no parameters, and the server will say so
		return false
	}
	s.begins = s.statements.Find(v.Statement)
	s.answer(wire.AppendBindComplete(nil), false)
	return true
}

// ofUnnamedPortal says that a Describe or an Execute is about the unnamed portal.
func ofUnnamedPortal(m *wire.Message) bool {
	if m.Kind == wire.Execute {
		v, err := wire.ViewExecute(m.Body())
		return err == nil && len(v.Portal) == 0
	}
	v, err := wire.ViewDescribe(m.Body())
	return err == nil && v.What == 'P' && len(v.Name) == 0
}

// unbind sends the server the BEGIN whose Bind pgherd has answered, because another request
// came before its Execute.
func (s *placement) unbind() {
	st := s.begins
	if s.begins = nil; st == nil || s.server == nil {
		return
	}
	s.ran = true
	there := s.parse(s.now(st), expect.Setup, nil)
	s.send(wire.Bind, expect.Setup, nil, wire.AppendBind(nil, &wire.BindView{Statement: []byte(there)}))
}

// withheld answers the COMMIT or ROLLBACK of a transaction that no server knows of yet. If
// the transaction has failed because it got no server, withheld refuses what follows.
func (s *placement) withheld(m *wire.Message, script *query.Script) result {
	switch {
	case m.Kind == wire.Query && script.Ends():
		tag := s.endUnknown(script)
		s.statements.Unnamed = nil
		s.answer(wire.AppendCommandComplete(nil, tag), true)
		return handled
	case s.status != wire.Failed:
		return onward
	case s.endsFailed(m, script):
		return handled
	case m.Kind == wire.Close, script.Recovers(), script.EndsFirst(): // only a server can answer it
		return refuseFor(s.failOnPrimary())
	}
	return refuseFor(aborted)
}

// endUnknown ends a block that no server knows of. tag is the answer.
func (t *transaction) endUnknown(script *query.Script) (tag string) {
	tag = "COMMIT"
	if t.status == wire.Failed || script.Statements[0].Kind == query.Rollback {
		tag = "ROLLBACK"
	}
	t.over()
	return tag
}

// endsFailed answers what ends, in the extended protocol, a block that got no server. It
// needs no server itself, since there may still be none.
func (s *placement) endsFailed(m *wire.Message, script *query.Script) bool {
	bound := s.begins != nil && s.begins.Script.Ends()
	switch {
	case !m.Last:
	case m.Kind == wire.Parse && script.Ends():
		return s.holdParse(m)
	case m.Kind == wire.Bind && script.Ends():
		return s.holdBind(m)
	case m.Kind == wire.Describe && script.Ends(): // of the statement
		s.answer(wire.AppendNoData(wire.AppendParameterDescription(nil, nil)), false)
		return true
	case bound && m.Kind == wire.Describe && ofUnnamedPortal(m):
		s.answer(wire.AppendNoData(nil), false)
		return true
	case bound && m.Kind == wire.Execute && ofUnnamedPortal(m):
		s.answer(wire.AppendCommandComplete(nil, s.endUnknown(s.begins.Script)), false)
		return true
	}
	return false
}

var aborted = &wire.Fault{Severity: "ERROR", Code: "25P02",
	Message: "current transaction is aborted, commands ignored until end of transaction block"}
