package worker

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"pgherd/proxy/wire"
)

// postgres is a model of PostgreSQL. It is deterministic, so that a client can run one of its own and
// knows every byte that it must get from pgherd. Statements read "ID VERB [ARGUMENT]", in which ID is
// the client's number.
type postgres struct {
	out      []byte
	cut      wire.Cutter
	whole    []byte // collects a message that comes in pieces
	status   byte
	skipping bool
	copying  bool
	extended bool     // the copy began in the extended protocol
	now      settings // the settings in force
	lasting  settings // those without SET LOCAL
	before   settings // those at the beginning of the transaction
	reported string   // the style in the last ParameterStatus; param is not reported
	stmts    map[string]parsed
	portals  map[string]parsed
	temp     bool    // it has a temporary object
	was      simHeld // what it held at the end of its last transaction
	owner    int     // the client whose session state it holds; 0: none's
	marked   bool
	standby  bool // it takes no writes
	pid      uint32
	broken   bool // an error came since the last ReadyForQuery
	// failedInside says that the transaction that has just ended could only be rolled back.
	failedInside bool
	inside       int  // the client whose transaction it is in; 0: none's
	bare         bool // the transaction was begun by a BEGIN of pgherd's own
	database     *simDatabase
	defining     *bool       // what the open transaction has defined RUN to do; nil: nothing
	secret       int         // the client whose state it holds for which it cannot be asked; 0: none's
	hiding       int         // the same in the open transaction
	fault        string      // a request that no server of pgherd's may ever get
	written      []string    // rows written in the open transaction
	dies         func() bool // called after each message, says whether it ends; nil: never
	last         wire.Kind   // the message that was handled last
	dead         bool
	letIn
}

// settings are those of a session. A statement is run under the style that was in force when it was
// parsed.
type settings struct{ param, style string }

var untouched = settings{"0", "0"}

// with returns the settings with one of them changed.
func (s settings) with(name, value string) settings {
	if name == "datestyle" {
		s.style = value
	} else {
		s.param = value
	}
	return s
}

// parsed is a statement, with the style under which it was parsed.
type parsed struct{ sql, style string }

// newPostgres makes a model. If it is marked, any statement makes it hold a client's state; otherwise
// only statements that change the session do.
func newPostgres(marked bool) *postgres {
	return &postgres{marked: marked, cut: wire.CutRequests(), status: wire.Idle, now: untouched, lasting: untouched, before: untouched, reported: "0",
		stmts: map[string]parsed{}, portals: map[string]parsed{}, database: new(simDatabase)}
}

// feed gives it what a client has sent. over says that it has got a Terminate.
func (p *postgres) feed(b []byte) (over bool) {
	for len(b) > 0 {
		m, rest, err := p.cut.Next(b)
		if err != nil {
			p.fault = err.Error()
			return true
		}
		b = rest
		if m.Kind == wire.Terminate {
			return true
		}
		p.whole = append(p.whole, m.Bytes...)
		if m.Last {
			m.Bytes, p.whole = p.whole, nil
			p.last = m.Kind
			if p.handle(m); p.dies != nil && p.dies() {
				p.dead = true
				return true
			}
		}
	}
	return false
}

func (p *postgres) handle(m wire.Message) {
	if *simTrace && p.pid != 0 {
		fmt.Printf("server %d, standby %v, %c: %v %q\n", p.pid, p.standby, p.status, m.Kind, m.Body())
	}
	switch {
	case p.copying:
		p.copy(m)
	case p.skipping && m.Kind != wire.Sync:
	case m.Kind == wire.Query:
		v, _ := wire.ViewQuery(m.Body())
		p.simple(string(v.SQL))
	case m.Kind == wire.Sync:
		p.skipping = false
		p.ready()
	case m.Kind == wire.FunctionCall:
		if p.status == wire.Failed {
			p.fail()
			p.skipping = false
		} else {
			p.out = wire.AppendFunctionCallResponse(p.out, []byte("called"))
		}
		p.ready()
	default:
		p.step(m)
	}
}

// step handles a message of the extended protocol.
func (p *postgres) step(m wire.Message) {
	switch m.Kind {
	case wire.Parse:
		v, _ := wire.ViewParse(m.Body())
		if p.status == wire.Failed && !ends(string(v.SQL)) {
			p.fail()
			return
		}
		if _, taken := p.stmts[string(v.Name)]; taken && len(v.Name) > 0 {
			p.out = wire.AppendError(p.out, &wire.Fault{Severity: "ERROR", Code: "42P05",
				Message: `prepared statement "` + string(v.Name) + `" already exists`})
			p.failed()
			return
		}
		if strings.Contains(string(v.SQL), "PARSEERR") {
			if len(v.Name) == 0 {
				delete(p.stmts, "")
			}
			p.fail()
			return
		}
		p.stmts[string(v.Name)] = parsed{string(v.SQL), p.now.style}
		p.belong(string(v.SQL))
		if id, _ := strconv.Atoi(strings.Fields(string(v.SQL) + " 0")[0]); id != 0 {
			p.inside = id // until the Sync
		}
		p.out = wire.AppendParseComplete(p.out)
	case wire.Bind:
		v, _ := wire.ViewBind(m.Body())
		st, ok := p.stmts[string(v.Statement)]
		if !ok || p.status == wire.Failed && !ends(st.sql) {
			p.fail()
			return
		}
		p.portals[string(v.Portal)] = st
		p.out = wire.AppendBindComplete(p.out)
	case wire.Describe:
		if v, _ := wire.ViewDescribe(m.Body()); v.What == 'S' {
			if st, ok := p.stmts[string(v.Name)]; !ok || p.status == wire.Failed && !ends(st.sql) { // in a failed transaction a statement that returns rows cannot be described
				p.fail()
				return
			}
			p.out = wire.AppendParameterDescription(p.out, nil)
		}
		p.out = wire.AppendNoData(p.out)
	case wire.Execute:
		v, _ := wire.ViewExecute(m.Body())
		p.extended = true
		p.run(p.portals[string(v.Portal)], true)
	case wire.Close:
		if v, _ := wire.ViewClose(m.Body()); v.What == 'S' {
			delete(p.stmts, string(v.Name))
		}
		p.out = wire.AppendCloseComplete(p.out)
	}
}

func (p *postgres) copy(m wire.Message) {
	switch {
	case m.Kind == wire.CopyData && bytes.Contains(m.Bytes, []byte("BAD")):
		p.copying = false
		p.fail()
		if !p.extended {
			p.skipping = false
			p.ready()
		}
	case m.Kind == wire.CopyDone:
		p.copying = false
		p.out = wire.AppendCommandComplete(p.out, "COPY 1")
		if !p.extended {
			p.ready()
		}
	case m.Kind == wire.CopyFail:
		p.copying = false
		p.fail()
		if !p.extended {
			p.skipping = false
			p.ready()
		}
	}
}

func (p *postgres) simple(sql string) {
	p.extended = false
	delete(p.stmts, "")
	switch {
	case sql == "":
		p.out = wire.AppendEmptyQueryResponse(p.out)
		p.ready()
		return
	case asksStanding(sql):
		p.tellStanding()
		return
	case sql == "BEGIN": // pgherd's own, to make a lost block fail on this server
		p.status, p.bare = wire.InTransaction, true
		p.done(sql)
		p.ready()
		return
	case sql == "ABORT", sql == "ROLLBACK":
		p.end(false)
		p.done("ROLLBACK")
		p.ready()
		return
	case sql == "DISCARD ALL":
		p.discardAll()
		p.ready()
		return
	case sql == "DISCARD SEQUENCES;" || sql == "DISCARD SEQUENCES" && p.status != wire.Failed, sql == "SELECT":
		p.done(sql)
		p.ready()
		return
	case strings.HasPrefix(sql, "SET LOCAL statement_timeout"):
		p.done("SET")
		p.out = wire.AppendTextColumns(p.out, "what", "a", "b", "c", "d")
		for _, row := range p.database.catalog() {
			p.out = wire.AppendTextRow(p.out, row...)
		}
		p.done("SELECT")
		p.ready()
		return
	case strings.Contains(sql, "s.temporary AND"): // the question for what outlasts DISCARD ALL; nothing does here
		p.out = wire.AppendTextRow(wire.AppendTextColumns(p.out, "seed", "left", "holds"), "f", "f", "f")
		p.done("SELECT 1")
		p.ready()
		return
	case strings.Contains(sql, "SELECT 's'"):
		p.tellState()
		p.ready()
		return
	case strings.HasPrefix(sql, `SET "`), strings.HasPrefix(sql, `RESET "`):
		p.restore(sql)
		p.ready()
		return
	}
	p.belong(sql)
	if p.run(parsed{sql, p.now.style}, false); !p.copying {
		p.skipping = false
		p.ready()
	}
}

func (p *postgres) discardAll() {
	if p.status != wire.Idle {
		p.fail()
		p.skipping = false
		return
	}
	p.owner, p.temp, p.secret = 0, false, 0
	clear(p.stmts)
	clear(p.portals)
	p.now, p.lasting = untouched, untouched
	p.done("DISCARD ALL")
}

// tellState answers the question by which pgherd asks for a server's state.
func (p *postgres) tellState() {
	p.done("SET")
	p.out = wire.AppendTextColumns(p.out, "what", "name", "value")
	if p.now.param != "0" {
		p.out = wire.AppendTextRow(p.out, "s", "param", p.now.param)
	}
	if p.now.style != "0" {
		p.out = wire.AppendTextRow(p.out, "s", "DateStyle", p.now.style)
	}
	if p.temp {
		p.out = wire.AppendTextRow(p.out, "t", "", "")
	}
	p.done("SELECT")
}

// restore runs the statements by which pgherd restores a session's settings.
func (p *postgres) restore(sql string) {
	for statement := range strings.SplitSeq(strings.TrimSuffix(sql, ";"), ";") {
		words := append(strings.Fields(statement), "TO", "0")
		if words[0] != "DISCARD" { // DISCARD SEQUENCES changes nothing here
			p.set(strings.Trim(words[1], `"`), strings.Trim(words[3], "'"))
		}
		p.done(words[0])
	}
}

// set gives a setting a value for the session.
func (p *postgres) set(name, value string) {
	p.now, p.lasting = p.now.with(name, value), p.lasting.with(name, value)
}

// belong records whose session state this server now holds. If it gets a statement of one client while
// it holds the state of another, that is the leak that I1 and I2 forbid.
func (p *postgres) belong(sql string) {
	id, _ := strconv.Atoi(strings.Fields(sql + " 0")[0])
	if id == 0 {
		return // many clients prepare this text
	}
	p.welcome(id, sql)
	if p.owner != 0 && p.owner != id {
		p.fault = fmt.Sprintf("a server with the state of client %d got %q", p.owner, sql)
	}
	if p.secret != 0 && p.secret != id {
		p.fault = fmt.Sprintf("a server with what a function of client %d has left got %q", p.secret, sql)
	}
	if p.inside != 0 && p.inside != id {
		p.fault = fmt.Sprintf("a server in a transaction of client %d got %q", p.inside, sql)
	}
	if p.marked {
		p.owner, p.was.owner = id, id
	}
	if strings.Contains(sql, " BEGIN ") {
		p.inside = id
	}
}

// ends says whether a failed transaction accepts the statement.
func ends(sql string) bool {
	return strings.Contains(sql, " ROLLBACK ") || strings.Contains(sql, " COMMIT ")
}

// run executes a statement up to its CommandComplete.
func (p *postgres) run(st parsed, extended bool) {
	sql := st.sql
	words := append(strings.Fields(sql), "", "", "")
	n, _ := strconv.Atoi(words[2])
	if p.status == wire.Failed && !ends(sql) {
		p.fail()
		return
	}
	if id, _ := strconv.Atoi(words[0]); id != 0 && p.bare && p.status == wire.InTransaction {
		p.fault = fmt.Sprintf("%q runs in a block that was begun in other words than the client's", sql)
	}
	p.reads(words)
	switch words[1] {
	case "ROWS":
		if !extended {
			p.out = wire.AppendTextColumns(p.out, "answer")
		}
		for i := range n {
			p.out = wire.AppendTextRow(p.out, sql+" row "+strconv.Itoa(i))
		}
	case "BIG":
		p.out = wire.AppendTextRow(p.out, strings.Repeat(sql+" ", n))
	case "BEGIN":
		p.status = wire.InTransaction
	case "COMMIT", "ROLLBACK":
		if p.end(words[1] == "COMMIT"); p.failedInside {
			words[1] = "ROLLBACK"
		}
	case "SET":
		p.set("param", words[2])
	case "STYLE":
		p.set("datestyle", words[2])
		words[1] = "SET"
	case "LOCAL":
		if words[0] == "SET" { // the statement is pgherd's own SET LOCAL "datestyle" TO '1'
			p.now.style = strings.Replace(strings.Trim(words[4], "'"), "DEFAULT", "0", 1)
		} else {
			p.now.param = words[2]
		}
		words[1] = "SET"
	case "MEAN":
		p.out = wire.AppendTextRow(p.out, "it means "+st.style)
	case "SHOW":
		p.out = wire.AppendTextRow(p.out, "param is "+p.now.param+", style "+p.now.style+", temporary "+strconv.FormatBool(p.temp))
	case "TEMP":
		p.keep(words[0])
	case "DROP":
		p.owner, p.temp = 0, false
	case "FUNC":
		p.unseen(words, n)
	case "DEFINE", "RUN":
		p.define(words[1], n, words[0])
	case "WRITE", "SEQUENCES": // DISCARD SEQUENCES is pgherd's own, and changes nothing here
		p.writes(words)
	case "NOTICE":
		p.out = wire.AppendNotice(p.out, &wire.Fault{Severity: "NOTICE", Code: "00000", Message: sql})
	case "COPYOUT":
		p.copyOut(sql, n)
	case "COPYIN":
		p.out = wire.AppendCopyInResponse(p.out, 0, nil)
		p.copying = true
		return
	default:
		p.fail()
		return
	}
	p.done(words[1])
}

// writes records a row, which a COMMIT makes last.
func (p *postgres) writes(words []string) {
	if words[1] == "WRITE" {
		p.written = append(p.written, words[2])
	}
}

func (p *postgres) copyOut(row string, n int) {
	p.out = wire.AppendCopyOutResponse(p.out, 0, nil)
	for range n {
		p.out = wire.AppendCopyData(p.out, []byte(row))
	}
	p.out = wire.AppendCopyDone(p.out)
}

// reads records a fault if a standby gets a statement that belongs to the primary.
func (p *postgres) reads(words []string) {
	if p.standby && writes[words[1]] && words[0] != "SET" {
		p.fault = fmt.Sprintf("a standby got %q", words)
	}
}

// writes are the verbs of statements that belong to the primary.
var writes = map[string]bool{"SET": true, "STYLE": true, "LOCAL": true, "TEMP": true, "DROP": true, "FUNC": true, "COPYIN": true, "DEFINE": true, "WRITE": true}

// end ends the transaction, explicit or not. Unless it is committed, what was set in it is taken back.
func (p *postgres) end(commit bool) {
	p.failedInside = p.status == wire.Failed
	if !commit || p.failedInside {
		p.lasting = p.before
		p.temp, p.owner = p.was.temp, p.was.owner
	} else {
		p.commit()
	}
	p.was = simHeld{p.temp, p.owner}
	p.defining, p.hiding, p.written, p.bare = nil, 0, nil, false
	p.status, p.now, p.before = wire.Idle, p.lasting, p.lasting
}

func (p *postgres) done(tag string) { p.out = wire.AppendCommandComplete(p.out, tag) }

func (p *postgres) ready() {
	if p.status == wire.Idle {
		p.inside = 0
		p.end(!p.broken)
	}
	p.broken = false
	if p.now.style != p.reported {
		p.reported = p.now.style
		p.out = wire.AppendParameterStatus(p.out, "DateStyle", p.now.style)
	}
	p.out = wire.AppendReadyForQuery(p.out, p.status)
}

func (p *postgres) fail() {
	p.out = wire.AppendError(p.out, &wire.Fault{Severity: "ERROR", Code: "22000", Message: "asked for"})
	p.failed()
}

func (p *postgres) failed() {
	p.broken = true
	p.now, p.lasting = p.before, p.before
	if p.status == wire.InTransaction {
		p.status = wire.Failed
	}
	p.skipping = true
}
