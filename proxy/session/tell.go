package session

import (
	"strconv"

	"pgherd/proxy/expect"
	"pgherd/proxy/querylog"
	"pgherd/proxy/route"
	"pgherd/proxy/wire"
)

// whom is what load balancing looks at in the client.
func (s *clientState) whom() route.Client {
	return route.Client{Application: s.application(), Database: s.who.Target.Database, User: s.who.Target.User}
}

// application is the client's application_name as it is now.
func (s *clientState) application() string {
	if name, set := s.tracker.Settings["application_name"]; set {
		return unquoted(name)
	}
	return s.who.Application
}

// textOf is the SQL of the client's prepared statement with that name.
func (h *holdings) textOf(name string) (sql string, known bool) {
	st := h.statements.Find([]byte(name))
	if st == nil {
		return "", false
	}
	return st.SQL(), true
}

// logMessage logs a client's message, as log_client_messages and log_statement say.
func (s *clientState) logMessage(m *wire.Message) {
	if m.Kind == wire.CopyData { // there is one for each row, too many for a log
		return
	}
	detail, runs := s.journal.Read(m)
	if s.set.Tells.Has(querylog.Messages) {
		s.log(m.Kind.String()+" message from frontend.", detail)
	}
	if s.set.Tells.Has(querylog.Statements) && (m.Kind == wire.Query || m.Kind == wire.Execute) {
		s.log("statement: "+runs, "")
	}
}

// tellSent tells the log and the client to which node the request at hand goes, if they are to
// be told. It tells so even of a Parse that is not sent because that node has the statement.
func (s *clientState) tellSent(m *wire.Message) {
	if s.expect.Skipping || !s.set.Tells.Has(querylog.Nodes|querylog.NodeNotices) {
		return
	}
	if sent := s.journal.Sent(m); sent != "" {
		s.tellNode(sent)
	}
}

// tellNode tells the log, and the client before it gets the answer, that a statement goes to the
// server at hand.
func (s *clientState) tellNode(statement string) {
	node := "DB node id: " + strconv.Itoa(s.server.Key.Node)
	if s.set.Tells.Has(querylog.Nodes) {
		s.log(node+" backend pid: "+strconv.FormatUint(uint64(s.server.PID), 10)+" statement: "+statement, "")
	}
	if s.set.Tells.Has(querylog.NodeNotices) {
		notice := wire.AppendNotice(nil, &wire.Fault{Severity: "NOTICE", Code: "00000", Message: node + " statement: " + statement})
		s.inTurn(expect.Answer{Bytes: notice, Beside: true})
	}
}

// tellOwn is tellNode for a statement that pgherd sends in the client's name.
func (s *clientState) tellOwn(statement string) {
	if s.set.Tells.Has(querylog.Nodes | querylog.NodeNotices) {
		s.tellNode(statement)
	}
}

// log writes a line about the client to the operator's log.
func (s *clientState) log(message, detail string) {
	if s.set.Log != nil {
		s.set.Log(querylog.Line{Application: s.application(), User: s.who.Target.User, Database: s.who.Target.Database,
			Host: s.who.Host, Port: s.who.Port, Message: message, Detail: detail})
	}
}
