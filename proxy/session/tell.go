package session

import (
	"bytes"
	"encoding/binary"
	"strconv"
	"strings"

	"pgherd/proxy/expect"
	"pgherd/proxy/wire"
)

// Tells says what is told of a client's statements.
type Tells uint8

const (
	LogStatements Tells = 1 << iota // log_statement
	LogNodes                        // log_per_node_statement
	NoticeNodes                     // notice_per_node_statement
	LogMessages                     // log_client_messages
)

// Line is a line for the operator's log, of one client. It has what the client sent
// as it is, constants and all; of a message that comes in pieces, which are of more
// than wire.WholeLimit bytes, the beginning.
type Line struct {
	Application, User, Database, Host, Port string
	Message, Detail                         string
}

// heard is what a session remembers of its client's messages while something is told
// of them.
type heard struct {
	portal, statement string            // that was bound last, and what it runs
	prepared          map[string]string // statements by name, where servers are not shared
}

// heardLimit is how many prepared statements are remembered, heardText how much
// of each, in bytes; of a longer name none.
const (
	heardLimit = 1000
	heardText  = 1 << 10
)

// hear takes notice of a client's message: log_client_messages, log_statement.
func (s *Session) hear(m *wire.Message) {
	first, second := texts(m)
	var detail, runs string
	switch m.Kind {
	case wire.Query:
		detail, runs = `query: "`+first+`"`, first
	case wire.Parse:
		detail = `statement: "` + first + `", query: "` + second + `"`
		s.hearParse(first, second)
	case wire.Bind:
		detail = `portal: "` + first + `", statement: "` + second + `"`
		s.heard.portal, s.heard.statement = first, s.heardAs(second)
	case wire.Execute:
		detail, runs = `portal: "`+first+`"`, s.bears(first)
	case wire.Describe, wire.Close:
		what := "portal"
		if bytes.HasPrefix(m.Body(), []byte("S")) {
			what = "statement"
		}
		detail = what + `: "` + first + `"`
	case wire.FunctionCall:
		detail = `oid: "` + first + `"`
	case wire.CopyData: // one for each row: nobody could read them
		return
	}
	if s.set.Tells&LogMessages != 0 {
		s.log(m.Kind.String()+" message from frontend.", detail)
	}
	if s.set.Tells&LogStatements != 0 && (m.Kind == wire.Query || m.Kind == wire.Execute) {
		s.log("statement: "+runs, "")
	}
}

// texts are what a message begins with: names, and SQL.
func texts(m *wire.Message) (first, second string) {
	body := m.Body()
	if !m.Last {
		body = body[:min(len(body), wire.FirstLimit)]
	}
	switch m.Kind {
	case wire.Describe, wire.Close:
		if len(body) > 0 {
			body = body[1:]
		}
	case wire.FunctionCall:
		if len(body) >= 4 {
			return strconv.FormatUint(uint64(binary.BigEndian.Uint32(body)), 10), ""
		}
	}
	a, rest, _ := bytes.Cut(body, []byte{0})
	b, _, _ := bytes.Cut(rest, []byte{0})
	return string(a), string(b)
}

// hearParse remembers a statement where nothing else does.
func (s *Session) hearParse(name, sql string) {
	if s.follows {
		return
	}
	if s.heard.prepared == nil {
		s.heard.prepared = map[string]string{}
	}
	if _, there := s.heard.prepared[name]; there || len(s.heard.prepared) < heardLimit && len(name) <= heardText {
		s.heard.prepared[name] = strings.Clone(sql[:min(len(sql), heardText)])
	}
}

// heardAs is the text of the client's statement of that name.
func (s *Session) heardAs(name string) string {
	if st := s.statementOf([]byte(name)); st != nil {
		sql, _, _ := strings.Cut(st.text, "\x00")
		return sql
	}
	if sql, there := s.heard.prepared[name]; there {
		return sql
	}
	return `prepared statement "` + name + `"`
}

// bears is the text that a portal runs.
func (s *Session) bears(portal string) string {
	if portal == s.heard.portal && s.heard.statement != "" {
		return s.heard.statement
	}
	return `portal "` + portal + `"`
}

// tellSent tells to which node the request at hand goes. A Parse of what that node
// has prepared already goes nowhere, and is told of all the same.
func (s *Session) tellSent(m *wire.Message) {
	if s.expect.Skipping {
		return
	}
	first, second := texts(m)
	switch m.Kind {
	case wire.Query:
		s.tellNode(first)
	case wire.Parse:
		s.tellNode("Parse: " + second)
	case wire.Bind:
		s.tellNode("Bind: " + s.heardAs(second))
	case wire.Execute:
		s.tellNode("Execute: " + s.bears(first))
	case wire.Describe, wire.Close, wire.FunctionCall:
		s.tellNode(string(m.Bytes[:1]) + " message")
	}
}

// tellNode tells that a statement goes to the server at hand: the log, and the
// client, before it gets the answer.
func (s *Session) tellNode(statement string) {
	node := "DB node id: " + strconv.Itoa(s.server.Key.Node)
	if s.set.Tells&LogNodes != 0 {
		s.log(node+" backend pid: "+strconv.FormatUint(uint64(s.server.PID), 10)+" statement: "+statement, "")
	}
	if s.set.Tells&NoticeNodes != 0 {
		notice := wire.AppendNotice(nil, &wire.Fault{Severity: "NOTICE", Code: "00000", Message: node + " statement: " + statement})
		s.inTurn(expect.Answer{Bytes: notice, Beside: true})
	}
}

// tellOwn is tellNode of a statement that pgherd sends in the client's name.
func (s *Session) tellOwn(statement string) {
	if s.set.Tells&(LogNodes|NoticeNodes) != 0 {
		s.tellNode(statement)
	}
}

func (s *Session) log(message, detail string) {
	if s.set.Log != nil {
		s.set.Log(Line{Application: s.application(), User: s.who.Target.User, Database: s.who.Target.Database,
			Host: s.who.Host, Port: s.who.Port, Message: message, Detail: detail})
	}
}
