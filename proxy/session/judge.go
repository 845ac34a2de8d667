package session

import (
	"bytes"
	"slices"

	"pgherd/proxy/catalog"
	"pgherd/proxy/effect"
	"pgherd/proxy/query"
	"pgherd/proxy/route"
	"pgherd/proxy/statements"
	"pgherd/proxy/wire"
)

// analysis finds out what a statement does to its session, by its text and by the catalog.
type analysis struct {
	clientState
	knowledge
	inquiry
}

// knowledge is what a session's statements are judged by, and what may have to be judged
// again.
type knowledge struct {
	entry       *catalog.Entry // what is known of its database; nil if that is not needed
	syntax      query.Syntax   // how the client's SQL is read now
	judged      judged
	redo        redo        // what may have to be judged again
	definitions definitions // the definitions of the open transaction
	watches     bool        // statements are only watched for what outlasts DISCARD ALL; see watched.go
	spoils      bool        // one of them may have left that, so the server is closed in the end
}

// judged is the script that was judged last, what it was judged by, and the outcome.
type judged struct {
	script  *query.Script
	known   *catalog.Snapshot
	lasting bool // effect.Judge.Lasting
	effect  effect.Effect
}

// readScript parses the SQL of the request at hand.
func (s *analysis) readScript(m *wire.Message) (err error) {
	s.script, err = s.read(m)
	return err
}

// read is the script of a Query or Parse; nil if that is too long to look into.
func (s *analysis) read(m *wire.Message) (script *query.Script, err error) {
	sql, ok := statementText(m)
	if !ok {
		return nil, nil
	}
	return s.readText(sql)
}

// readText is read for a text whose bytes are valid only during the call.
func (s *analysis) readText(sql []byte) (*query.Script, error) {
	if script, known := s.set.Statements.Shaped(sql, s.syntax); known {
		return script, nil
	}
	return s.parseNew(bytes.Clone(sql))
}

// parseNew parses a text that is not cached, off the worker's thread.
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

// effect is what a script does to the session, by the catalog as it is known now.
func (s *analysis) effect(script *query.Script) *effect.Effect {
	if script == nil {
		return effect.TooLong(s.judge())
	}
	if by := s.judge(); script != s.judged.script || by.Known != s.judged.known || by.Lasting != s.judged.lasting {
		s.judged = judged{script, by.Known, by.Lasting, effect.Of(script, by)}
	}
	return &s.judged.effect
}

// onlyReads says that a text is known to do nothing but read, wherever it runs.
func (s *analysis) onlyReads(script *query.Script) bool {
	if script == nil || script.Unknown() || len(script.Statements) == 0 {
		return false
	}
	for i := range script.Statements {
		if st := &script.Statements[i]; st.Class != query.Read && st.Kind != query.Show {
			return false
		}
	}
	return !s.mayWriteNow(script)
}

// mayWriteNow is mayWrite for a text that has run already. What it calls may have been
// defined anew since the catalog was asked for, and before it ran.
func (s *analysis) mayWriteNow(script *query.Script) bool {
	if s.mayWrite(script) {
		return true
	}
	if s.entry == nil || script == nil {
		return false
	}
	_, asOf := s.entry.Present()
	return s.entry.Concerning(script, asOf, nil) > 0
}

// mayWrite says that a text may change data: all that is not known to do nothing but read,
// or to change its session only.
func (s *analysis) mayWrite(script *query.Script) bool {
	r, rules := route.Request{Script: script}, &route.Settings{}
	if s.entry != nil {
		r.Catalog = s.entry.Snapshot().Placing()
	}
	if s.set.Routing != nil {
		rules = &s.set.Routing.Rules
	}
	return route.MayWrite(&r, rules)
}

// judge is what names in SQL are judged by now.
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

// bound is the portal, the statement's name and the statement of a Bind; st is nil if the
// client has no statement of that name.
func (h *holdings) bound(m *wire.Message) (portal, name []byte, st *statements.Statement) {
	portal, name, ok := wire.BindNames(m.Body())
	if !ok {
		return nil, nil, nil
	}
	return portal, name, h.statements.Find(name)
}

// addRuns adds to an effect what the statements of SQL PREPARE do that the request executes.
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

// lookAhead looks at a Parse on an exposed server, where the Bind is not analyzed, for what
// outlasts DISCARD ALL.
func (s *analysis) lookAhead() {
	if s.exposed && s.server != nil && s.effect(s.script).Has(effect.Spoils) {
		s.server.Retire(s.loop.Now())
	}
}
