package session

import (
	"bytes"
	"cmp"
	"maps"
	"regexp"
	"slices"
	"strings"

	"pgherd/proxy/catalog"
	"pgherd/proxy/effect"
	"pgherd/proxy/pool"
	"pgherd/proxy/query"
	"pgherd/proxy/wire"
)

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

// analyze finds out what a request does to the session, where servers are shared
// between transactions, and takes it down.
func (s *Session) analyze(m *wire.Message) result {
	s.basis = s.present()
	if !s.follows || s.expect.Skipping {
		return refuseFor(s.observeText(m))
	}
	if err := s.quiet(m.Kind); err != nil {
		return refuseFor(err)
	}
	switch m.Kind {
	case wire.FunctionCall:
		return refuseFor(s.check(functionCall(m)))
	case wire.Query:
		return s.analyzeQuery(m)
	case wire.Parse: // runs nothing yet
		if err := s.readScript(m); err != nil {
			return refuseFor(err)
		}
		if !m.Last { // it will be on the server by the client's own name
			return refuseFor(s.check(effect.TooLong(s.judge())))
		}
		s.lookAhead()
		return handledIf(s.server == nil && s.prepareAhead(m))
	case wire.Bind:
		return refuseFor(s.analyzeBind(m))
	case wire.Describe:
		if v, err := wire.ViewDescribe(m.Body()); err == nil && v.What == 'S' {
			return refuseFor(s.foreign(v.Name))
		}
	case wire.Close:
		if v, err := wire.ViewClose(m.Body()); err == nil && v.What == 'S' && s.foreign(v.Name) != nil {
			s.answer(wire.AppendCloseComplete(nil), false)
			return handled
		}
	}
	return onward
}

func (s *Session) analyzeQuery(m *wire.Message) result {
	if err := s.readScript(m); err != nil {
		return refuseFor(err)
	}
	s.basis.script = s.script
	e := s.effect(s.script)
	if len(e.Closes) > 0 {
		if err := s.known(); err != nil {
			return refuseFor(err)
		}
	}
	if name := s.closing(s.script); name != "" && !s.plain && s.status != wire.Failed && !s.expect.InExtended() {
		s.dropStatement(name)
		s.answer(wire.AppendCommandComplete(nil, "DEALLOCATE"), true)
		return handled
	}
	return refuseFor(s.check(e))
}

func (s *Session) analyzeBind(m *wire.Message) error {
	portal, name, st := s.bound(m)
	if err := s.foreign(name); st == nil && err != nil {
		return err
	}
	switch {
	case st != nil && st.closes != "":
		return s.check(&effect.Effect{})
	case st != nil:
		s.basis.script = st.script
		e := s.effect(st.script)
		if len(e.Changes) > 0 && len(portal) > 0 { // portals may run in another order
			asked := *e
			asked.Add(effect.Ask)
			e = &asked
		}
		return s.check(e)
	case s.tracker.Runs[string(name)] != nil: // prepared in SQL
		return s.check(effect.Execute(string(name)))
	}
	return nil
}

// readScript has the script of the request at hand read.
func (s *Session) readScript(m *wire.Message) (err error) {
	s.script, err = s.read(m)
	return err
}

// quiet waits, before a request that has to be judged, until what it will be
// judged by is known.
func (s *Session) quiet(kind wire.Kind) error {
	switch kind {
	case wire.Query, wire.Parse, wire.Bind, wire.Describe, wire.FunctionCall:
	default:
		return nil
	}
	if s.asking != nil || s.tracker.Alone {
		s.tracker.Alone = false
		if err := s.quiesce(); err != nil {
			return err
		}
	}
	return s.digest()
}

// read is what a Query or Parse holds; nil if it is too long to look into.
func (s *Session) read(m *wire.Message) (script *query.Script, err error) {
	sql, ok := statementText(m)
	if !ok {
		return nil, nil
	}
	return s.readText(sql)
}

// readText is read for a text, of which nobody keeps anything.
func (s *Session) readText(sql []byte) (*query.Script, error) {
	if script, known := s.set.Statements.Shaped(sql, s.syntax); known {
		return script, nil
	}
	return s.parseNew(bytes.Clone(sql))
}

// parseNew is read for a text that is not known yet.
func (s *Session) parseNew(sql []byte) (script *query.Script, err error) {
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
func (s *Session) effect(script *query.Script) *effect.Effect {
	if script == nil {
		return effect.TooLong(s.judge())
	}
	if by := s.judge(); script != s.judged.script || by.Known != s.judged.known || by.Lasting != s.judged.lasting {
		s.judged = judged{script, by.Known, by.Lasting, effect.Of(script, by)}
	}
	return &s.judged.effect
}

func (s *Session) judge() effect.Judge {
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

// inTemporary says that a search_path may have what is made by a plain name land in
// the session's temporary schema.
func inTemporary(path string) bool {
	return path != "" && strings.Contains(strings.ToLower(path), "pg_temp")
}

// bound is the portal, the name and the statement of a Bind; nil: the client
// has no statement of that name.
func (s *Session) bound(m *wire.Message) (portal, name []byte, st *statement) {
	portal, name, ok := wire.BindNames(m.Body())
	if !ok {
		return nil, nil, nil
	}
	return portal, name, s.statementOf(name)
}

// statementOf is the client's statement of that name; nil: it has none.
func (s *Session) statementOf(name []byte) *statement {
	if len(name) == 0 {
		return s.unnamed
	}
	return s.statements[string(name)]
}

// check finds out whether what a request will do is refused; else record takes
// it down once there is a server for it.
func (s *Session) check(e *effect.Effect) error {
	if len(e.Runs) > 0 {
		whole := *e
		e = &whole
		whole.Changes, whole.Names = slices.Clone(e.Changes), slices.Clone(e.Names)
	}
	e = s.mixes(e)
	s.addRuns(e)
	if n := s.tracker.Adds(e); n > 0 {
		if why := s.room(n); why != nil {
			return why
		}
	}
	s.upcoming = e
	return s.refused(e)
}

// addRuns adds what the statements of SQL PREPARE do that a request executes.
func (s *Session) addRuns(e *effect.Effect) {
	for _, name := range e.Runs {
		runs := slices.Concat(s.tracker.Runs[name], e.Prepares[name])
		e.AddIf(effect.Ask, len(runs) == 0)
		for _, inner := range runs {
			e.Include(inner, s.judge())
		}
	}
}

// mixes: SQL that names what the client has prepared in the extended protocol
// needs it under the client's own name.
func (s *Session) mixes(e *effect.Effect) *effect.Effect {
	if s.plain || len(e.Runs)+len(e.Prepares)+len(e.Closes) == 0 && !s.deallocatesUnseen(e) {
		return e
	}
	names := slices.Concat(e.Runs, slices.Collect(maps.Keys(e.Prepares)), e.Closes)
	if !s.deallocatesUnseen(e) && !slices.ContainsFunc(names, func(name string) bool { return s.statements[name] != nil || ours(name) }) {
		return e
	}
	whole := *e
	whole.Add(effect.Reveals)
	whole.KeepFor("SQL named a statement of the extended protocol")
	return &whole
}

// deallocatesUnseen says that the request at hand may have code that pgherd does not look
// into take away what the client has prepared: its text has the word.
func (s *Session) deallocatesUnseen(e *effect.Effect) bool {
	if !e.Has(effect.Ask) || len(s.statements) == 0 || s.basis.script == nil {
		return false
	}
	unseen := func(st query.Statement) bool { return st.Effects.Has(query.UnknownFunction | query.AnonymousCode) }
	return slices.ContainsFunc(s.basis.script.Statements, unseen) && deallocating.MatchString(s.basis.script.Text)
}

var deallocating = regexp.MustCompile(`(?i)\bdeallocate\b|\bdiscard\s+all\b`)

// ours says that a name is like those that pgherd gives to statements.
func ours[T ~string | ~[]byte](name T) bool {
	return strings.HasPrefix(string(name), pool.PreparedPrefix)
}

// foreign: a client that names a statement of pgherd's is told that there is
// none; another client may have prepared it.
func (s *Session) foreign(name []byte) error {
	if s.plain || !ours(name) || s.statements[string(name)] != nil {
		return nil
	}
	return &wire.Fault{Severity: "ERROR", Code: "26000", Message: `prepared statement "` + string(name) + `" does not exist`}
}

// record notes what the request at hand will do.
func (s *Session) record(kind wire.Kind) error {
	if s.follows && s.outside() { // what follows is another transaction
		if s.tracker.Certain() {
			s.commit()
		} else {
			s.tracker.Doubt()
		}
	}
	defer s.announce(kind)
	e := s.upcoming
	s.upcoming = nil
	if e == nil {
		return nil
	}
	if e.Has(effect.Suspect) {
		if err := s.quiesce(); err != nil {
			return err
		}
	}
	s.noteRun(e)
	s.undraw(kind, e)
	s.tracker.Note(e, s.expect.Empty())
	s.drawn = s.drawn || e.Has(effect.Drawn)
	s.waits = s.waits || e.Has(effect.Stays)
	s.server.Drawn = s.server.Drawn || e.Has(effect.Drawn)
	if e.Has(effect.Sends) {
		s.server.Clients.Notifies()
	}
	if e.Has(effect.Spoils) {
		s.server.Retire(s.loop.Now())
	}
	if e.Has(effect.Reveals) && !s.plain && s.status != wire.Failed {
		s.expose(kind)
	}
	return nil
}

// undraw takes back what others have drawn from sequences on the server at hand, before
// a statement that may read what its session has drawn. From then on that is done
// whenever a server changes sessions.
func (s *Session) undraw(kind wire.Kind, e *effect.Effect) {
	if !e.Has(effect.Recalls|effect.Peeks) || s.entry == nil {
		return
	}
	s.entry.Draw()
	if s.server.Drawn && !s.server.Used && !s.drawn && s.status != wire.Failed {
		s.server.Drawn = false
		s.aside(kind, pool.DiscardSequences)
	}
}

// refused says what the mode cannot do.
func (s *Session) refused(e *effect.Effect) error {
	f := &s.tracker
	switch {
	case e.Has(effect.Begin) && s.mode == pool.Statement:
		return &wire.Fault{Severity: "ERROR", Code: "0A000", Message: "explicit transactions are not allowed in pool_mode = statement",
			Hint: "Use pool_mode = transaction, or session."}
	case e.Has(effect.Recalls) && s.mode != pool.Session && f.Pinned() == "" && !s.drawn && !e.Has(effect.Drawn):
		return notDrawn(e.Recalled)
	case s.set.RefusePins && s.mode != pool.Session && f.Pinned() == "" && !e.Has(effect.Suspect) && (e.Pins != "" || e.Keep != ""):
		return refusal(cmp.Or(e.Pins, e.Keep))
	}
	return nil
}

// notDrawn is the error for currval and lastval in another transaction than the
// nextval.
func notDrawn(function string) *wire.Fault {
	why := refusal(function + " of what another transaction has drawn from a sequence")
	why.Hint = "Use INSERT ... RETURNING, or do both in one transaction, or use pool_mode = session for this user or database (pool_mode_list)."
	return why
}

// refusal is the error for what cannot be had where servers are shared.
func refusal(what string) *wire.Fault {
	return &wire.Fault{Severity: "ERROR", Code: "0A000", Message: what + " is not possible where servers are shared between transactions",
		Hint: "Use pool_mode = session for this user or database (pool_mode_list), or pin_policy = pin."}
}

// functionCall judges the call of a function by its number.
func functionCall(m *wire.Message) *effect.Effect {
	v, err := wire.ViewFunctionCall(m.Body())
	if !m.Last || err != nil {
		return effect.Call(0)
	}
	return effect.Call(v.Function)
}
