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

// analyze finds out what a request will do to the session, if servers are shared between
// transactions. record notes it later, once there is a server for the request.
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
	case wire.Parse: // it runs nothing yet
		if err := s.readScript(m); err != nil {
			return refuseFor(err)
		}
		if !m.Last { // the server will have the statement under the client's own name
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

// analyzeQuery analyzes a Query. It answers a DEALLOCATE of a statement of the client's itself.
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
	if name := s.closing(s.script); name != "" && !s.exposed && s.status != wire.Failed && !s.expect.InExtended() {
		s.statements.Drop(name)
		s.answer(wire.AppendCommandComplete(nil, "DEALLOCATE"), true)
		return handled
	}
	return refuseFor(s.check(e))
}

// analyzeBind analyzes a Bind, as if the statement ran at once.
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
		if len(e.Changes) > 0 && len(portal) > 0 { // named portals may be executed in another order
			asked := *e
			asked.Add(effect.Ask)
			e = &asked
		}
		return s.check(e)
	case s.tracker.Runs[string(name)] != nil: // a statement of SQL PREPARE
		return s.check(effect.Execute(string(name)))
	}
	return nil
}

// quiet waits, before a request that has to be judged, until what it is judged by is known.
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

// inTemporary says that under this search_path an object that is made without a schema may be
// made in the session's temporary schema.
func inTemporary(path string) bool {
	return path != "" && strings.Contains(strings.ToLower(path), "pg_temp")
}

// check refuses a request whose effect is not possible in this pool mode or needs too much
// memory. If it does not, record notes the effect once there is a server for the request.
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

// mixes adds to the effect of SQL that names statements which the client has prepared in the
// extended protocol. They then have to be on the server under the client's own names.
func (s *Session) mixes(e *effect.Effect) *effect.Effect {
	if s.exposed || len(e.Runs)+len(e.Prepares)+len(e.Closes) == 0 && !s.deallocatesUnseen(e) {
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

// deallocatesUnseen says that the request at hand may deallocate what the client has prepared by
// code that pgherd does not analyze. Its text then has DEALLOCATE or DISCARD ALL in it.
func (s *Session) deallocatesUnseen(e *effect.Effect) bool {
	if !e.Has(effect.Ask) || len(s.statements.All()) == 0 || s.basis.script == nil {
		return false
	}
	unseen := func(st query.Statement) bool { return st.Effects.Has(query.UnknownFunction | query.AnonymousCode) }
	return slices.ContainsFunc(s.basis.script.Statements, unseen) && deallocating.MatchString(s.basis.script.Text)
}

var deallocating = regexp.MustCompile(`(?i)\bdeallocate\b|\bdiscard\s+all\b`)

// ours says that a name looks like those that pgherd gives to statements.
func ours[T ~string | ~[]byte](name T) bool {
	return strings.HasPrefix(string(name), pool.PreparedPrefix)
}

// foreign is the error for a client that uses the name of a statement of pgherd's, which another
// client may have prepared. The client is told that there is no such statement.
func (h *holdings) foreign(name []byte) error {
	if h.exposed || !ours(name) || h.statements.Named(string(name)) != nil {
		return nil
	}
	return &wire.Fault{Severity: "ERROR", Code: "26000", Message: `prepared statement "` + string(name) + `" does not exist`}
}

// record notes what the request at hand will do to the session and its server.
func (s *Session) record(kind wire.Kind) error {
	if s.follows && s.outside() { // the request begins another transaction
		if s.tracker.Certain() {
			s.commit()
		} else {
			s.tracker.Doubt()
		}
		s.tracker.Begin()
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
	if e.Has(effect.Reveals) && !s.exposed && s.status != wire.Failed {
		s.expose(kind)
	}
	return nil
}

// undraw makes the server forget what other sessions have drawn from sequences on it, before a
// statement that may call currval or lastval. From then on restore does that whenever a server of
// this database changes sessions.
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

// refused is the error for what is not possible in the pool mode.
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

// notDrawn is the error for currval and lastval in another transaction than the nextval.
func notDrawn(function string) *wire.Fault {
	why := refusal(function + " of what another transaction has drawn from a sequence")
	why.Hint = "Use INSERT ... RETURNING, or do both in one transaction, or use pool_mode = session for this user or database (pool_mode_list)."
	return why
}

// refusal is the error for what is not possible where servers are shared.
func refusal(what string) *wire.Fault {
	return &wire.Fault{Severity: "ERROR", Code: "0A000", Message: what + " is not possible where servers are shared between transactions",
		Hint: "Use pool_mode = session for this user or database (pool_mode_list), or pin_policy = pin."}
}

// functionCall is the effect of a FunctionCall, which has the number of the function.
func functionCall(m *wire.Message) *effect.Effect {
	v, err := wire.ViewFunctionCall(m.Body())
	if !m.Last || err != nil {
		return effect.Call(0)
	}
	return effect.Call(v.Function)
}
