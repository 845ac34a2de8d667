package session

import (
	"pgherd/proxy/wire"
)

// commands are pgherd's own commands that a client has prepared and bound in
// the extended protocol. A name of ours hides one of the server's until it is
// used anew.
type commands struct {
	statements map[string]kept
	portals    map[string]kept
	bytes      int // of all of them
}

// kept is one of them.
type kept struct {
	Command
	size int
}

func (c *commands) put(m *map[string]kept, name string, k kept) {
	c.drop(*m, name)
	if *m == nil {
		*m = map[string]kept{}
	}
	(*m)[name] = k
	c.bytes += k.size
}

func (c *commands) drop(m map[string]kept, name string) {
	c.bytes -= m[name].size
	delete(m, name)
}

// overtake: a request passes in pieces, unread. A long Parse or Bind is for
// the server, and takes the unnamed statement or portal from us if we had it.
func (c *commands) overtake(kind wire.Kind) {
	switch kind {
	case wire.Parse:
		c.drop(c.statements, "")
	case wire.Bind:
		c.drop(c.portals, "")
	}
}

func (c *commands) none() bool { return len(c.statements) == 0 && len(c.portals) == 0 }

// command answers the request if it is for pgherd itself.
func (s *Session) command(m wire.Message) (mine bool, err error) {
	switch {
	case s.set.Commands == nil:
		return false, nil
	case m.Kind == wire.Query:
		return s.commandQuery(m.Body())
	case m.Kind == wire.Parse:
		return s.commandParse(m.Body())
	case s.prepared.none():
		return false, nil
	}
	switch m.Kind {
	case wire.Bind:
		return s.commandBind(m.Body())
	case wire.Describe:
		return s.commandDescribe(m.Body()), nil
	case wire.Execute:
		return s.commandExecute(m.Body())
	case wire.Close:
		return s.commandClose(m.Body()), nil
	}
	return false, nil
}

// commandQuery: one command, or several that semicolons part.
func (s *Session) commandQuery(body []byte) (mine bool, err error) {
	v, err := wire.ViewQuery(body)
	if err != nil {
		return false, nil // the server says what is wrong with it
	}
	list, err := s.commandsIn(v.SQL)
	if err != nil || len(list) == 0 {
		return false, err
	}
	var out []byte
	for _, command := range list {
		if out, err = s.rows(out, command, true); err != nil {
			fault, ok := err.(*wire.Fault)
			if !ok { // it is no answer to a command, but the end
				return true, err
			}
			out = wire.AppendError(out, fault)
			break
		}
	}
	s.answer(out, true)
	return true, nil
}

func (s *Session) commandParse(body []byte) (mine bool, err error) {
	v, err := wire.ViewParse(body)
	if err != nil {
		return false, nil
	}
	command, ok := s.find(v.SQL)
	if !ok {
		s.prepared.drop(s.prepared.statements, string(v.Name))
		return false, nil
	}
	it := kept{command, commandSize + len(body)}
	if why := s.room(it.size); why != nil {
		return true, why
	}
	s.prepared.put(&s.prepared.statements, string(v.Name), it)
	s.answer(wire.AppendParseComplete(nil), false)
	return true, nil
}

func (s *Session) commandBind(body []byte) (mine bool, err error) {
	v, err := wire.ViewBind(body)
	if err != nil {
		return false, nil
	}
	command, ok := s.prepared.statements[string(v.Statement)]
	if !ok {
		s.prepared.drop(s.prepared.portals, string(v.Portal))
		return false, nil
	}
	it := kept{command.Command, command.size + len(v.Portal)} // its statement may be closed
	if why := s.room(it.size); why != nil {
		return true, why
	}
	s.prepared.put(&s.prepared.portals, string(v.Portal), it)
	s.answer(wire.AppendBindComplete(nil), false)
	return true, nil
}

func (s *Session) commandDescribe(body []byte) bool {
	v, err := wire.ViewDescribe(body)
	if err != nil {
		return false
	}
	command, ok := s.named(v.What, v.Name)
	if !ok {
		return false
	}
	var out []byte
	if v.What == 'S' {
		out = wire.AppendParameterDescription(out, nil)
	}
	if len(command.Columns()) == 0 {
		out = wire.AppendNoData(out)
	}
	s.answer(appendColumns(out, command), false)
	return true
}

func (s *Session) commandExecute(body []byte) (mine bool, err error) {
	v, err := wire.ViewExecute(body)
	if err != nil {
		return false, nil
	}
	command, ok := s.prepared.portals[string(v.Portal)]
	if !ok || s.expect.Skipping {
		return ok, nil
	}
	out, err := s.rows(nil, command.Command, false) // as itself: run looks at what it is
	if err == nil {
		s.answer(out, false)
	}
	return true, err
}

func (s *Session) commandClose(body []byte) bool {
	v, err := wire.ViewClose(body)
	if err != nil {
		return false
	}
	if _, ok := s.named(v.What, v.Name); !ok {
		return false
	}
	if v.What == 'S' {
		s.prepared.drop(s.prepared.statements, string(v.Name))
	} else {
		s.prepared.drop(s.prepared.portals, string(v.Name))
	}
	s.answer(wire.AppendCloseComplete(nil), false)
	return true
}

// named finds a statement ('S') or portal ('P').
func (s *Session) named(what byte, name []byte) (command kept, ok bool) {
	if what == 'S' {
		command, ok = s.prepared.statements[string(name)]
	} else {
		command, ok = s.prepared.portals[string(name)]
	}
	return command, ok
}

func appendColumns(out []byte, command Command) []byte {
	if columns := command.Columns(); len(columns) > 0 {
		out = wire.AppendTextColumns(out, columns...)
	}
	return out
}
