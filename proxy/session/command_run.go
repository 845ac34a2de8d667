package session

import (
	"errors"
	"fmt"
	"maps"

	"pgherd/proxy/command"
	"pgherd/proxy/track"
	"pgherd/proxy/wire"
)

// rows runs a command and adds its answer to out, with the columns if described is true. An error
// that is a *wire.Fault is the command's; any other ends the session.
func (s *Session) rows(out []byte, c command.Command, described bool) ([]byte, error) {
	if c.Waits() {
		if err := s.quiesce(); err != nil || s.expect.Skipping {
			return out, err
		}
	}
	by := command.Asker{Target: s.who.Target, Host: s.who.Host, Secret: s.who.Secret, PID: s.pid, Values: s.values}
	rows, err := s.run(c, &by)
	if err != nil {
		return out, err
	}
	if by.Warning != nil {
		out = wire.AppendNotice(out, by.Warning)
	}
	before := len(out)
	if described {
		out = appendColumns(out, c)
	}
	for _, row := range rows {
		out = wire.AppendTextRow(out, row...)
	}
	if why := s.limited(s.expect.Held() + len(out)); why != nil && len(rows) > 0 {
		return out[:before], why
	}
	return wire.AppendCommandComplete(out, c.Tag(len(rows))), nil
}

// run runs a command off the worker's thread. The parameters that the command has set are then
// applied to the settings of this moment, which a reload may have replaced while it ran.
func (s *Session) run(c command.Command, by *command.Asker) (rows [][]string, err error) {
	if explain, ok := c.(explainRoute); ok { // it looks at what belongs to the worker's thread
		return explain.Run(by)
	}
	run := func() {
		defer func() { // on another goroutine a panic would end the process
			if p := recover(); p != nil {
				err = fmt.Errorf("internal error: %v", p)
			}
		}()
		rows, err = c.Run(by)
	}
	if stopped := s.loop.Offload(run); stopped != nil {
		return nil, stopped
	}
	if err == nil && !maps.Equal(by.Values, s.values) {
		if why := s.room(track.SizeOf(by.Values) - s.memory.values); why != nil && len(by.Values) > 0 {
			return nil, why
		}
		err = s.override(by.Values)
	}
	if _, ok := errors.AsType[*wire.Fault](err); err != nil && !ok {
		err = &wire.Fault{Severity: "ERROR", Code: "XX000", Message: err.Error()}
	}
	return rows, err
}

// override replaces the values that the session has set for itself.
func (s *Session) override(values map[string]string) error {
	set, err := s.set.Override(values)
	if err == nil {
		s.set, s.values, s.judged = set, values, judged{}
		s.memory.values = track.SizeOf(values)
	}
	return err
}
