package session

import (
	"cmp"
	"errors"
	"slices"
	"strings"
	"time"

	"pgherd/proxy/effect"
	"pgherd/proxy/expect"
	"pgherd/proxy/metrics"
	"pgherd/proxy/query"
	"pgherd/proxy/route"
	"pgherd/proxy/statements"
	"pgherd/proxy/wire"
)

// placement decides to which node a request goes, and gets a server there.
type placement struct{ signaling }

// place gets a server on the node where the request belongs, unless the session has one
// there. It answers a BEGIN that is held back.
func (s *placement) place(m *wire.Message) result {
	if !s.follows {
		return refuseFor(s.fetch(route.Decision{Where: route.Primary}))
	}
	r := &s.placed
	asks := s.asked(m, r)
	if asks {
		if err := s.aimAt(m, r); err != nil {
			return refuseFor(err)
		}
	}
	asks = asks && s.routes()
	d, sofar := s.destination(m, r, asks)
	if sofar.outcome != goOn {
		return sofar
	}
	if err := s.moveFor(r.Script, d, asks); err != nil {
		return refuseFor(err)
	}
	if s.server == nil && d.Rule != "hint" && s.holds(m, r.Script) {
		return handled
	}
	if err := s.fetch(d); err != nil {
		return refuseFor(err)
	}
	if asks && d.Where != route.Process && s.away && s.overtaken() { // definitions may have changed during the wait for the server
		if err := s.toPrimary(r.Script); err != nil {
			return refuseFor(err)
		}
	}
	s.unbind()
	s.notePlaced(m, r, asks)
	return onward
}

// unheard says that a request reads a relation that the catalog, as it is known, does not
// have.
func unheard(r *route.Request) bool {
	return r.Script != nil && slices.ContainsFunc(r.Script.Statements, func(st query.Statement) bool {
		return st.Class == query.Read && slices.ContainsFunc(st.Tables, func(t query.Relation) bool {
			return r.Catalog.Relation(t.Schema, t.Name) == route.Unheard
		})
	})
}

// toPrimary replaces the standby's server at hand by one of the primary.
func (s *placement) toPrimary(script *query.Script) error {
	primary := route.Decision{Where: route.Primary}
	if err := s.moveFor(script, primary, true); err != nil {
		return err
	}
	return s.fetch(primary)
}

// destination is where a request goes. If asks is false there is nothing to decide, and the
// request goes where the one before it went.
func (s *placement) destination(m *wire.Message, r *route.Request, asks bool) (d route.Decision, _ result) {
	if asks && s.away && (s.ended && s.stays() || r.Script.EndsFirst()) {
		if err := s.sync(); err != nil {
			return d, refuseFor(err)
		}
	}
	if asks {
		r.Catalog = s.entry.Snapshot().Placing()
	}
	if s.server == nil && s.status != wire.Idle {
		if sofar := s.withheld(m, r.Script); sofar.outcome != goOn {
			return d, sofar
		}
	}
	d.Where = route.Primary
	if asks {
		s.findSignal(m, r)
		d = s.decide(r)
		s.unheard = s.unheard || s.entry.Partial() && d.Where == route.Primary && unheard(r)
	}
	if s.begins != nil { // the server gets that BEGIN, too, and its block could not be begun again on another node
		d = route.Decision{Where: route.Primary, Rule: d.Rule}
	}
	if err := s.refusedAway(d); err != nil {
		return d, refuseFor(err)
	}
	if s.portal && (m.Kind == wire.Parse || m.Kind == wire.Describe) { // it runs nothing, and the portal may still be executed
		d.Where = route.Here
	}
	return d, onward
}

// notePlaced notes what the request at hand will do on its server.
func (s *placement) notePlaced(m *wire.Message, r *route.Request, asks bool) {
	runs := m.Kind == wire.Query || m.Kind == wire.Bind
	s.ran = s.ran || runs || m.Kind == wire.FunctionCall
	s.notePortal(m)
	if s.begun != nil {
		s.hasOnlyRead = s.hasOnlyRead && s.readsHere(m, r.Script)
	}
	if asks && !(runs && s.begun != nil && s.hasOnlyRead) { // else it was just seen that it writes nothing
		s.noteWrite(r)
	}
	if e := s.upcoming; s.away && e != nil && (len(e.Changes) > 0 || e.Has(effect.Ask)) {
		s.server.Retire(s.loop.Now()) // what is set on a standby may be impossible to take back
	}
	s.ended = s.ended || runs && r.Script.Recovers()
	if runs {
		s.loop.Count(s.server.Key.Node, counted(r.Script))
	}
}

// moveFor parts with the server at hand if the request belongs on another node. That is
// possible only on a standby, or where nothing has run. A block that was begun goes on with
// another server.
func (s *placement) moveFor(script *query.Script, d route.Decision, asks bool) error {
	switch {
	case !asks:
		return nil
	case s.away && s.failed() && s.begun != nil && !s.expect.InExtended() && (script.Chains() || script.EndsFirst()):
		return s.failAgain()
	case !(s.away && d.Where == route.Primary) && !s.misses(d):
		return nil
	}
	ran := s.away
	if err := s.moveToPrimary(); err != nil || s.server != nil || s.begun == nil {
		return err
	}
	if err := s.fetch(d); err != nil {
		return err
	}
	if ran {
		s.query("SELECT", expect.Swallow) // the block has run a query on the standby, so it does here
	}
	return nil
}

// counted is the kind of statement as which a text counts in SHOW POOL_BACKEND_STATS.
func counted(script *query.Script) metrics.Statement {
	if script == nil || len(script.Statements) == 0 {
		return metrics.Other
	}
	switch script.Statements[0].Kind {
	case query.Select, query.CopyOut:
		return metrics.Select
	case query.Insert:
		return metrics.Insert
	case query.Update:
		return metrics.Update
	case query.Delete:
		return metrics.Delete
	case query.DDL:
		return metrics.DDL
	}
	return metrics.Other
}

// partAhead parts with the server before a request that begins another transaction, so that
// the request is placed anew. It first waits until it is known what the last transaction has
// left.
func (s *placement) partAhead(kind wire.Kind) error {
	switch kind {
	case wire.Query, wire.Parse, wire.Bind, wire.Describe, wire.FunctionCall:
	default:
		return nil
	}
	if !s.routes() || s.server == nil || !s.between() {
		return nil
	}
	s.part()
	if s.asking == nil {
		return nil
	}
	if err := s.quiesce(); err != nil {
		return err
	}
	err := s.digest()
	s.part()
	return err
}

// refusedAway is the error for a request that would pin the server, in a transaction that
// has to stay on a standby.
func (s *placement) refusedAway(d route.Decision) error {
	e := s.upcoming
	if d.Where != route.Here || e == nil || e.Pins == "" && e.Keep == "" || !s.stays() {
		return nil
	}
	return &wire.Fault{Severity: "ERROR", Code: "0A000",
		Message: cmp.Or(e.Pins, e.Keep) + " is not possible in a transaction that reads on a standby",
		Hint:    "Begin it with /*NO LOAD BALANCE*/ BEGIN."}
}

// asked fills in what the rules of routing look at. It is false if the request goes where
// the one before it went.
func (s *placement) asked(m *wire.Message, r *route.Request) bool {
	switch m.Kind {
	case wire.Query, wire.Parse:
		r.Script = s.script
		r.Text, _ = statementText(m)
	case wire.Bind:
		if portal, _, st := s.bound(m); len(portal) == 0 { // a named portal is a cursor
			s.executes(st, r)
		}
	case wire.Describe:
		v, err := wire.ViewDescribe(m.Body())
		if err != nil || v.What != 'S' {
			return false
		}
		s.executes(s.statements.Find(v.Name), r)
	case wire.FunctionCall:
	default:
		return false
	}
	return true
}

// executes fills in the text of the prepared statement that a request is about. st is nil if
// the client has none of that name.
func (s *placement) executes(st *statements.Statement, r *route.Request) {
	if st == nil {
		return
	}
	r.Script = st.Script
	if s.routes() && (len(s.set.Routing.Rules.PrimaryPatterns) > 0 || route.Commented(st.Text)) {
		r.Text = []byte(st.SQL())
	}
}

// insists says that a standby would refuse the transaction in which the request is. It
// refuses a block that was begun READ WRITE and, outside of a block, a serializable
// transaction.
func (s *placement) insists() bool {
	if unquoted(s.tracker.Settings["default_transaction_isolation"]) == "serializable" {
		return true
	}
	if s.begun != nil {
		return s.begun.Statements[0].Mode.ReadOnly == query.No
	}
	level := s.isolation()
	return s.status == wire.Idle && (level == "" || level == "serializable")
}

// isolation is the level of the open block, or of a statement outside of one; "" if it is
// not known.
func (s *placement) isolation() string {
	if s.begun != nil && s.begun.Statements[0].Mode.Isolation != "" {
		return s.begun.Statements[0].Mode.Isolation
	}
	if level := s.tracker.Settings["default_transaction_isolation"]; level != "" {
		return unquoted(level)
	}
	if s.entry.Snapshot().ReadCommitted() && !strings.Contains(s.who.Target.Params, "default_transaction") {
		return "read committed"
	}
	return ""
}

func unquoted(literal string) string {
	if n := len(literal); n >= 2 && literal[0] == '\'' && literal[n-1] == '\'' {
		return literal[1 : n-1]
	}
	return literal
}

// fetch gets a server of the node that was decided on, unless there is one at hand, and
// sends it the BEGIN that was held back.
func (s *placement) fetch(d route.Decision) error {
	if s.server != nil {
		return nil
	}
	s.signalTarget = d.Where == route.Process
	if err := s.obtain(d); err != nil {
		s.signalTarget = false
		s.transaction.unserved()
		return err
	}
	s.beginAgain()
	return nil
}

// obtain gets a server of the node that was decided on. A read for which the primary was
// chosen goes elsewhere if the primary is lost meanwhile.
func (s *placement) obtain(d route.Decision) error {
	deadline := s.patience()
	for try := 1; ; try++ {
		s.roams = d.Where == route.Anywhere && s.set.FailoverWait > 0
		err := s.obtainChosen(d, deadline)
		s.roams = false
		if err == errRoams && try > 1 { // no node at all is known to be there
			err = s.awaitNodes(deadline)
		}
		if err != nil && err != errRoams {
			return err
		}
		if s.server != nil {
			return nil
		}
	}
}

// obtainChosen gets a server of the node that is chosen now. A read that gets none on a
// standby gets one of the primary, which is also asked first whether the log-in is still good: a
// standby may lag behind.
func (s *placement) obtainChosen(d route.Decision, deadline time.Time) error {
	if s.unproved && !s.headless() {
		return s.checkOutCurrentPrimary(deadline)
	}
	node, err := s.choose(d)
	switch {
	case err != nil:
		return err
	case node == s.primary(), s.unproved && !s.tells(node):
		return s.checkOutCurrentPrimary(deadline)
	}
	err = s.checkOut(node)
	s.roams = s.roams && !(s.unproved && barred(err)) // the primary has the last word
	if s.lostEarly(err) && d.Where != route.Process {
		return s.checkOutCurrentPrimary(deadline)
	}
	if s.parked != nil && elsewhere(err) {
		s.stayParked = s.loop.Now().Add(parkedStay)
	}
	if _, paused := errors.AsType[inPause](err); paused && s.parked == nil { // nobody gets one on another node, either
		return err
	}
	if d.Where != route.Process && (elsewhere(err) || s.unfit(err) || err == nil && s.restarted()) {
		return s.checkOutCurrentPrimary(deadline)
	}
	return err
}

// checkOutCurrentPrimary gets a server of the primary. Another node may have become the primary
// while the session waited; then it tries again there.
func (s *placement) checkOutCurrentPrimary(deadline time.Time) error {
	for range rolesTries {
		if err := s.checkOutPrimary(deadline); err != nil || s.server.Key.Node == s.primary() {
			return err
		}
		if err := s.relayUntil(s.expect.Empty); err != nil {
			return err
		}
		s.giveUp()
	}
	return noPrimary("Another node became the primary each time that a server was there.")
}

// rolesTries is how often a request waits for a server of the primary, if the primary
// changes meanwhile.
const rolesTries = 3

// beginAgain sends the BEGIN of the open block to the server at hand, if that BEGIN was held
// back.
func (s *placement) beginAgain() {
	if s.begun != nil {
		s.waits = true
		s.tellOwn(s.begun.Text)
		s.query(s.begun.Text, expect.Restore)
		s.resume()
	}
}

// noteWrite notes whether a request that goes to the primary may write.
func (s *placement) noteWrite(r *route.Request) {
	if s.wrote || s.away {
		return
	}
	s.wrote = route.MayWrite(r, &s.set.Routing.Rules)
	if s.wrote {
		s.ever, s.blocks = true, s.blocks || s.status != wire.Idle
	}
}

// appear gets a server for a session to whose client another client sends a signal.
// A block that has failed, or that was lost, has none, and is not to begin again.
func (s *placement) appear() error {
	if s.bereaved || s.status == wire.Failed {
		s.summoned = false
		return nil
	}
	before := s.status
	err := s.fetch(route.Decision{Where: route.Primary})
	if err == nil {
		return s.relayUntil(s.expect.Empty)
	}
	s.summoned = false
	s.transaction.enter(before)
	if scarce(err) {
		return nil // the signal is lost, and the client notices nothing
	}
	return err
}
