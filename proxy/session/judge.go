package session

import (
	"bytes"
	"slices"

	"pgherd/proxy/catalog"
	"pgherd/proxy/effect"
	"pgherd/proxy/query"
	"pgherd/proxy/statements"
	"pgherd/proxy/wire"
)

// analysis finds out what a statement does, by its text and by the catalog.
type analysis struct {
	clientState
	knowledge
	inquiry
}

// knowledge is what a session's statements are judged by, and what may have to be judged
// once more.
type knowledge struct {
	entry       *catalog.Entry // of its database; nil: none is needed
	syntax      query.Syntax   // in which the client's SQL is read now
	judged      judged
	redo        redo        // what may have to be judged once more
	definitions definitions // those of the open transaction
	watches     bool        // it is not followed, and looked at for what would outlast the session
	spoils      bool        // which it may have done: the server is closed in the end
}

// judged is the script that was last judged, by what, and the outcome.
type judged struct {
	script  *query.Script
	known   *catalog.Snapshot
	lasting bool // as judge has it
	effect  effect.Effect
}

// readScript has the script of the request at hand read.
func (s *analysis) readScript(m *wire.Message) (err error) {
	s.script, err = s.read(m)
	return err
}

// read is what a Query or Parse holds; nil if it is too long to look into.
func (s *analysis) read(m *wire.Message) (script *query.Script, err error) {
	sql, ok := statementText(m)
	if !ok {
		return nil, nil
	}
	return s.readText(sql)
}

// readText is read for a text, of which nobody keeps anything.
func (s *analysis) readText(sql []byte) (*query.Script, error) {
	if script, known := s.set.Statements.Shaped(sql, s.syntax); known {
		return script, nil
	}
	return s.parseNew(bytes.Clone(sql))
}

// parseNew is read for a text that is not known yet.
func (s *analysis) parseNew(sql []byte) (script *query.Script, err error) {
	err = s.loop.Offload(func() { script = s.set.Statements.Shape(sql, s.syntax) })
	return script, err
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

// effect is what a script does, by the catalog as it is known now.
func (s *analysis) effect(script *query.Script) *effect.Effect {
	if script == nil {
		return effect.TooLong(s.judge())
	}
	if by := s.judge(); script != s.judged.script || by.Known != s.judged.known || by.Lasting != s.judged.lasting {
		s.judged = judged{script, by.Known, by.Lasting, effect.Of(script, by)}
	}
	return &s.judged.effect
}

func (s *analysis) judge() effect.Judge {
	by := effect.Judge{Harmless: s.set.Harmless}
	if s.watches {
		by.Known = bare
	}
	if s.entry != nil {
		by.Known = s.entry.Snapshot()
		by.Lasting = by.Known.Lasting() && !s.tracker.Unsure && !s.temporary && !inTemporary(s.tracker.Mean["search_path"])
	}
	return by
}

// bound is the portal, the name and the statement of a Bind; nil: the client
// has no statement of that name.
func (h *holdings) bound(m *wire.Message) (portal, name []byte, st *statements.Statement) {
	portal, name, ok := wire.BindNames(m.Body())
	if !ok {
		return nil, nil, nil
	}
	return portal, name, h.statements.Find(name)
}

// addRuns adds what the statements of SQL PREPARE do that a request executes.
func (s *analysis) addRuns(e *effect.Effect) {
	for _, name := range e.Runs {
		runs := slices.Concat(s.tracker.Runs[name], e.Prepares[name])
		e.AddIf(effect.Ask, len(runs) == 0)
		for _, inner := range runs {
			e.Include(inner, s.judge())
		}
	}
}

// routes says that the session's statements may leave the primary.
func (s *analysis) routes() bool { return s.follows && s.set.Routing != nil && s.entry != nil }

// lookAhead looks at a Parse where nobody looks at its Bind.
func (s *analysis) lookAhead() {
	if s.plain && s.server != nil && s.effect(s.script).Has(effect.Spoils) {
		s.server.Retire(s.loop.Now())
	}
}
