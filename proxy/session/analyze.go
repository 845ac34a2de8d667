package session

import (
	"cmp"
	"maps"
	"regexp"
	"slices"
	"strings"

	"pgherd/proxy/effect"
	"pgherd/proxy/pool"
	"pgherd/proxy/query"
	"pgherd/proxy/wire"
)

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
		s.statements.Drop(name)
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
	case st != nil && st.Closes != "":
		return s.check(&effect.Effect{})
	case st != nil:
		s.basis.script = st.Script
		e := s.effect(st.Script)
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

// inTemporary says that a search_path may have what is made by a plain name land in
// the session's temporary schema.
func inTemporary(path string) bool {
	return path != "" && strings.Contains(strings.ToLower(path), "pg_temp")
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

// mixes: SQL that names what the client has prepared in the extended protocol
// needs it under the client's own name.
func (s *Session) mixes(e *effect.Effect) *effect.Effect {
	if s.plain || len(e.Runs)+len(e.Prepares)+len(e.Closes) == 0 && !s.deallocatesUnseen(e) {
		return e
	}
	names := slices.Concat(e.Runs, slices.Collect(maps.Keys(e.Prepares)), e.Closes)
	if !s.deallocatesUnseen(e) && !slices.ContainsFunc(names, func(name string) bool { return s.statements.Named(name) != nil || ours(name) }) {
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
	if !e.Has(effect.Ask) || len(s.statements.All()) == 0 || s.basis.script == nil {
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
func (h *holdings) foreign(name []byte) error {
	if h.plain || !ours(name) || h.statements.Named(string(name)) != nil {
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
