package session

import (
	"errors"
	"fmt"

	"pgherd/proxy/wire"
)

// commands are pgherd's own commands that a client has prepared and bound in
// the extended protocol. A name of ours hides one of the server's until it is
// used anew.
type commands struct {
	statements map[string]Command
	portals    map[string]Command
}

// overtake: a request passes in pieces, unread. A long Parse or Bind is for
// the server, and takes the unnamed statement or portal from us if we had it.
func (c *commands) overtake(kind wire.Kind) {
	switch kind {
	case wire.Parse:
		delete(c.statements, "")
	case wire.Bind:
		delete(c.portals, "")
	}
}

func (c *commands) none() bool { return len(c.statements) == 0 && len(c.portals) == 0 }

// command answers the request if it is for pgherd itself.
func (s *Session) command(m wire.Message) bool {
	switch {
	case s.set.Commands == nil:
		return false
	case m.Kind == wire.Query:
		return s.commandQuery(m.Body())
	case m.Kind == wire.Parse:
		return s.commandParse(m.Body())
	case s.prepared.none():
		return false
	}
	switch m.Kind {
	case wire.Bind:
		return s.commandBind(m.Body())
	case wire.Describe:
		return s.commandDescribe(m.Body())
	case wire.Execute:
		return s.commandExecute(m.Body())
	case wire.Close:
		return s.commandClose(m.Body())
	}
	return false
}

func (s *Session) commandQuery(body []byte) bool {
	v, err := wire.ViewQuery(body)
	if err != nil {
		return false // the server says what is wrong with it
	}
	command, ok := s.set.Commands.Find(v.SQL)
	if ok {
		s.answer(s.rows(appendColumns(nil, command), command), true)
	}
	return ok
}

func (s *Session) commandParse(body []byte) bool {
	v, err := wire.ViewParse(body)
	if err != nil {
		return false
	}
	command, ok := s.set.Commands.Find(v.SQL)
	if !ok {
		delete(s.prepared.statements, string(v.Name))
		return false
	}
	s.prepared.statements = put(s.prepared.statements, string(v.Name), command)
	s.answer(wire.AppendParseComplete(nil), false)
	return true
}

func (s *Session) commandBind(body []byte) bool {
	v, err := wire.ViewBind(body)
	if err != nil {
		return false
	}
	command, ok := s.prepared.statements[string(v.Statement)]
	if !ok {
		delete(s.prepared.portals, string(v.Portal))
		return false
	}
	s.prepared.portals = put(s.prepared.portals, string(v.Portal), command)
	s.answer(wire.AppendBindComplete(nil), false)
	return true
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

func (s *Session) commandExecute(body []byte) bool {
	v, err := wire.ViewExecute(body)
	if err != nil {
		return false
	}
	command, ok := s.prepared.portals[string(v.Portal)]
	if ok {
		s.answer(s.rows(nil, command), false)
	}
	return ok
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
		delete(s.prepared.statements, string(v.Name))
	} else {
		delete(s.prepared.portals, string(v.Name))
	}
	s.answer(wire.AppendCloseComplete(nil), false)
	return true
}

// named finds a statement ('S') or portal ('P').
func (s *Session) named(what byte, name []byte) (command Command, ok bool) {
	if what == 'S' {
		command, ok = s.prepared.statements[string(name)]
	} else {
		command, ok = s.prepared.portals[string(name)]
	}
	return command, ok
}

// rows runs the command off the thread and builds what an Execute returns.
func (s *Session) rows(out []byte, command Command) []byte {
	var rows [][]string
	var err error
	run := func() {
		defer func() { // on a goroutine of its own a panic would end the process
			if p := recover(); p != nil {
				err = fmt.Errorf("internal error: %v", p)
			}
		}()
		rows, err = command.Run(s.pid, s.who.Target.User)
	}
	if stopped := s.loop.Await(run); stopped != nil {
		return nil // the session ends at its next wait
	}
	if err != nil {
		fault, ok := errors.AsType[*wire.Fault](err)
		if !ok {
			fault = &wire.Fault{Severity: "ERROR", Code: "XX000", Message: err.Error()}
		}
		return wire.AppendError(nil, fault)
	}
	for _, row := range rows {
		out = wire.AppendTextRow(out, row...)
	}
	return wire.AppendCommandComplete(out, command.Tag(len(rows)))
}

func appendColumns(out []byte, command Command) []byte {
	if columns := command.Columns(); len(columns) > 0 {
		out = wire.AppendTextColumns(out, columns...)
	}
	return out
}

func put(m map[string]Command, name string, command Command) map[string]Command {
	if m == nil {
		m = map[string]Command{}
	}
	m[name] = command
	return m
}
