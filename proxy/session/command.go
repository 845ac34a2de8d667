package session

import (
	"bytes"

	"pgherd/proxy/command"
	"pgherd/proxy/wire"
)

// command answers a request that is for pgherd itself.
func (s *Session) command(m *wire.Message) result {
	switch {
	case !m.Last:
		s.prepared.Overtake(m.Kind)
		return onward
	case s.set.Commands == nil:
		return onward
	case m.Kind == wire.Query:
		return s.commandQuery(m.Body())
	case m.Kind == wire.Parse:
		return s.commandParse(m.Body())
	case s.prepared.None():
		return onward
	}
	switch m.Kind {
	case wire.Bind:
		return s.commandBind(m.Body())
	case wire.Describe:
		return handledIf(s.commandDescribe(m.Body()))
	case wire.Execute:
		return s.commandExecute(m.Body())
	case wire.Close:
		return handledIf(s.commandClose(m.Body()))
	}
	return onward
}

// commandQuery answers a Query that is one command, or several between semicolons.
func (s *Session) commandQuery(body []byte) result {
	v, err := wire.ViewQuery(body)
	if err != nil {
		return onward // the server says what is wrong with it
	}
	list, err := command.In(v.SQL, s.syntax, s.find)
	if err != nil || len(list) == 0 {
		return refuseFor(err)
	}
	var out []byte
	for _, one := range list {
		if out, err = s.rows(out, one, true); err != nil {
			fault, ok := err.(*wire.Fault)
			if !ok { // it is not the command's error, and ends the session
				return refuseFor(err)
			}
			out = wire.AppendError(out, fault)
			break
		}
	}
	s.answer(out, true)
	return handled
}

func (s *Session) commandParse(body []byte) result {
	v, err := wire.ViewParse(body)
	if err != nil {
		return onward
	}
	found, ok := s.find(v.SQL)
	if !ok {
		s.prepared.Drop(s.prepared.Statements, string(v.Name))
		return onward
	}
	it := command.Kept{Command: found, Size: commandSize + len(body)}
	if why := s.room(it.Size); why != nil {
		return refuseFor(why)
	}
	s.prepared.Put(&s.prepared.Statements, string(v.Name), it)
	s.answer(wire.AppendParseComplete(nil), false)
	return handled
}

func (s *Session) commandBind(body []byte) result {
	v, err := wire.ViewBind(body)
	if err != nil {
		return onward
	}
	bound, ok := s.prepared.Statements[string(v.Statement)]
	if !ok {
		s.prepared.Drop(s.prepared.Portals, string(v.Portal))
		return onward
	}
	it := command.Kept{Command: bound.Command, Size: bound.Size + len(v.Portal)} // counted whole, because its statement may be closed first
	if why := s.room(it.Size); why != nil {
		return refuseFor(why)
	}
	s.prepared.Put(&s.prepared.Portals, string(v.Portal), it)
	s.answer(wire.AppendBindComplete(nil), false)
	return handled
}

func (s *Session) commandDescribe(body []byte) bool {
	v, err := wire.ViewDescribe(body)
	if err != nil {
		return false
	}
	named, ok := s.prepared.Named(v.What, v.Name)
	if !ok {
		return false
	}
	var out []byte
	if v.What == 'S' {
		out = wire.AppendParameterDescription(out, nil)
	}
	if len(named.Columns()) == 0 {
		out = wire.AppendNoData(out)
	}
	s.answer(appendColumns(out, named), false)
	return true
}

func (s *Session) commandExecute(body []byte) result {
	v, err := wire.ViewExecute(body)
	if err != nil {
		return onward
	}
	portal, ok := s.prepared.Portals[string(v.Portal)]
	if !ok || s.expect.Skipping {
		return handledIf(ok)
	}
	out, err := s.rows(nil, portal.Command, false) // without Kept, because run looks at the type
	if err != nil {
		return refuseFor(err)
	}
	s.answer(out, false)
	return handled
}

func (s *Session) commandClose(body []byte) bool {
	v, err := wire.ViewClose(body)
	if err != nil {
		return false
	}
	if _, ok := s.prepared.Named(v.What, v.Name); !ok {
		return false
	}
	if v.What == 'S' {
		s.prepared.Drop(s.prepared.Statements, string(v.Name))
	} else {
		s.prepared.Drop(s.prepared.Portals, string(v.Name))
	}
	s.answer(wire.AppendCloseComplete(nil), false)
	return true
}

func appendColumns(out []byte, c command.Command) []byte {
	if columns := c.Columns(); len(columns) > 0 {
		out = wire.AppendTextColumns(out, columns...)
	}
	return out
}

// find is the command of pgherd's that a text is, if it is one.
func (s *Session) find(sql []byte) (command.Command, bool) {
	if text, verbose, ok := command.Explained(sql); ok {
		return explainRoute{s, bytes.Clone(text), verbose}, true
	}
	return s.set.Commands.Find(sql)
}
