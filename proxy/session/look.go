package session

import (
	"pgherd/proxy/pool"
	"pgherd/proxy/wire"
)

// look finds out what a request does to the session, where servers are shared
// between transactions. What cannot be told pins: the server stays until the
// client leaves.
func (s *Session) look(m *wire.Message) error {
	if s.set.Mode == pool.Session || s.pinned != "" || s.expect.skipping {
		return nil
	}
	switch m.Kind {
	case wire.FunctionCall:
		s.pinned = "function call"
	case wire.Query, wire.Parse:
		sql, ok := statementText(m)
		if !ok {
			s.pinned = "a statement too long to look into"
			return nil
		}
		effect, err := s.study(sql)
		if err != nil {
			return err
		}
		if effect.Begin && s.set.Mode == pool.Statement {
			return &wire.Fault{Severity: "ERROR", Code: "0A000", Message: "explicit transactions are not allowed in pool_mode = statement",
				Hint: "Use pool_mode = transaction, or session."}
		}
		s.pinned = effect.Pin
	}
	return nil
}

// study looks a statement up, and has it parsed off the thread if need be.
func (s *Session) study(sql []byte) (effect Effect, err error) {
	effect, later := s.set.Statements.Look(sql)
	if later {
		err = s.loop.Await(func() { effect = s.set.Statements.Study(sql) })
	}
	return effect, err
}

// statementText is the SQL of a Query or Parse that is there as a whole.
func statementText(m *wire.Message) (sql []byte, ok bool) {
	if !m.Last {
		return nil, false
	}
	if m.Kind == wire.Query {
		v, err := wire.ViewQuery(m.Body())
		return v.SQL, err == nil
	}
	v, err := wire.ViewParse(m.Body())
	return v.SQL, err == nil
}
