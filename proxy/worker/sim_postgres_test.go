package worker

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"pgherd/proxy/wire"
)

// postgres is PostgreSQL as the simulation plays it: deterministic, so that a
// client can run one of its own beside pgherd and knows every byte it is to
// get. Statements read "ID VERB [ARGUMENT]"; ID is the client's number.
type postgres struct {
	out      []byte
	cut      wire.Cutter
	whole    []byte // of a message that came in pieces
	status   byte
	skipping bool
	copying  bool
	extended bool // the copy began in the extended protocol
	param    string
	stmts    map[string]string
	portals  map[string]string
	owner    int // whose session state it holds; 0: nobody's
	marked   bool
	inside   int    // whose transaction it is in; 0: nobody's
	fault    string // what no server of pgherd's may ever see
}

// newPostgres: marked, it counts as holding a client's state after any
// statement; else only after one that changes the session.
func newPostgres(marked bool) *postgres {
	return &postgres{marked: marked, cut: wire.CutRequests(), status: wire.Idle, param: "0", stmts: map[string]string{}, portals: map[string]string{}}
}

// feed gives it what a client sent; over: it said goodbye.
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
			p.handle(m)
		}
	}
	return false
}

func (p *postgres) handle(m wire.Message) {
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
		p.out = wire.AppendFunctionCallResponse(p.out, []byte("called"))
		p.ready()
	default:
		p.step(m)
	}
}

// step is a message of the extended protocol.
func (p *postgres) step(m wire.Message) {
	switch m.Kind {
	case wire.Parse:
		v, _ := wire.ViewParse(m.Body())
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
		p.stmts[string(v.Name)] = string(v.SQL)
		p.belong(string(v.SQL))
		p.out = wire.AppendParseComplete(p.out)
	case wire.Bind:
		v, _ := wire.ViewBind(m.Body())
		sql, ok := p.stmts[string(v.Statement)]
		if !ok {
			p.fail()
			return
		}
		p.portals[string(v.Portal)] = sql
		p.out = wire.AppendBindComplete(p.out)
	case wire.Describe:
		if v, _ := wire.ViewDescribe(m.Body()); v.What == 'S' {
			if _, ok := p.stmts[string(v.Name)]; !ok {
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
	switch sql {
	case "":
		p.out = wire.AppendEmptyQueryResponse(p.out)
		p.ready()
		return
	case "ABORT":
		p.status = wire.Idle
		p.done("ROLLBACK")
		p.ready()
		return
	case "DISCARD ALL":
		p.discardAll()
		p.ready()
		return
	}
	p.belong(sql)
	if p.run(sql, false); !p.copying {
		p.skipping = false
		p.ready()
	}
}

func (p *postgres) discardAll() {
	if p.status != wire.Idle {
		p.fault = "DISCARD ALL inside a transaction"
	}
	p.owner = 0
	clear(p.stmts)
	clear(p.portals)
	if p.param != "0" {
		p.set("0")
	}
	p.done("DISCARD ALL")
}

// belong notes whose session state this server now holds. Another client's
// while it holds somebody's is the leak that I1 and I2 forbid.
func (p *postgres) belong(sql string) {
	id, _ := strconv.Atoi(strings.Fields(sql + " 0")[0])
	if id == 0 {
		return // a text that many clients prepare
	}
	if p.owner != 0 && p.owner != id {
		p.fault = fmt.Sprintf("a server with the state of client %d got %q", p.owner, sql)
	}
	if p.inside != 0 && p.inside != id {
		p.fault = fmt.Sprintf("a server in a transaction of client %d got %q", p.inside, sql)
	}
	if p.marked || strings.Contains(sql, " SET ") {
		p.owner = id
	}
	if strings.Contains(sql, " BEGIN ") {
		p.inside = id
	}
}

// run executes a statement up to its CommandComplete.
func (p *postgres) run(sql string, extended bool) {
	words := append(strings.Fields(sql), "", "", "")
	n, _ := strconv.Atoi(words[2])
	if p.status == wire.Failed && words[1] != "ROLLBACK" {
		p.fail()
		return
	}
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
		p.status = wire.Idle
	case "SET":
		p.set(words[2])
	case "NOTICE":
		p.out = wire.AppendNotice(p.out, &wire.Fault{Severity: "NOTICE", Code: "00000", Message: sql})
	case "COPYOUT":
		p.out = wire.AppendCopyOutResponse(p.out, 0, nil)
		for range n {
			p.out = wire.AppendCopyData(p.out, []byte(sql))
		}
		p.out = wire.AppendCopyDone(p.out)
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

func (p *postgres) set(value string) {
	p.param = value
	p.out = wire.AppendParameterStatus(p.out, "param", value)
}

func (p *postgres) done(tag string) { p.out = wire.AppendCommandComplete(p.out, tag) }

func (p *postgres) ready() {
	if p.status == wire.Idle {
		p.inside = 0
	}
	p.out = wire.AppendReadyForQuery(p.out, p.status)
}

func (p *postgres) fail() {
	p.out = wire.AppendError(p.out, &wire.Fault{Severity: "ERROR", Code: "22000", Message: "asked for"})
	p.failed()
}

func (p *postgres) failed() {
	if p.status == wire.InTransaction {
		p.status = wire.Failed
	}
	p.skipping = true
}
