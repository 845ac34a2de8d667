package session

import (
	"fmt"
	"strconv"

	"pgherd/proxy/catalog"
	"pgherd/proxy/command"
	"pgherd/proxy/nodes"
	"pgherd/proxy/query"
	"pgherd/proxy/route"
	"pgherd/proxy/wire"
)

// explainRoute is EXPLAIN ROUTE. It says where a statement would go if it were sent now, as a
// Query of its own, and why. It does not run the statement, and leaves the session as it is.
type explainRoute struct {
	session *Session
	sql     []byte
	verbose bool // rules that do not apply are shown, too
}

func (explainRoute) Columns() []string { return []string{"step", "rule", "answer", "reason"} }

func (explainRoute) Tag(int) string { return "EXPLAIN" }

func (explainRoute) Waits() bool { return true }

// Run runs on the session's coroutine, unlike that of other commands.
func (c explainRoute) Run(*command.Asker) ([][]string, error) {
	s := c.session
	if err := s.partAhead(wire.Query); err != nil { // as before the statement itself
		return nil, err
	}
	if err := s.inform(); err != nil {
		return nil, err
	}
	script, err := s.readText(c.sql)
	switch {
	case err != nil:
		return nil, err
	case !script.Unknown() && len(script.Statements) == 0:
		return nil, &wire.Fault{Severity: "ERROR", Code: "42601", Message: "EXPLAIN ROUTE needs a statement"}
	}
	e := explanation{Session: s, verbose: c.verbose}
	e.whole(c.sql, script)
	return e.rows, nil
}

// inform asks for the catalog if that is due, so that the explanation is about the database as it
// is now. Inside of a transaction it does not ask.
func (s *Session) inform() error {
	e, now := s.entry, s.loop.Now()
	if !s.routes() || s.away || s.primary() < 0 || s.asking != nil || s.status != wire.Idle || !e.Due(now) && !e.Partial() && !e.Stale() {
		return nil
	}
	ticket, mine := e.Claim(now, s.set.CatalogCheck, true)
	if !mine { // another session is asking
		return nil
	}
	err := s.askNow(func() catalog.Ticket { return ticket })
	s.part()
	return err
}

// explanation collects the rows of the answer to an EXPLAIN ROUTE.
type explanation struct {
	*Session
	verbose bool
	rows    [][]string
}

// add adds a row.
func (e *explanation) add(rule, answer, reason string) {
	e.rows = append(e.rows, []string{strconv.Itoa(len(e.rows) + 1), rule, answer, reason})
}

// end adds the last row, which says where the statement goes.
func (e *explanation) end(answer, reason string) { e.add("route", answer, reason) }

// whole adds all rows.
func (e *explanation) whole(sql []byte, script *query.Script) {
	e.state()
	if _, ours := e.find(sql); ours {
		e.end("pgherd", "pgherd answers it itself")
		return
	}
	if !e.routes() {
		e.add("load_balance_mode", "primary", e.unrouted())
		e.to(e.primary(), "everything goes there")
		return
	}
	e.basis = e.present()
	e.basis.script = script
	refused := e.check(e.effect(script))
	r := route.Request{Script: script, Text: sql, Catalog: e.entry.Snapshot().Placing()}
	e.findSignal(&wire.Message{Kind: wire.Query}, &r)
	d := e.decide(&r)
	steps, _ := route.Explain(&r, &e.set.Routing.Rules)
	if refused == nil {
		refused = e.refusedAway(d)
	}
	e.upcoming = nil
	for _, step := range steps {
		e.step(step)
	}
	if !e.answered(script, d, refused) {
		e.node(d)
	}
}

// state adds the row about the session's transaction.
func (e *explanation) state() {
	state, why := "idle", "no transaction is open"
	switch {
	case e.status == wire.Failed:
		state, why = "failed", "its transaction is to be rolled back"
	case e.status != wire.Idle && e.server == nil:
		state, why = "in_transaction", "BEGIN is held back until a statement says where the transaction belongs"
	case e.status != wire.Idle:
		state, why = "in_transaction", "on "+e.label(e.server.Key.Node)
	case e.server != nil:
		why = "it has a server of " + e.label(e.server.Key.Node)
	}
	if pin := e.tracker.Pinned(); pin != "" {
		why += "; it keeps its server on the primary: " + pin
	}
	e.add("transaction state", state, why)
}

// unrouted is the reason why no statement leaves the primary.
func (e *explanation) unrouted() string {
	switch {
	case e.who.Target.Replication:
		return "it is a replication connection"
	case e.set.Routing == nil:
		return "it is off, or there is only one node"
	}
	return "nothing is known of the database"
}

// step adds the row of one rule.
func (e *explanation) step(step route.Step) {
	d := step.Decision
	switch d.Where {
	case route.Undecided:
		if e.verbose {
			e.add(step.Rule, "-", "")
		}
	case route.Node, route.Process:
		e.add(step.Rule, "node "+strconv.Itoa(d.Index), d.Why)
	default:
		e.add(step.Rule, d.Where.String(), d.Why)
	}
}

// answered adds the last row of a statement that is not sent to any node. It is false for a
// statement that is sent.
func (e *explanation) answered(script *query.Script, d route.Decision, refused error) bool {
	switch {
	case refused != nil:
		e.end("error", refused.Error())
	case e.server == nil && d.Rule != "hint" && script.Begins() && e.canHold():
		e.end("held back", "the first statement of its transaction will say where that belongs")
	case e.server != nil || e.status == wire.Idle:
		return false
	case script.Ends():
		e.end("pgherd", "no node has heard of its transaction")
	case e.status == wire.Failed && !script.Recovers() && !script.EndsFirst():
		e.end("error", aborted.Message)
	default:
		return false
	}
	return true
}

// node adds the last row of a statement that is sent to a node.
func (e *explanation) node(d route.Decision) {
	reads := d.Where == route.Anywhere || d.Where == route.Node
	switch {
	case e.server != nil && e.away && d.Where == route.Primary:
		e.to(e.primary(), fmt.Sprintf("its transaction leaves node %d, where it has only read", e.server.Key.Node))
	case d.Where == route.Process:
		e.to(d.Index, d.Why)
	case e.server != nil && !e.misses(d):
		e.to(e.server.Key.Node, "its server is there")
	case reads:
		e.choice(d)
	default:
		e.to(e.primary(), "by the rule "+d.Rule)
	}
}

// to adds the last row for a node; -1 if there is no such node.
func (e *explanation) to(node int, why string) {
	if node < 0 {
		e.end("error", "no primary node is available")
		return
	}
	if e.server == nil && e.begun != nil {
		why += "; its BEGIN is sent there before"
	}
	e.end("node "+strconv.Itoa(node), why)
}

// choice adds rows for the nodes to which a read may go, and for the one that is chosen.
func (e *explanation) choice(d route.Decision) {
	chance, ratio, reads := e.chance, e.ratio, e.reads
	now := e.chooseNow(d)
	e.chance, e.ratio, e.reads = chance, ratio, reads
	position := e.position()
	e.consistency(position)
	for i := range e.loop.Nodes().Nodes {
		if n := &e.loop.Nodes().Nodes[i]; d.Where == route.Anywhere || n.Index == d.Index {
			e.candidate(n, position)
		}
	}
	if now.stale {
		e.add("read_consistency_wait", "wait", fmt.Sprintf("up to %v for one of them; then it goes to the primary", e.set.Routing.ConsistencyWait))
	}
	switch {
	case now.stale:
		e.to(now.node, "if no standby that it could go to has replayed by then what it has to see")
	case d.Where == route.Node && now.node == d.Index:
		e.to(now.node, "its hint names it")
	case d.Where == route.Anywhere && e.set.Routing.PerStatement:
		e.to(now.node, now.why+"; a node is chosen for each read, so the next may get another")
	default:
		e.to(now.node, now.why)
	}
}

// consistency adds the row that says how far a standby has to have replayed.
func (e *explanation) consistency(position uint64) {
	name := "read_consistency"
	answer := e.set.Routing.Consistency.String()
	switch position {
	case 0:
		e.add(name, answer, "every standby has what the read has to see")
	case unknowable:
		e.add(name, answer, "a write has ended of which the position is not known yet")
	default:
		e.add(name, answer, "the read has to see all up to "+route.Position(position))
	}
}

// candidate adds the row of one node.
func (e *explanation) candidate(n *nodes.Node, position uint64) {
	for _, c := range e.loop.Candidates() {
		if c.Index != n.Index {
			continue
		}
		fit, why := e.set.Routing.Balance.Describe(c, e.whom(), position)
		answer := "no"
		if fit {
			answer = "yes"
		}
		e.add("candidate node "+strconv.Itoa(n.Index), answer, why)
		return
	}
	e.add("candidate node "+strconv.Itoa(n.Index), "no", n.Role.String()+", "+n.Status.String()+": it is not in use")
}

// label is the text for a node with its role.
func (e *explanation) label(node int) string {
	role := nodes.Unknown
	if n := e.loop.Nodes().Node(node); n != nil {
		role = n.Role
	}
	return fmt.Sprintf("node %d (%v)", node, role)
}
