package querylog

import (
	"bytes"
	"encoding/binary"
	"strconv"
	"strings"

	"pgherd/proxy/wire"
)

// Journal is what is remembered of one client's messages, while something of them is logged.
type Journal struct {
	// Text is the SQL of the client's prepared statement of that name, if the session knows it. It
	// is nil if the session knows no statements, and then the Journal remembers them.
	Text func(name string) (sql string, known bool)

	portal, statement string            // the portal that was bound last, and the SQL that it runs
	prepared          map[string]string // the SQL of prepared statements, by name
}

// Limits of what a Journal remembers (I5): the number of prepared statements, and the bytes of each
// text. A statement with a longer name is not remembered.
const (
	statementsLimit = 1000
	textLimit       = 1 << 10
)

// Read notes a client's message. detail is what log_client_messages says about it. runs is the SQL
// that it runs; "" if it runs none.
func (j *Journal) Read(m *wire.Message) (detail, runs string) {
	first, second := texts(m)
	switch m.Kind {
	case wire.Query:
		return `query: "` + first + `"`, first
	case wire.Parse:
		j.remember(first, second)
		return `statement: "` + first + `", query: "` + second + `"`, ""
	case wire.Bind:
		j.portal, j.statement = first, j.named(second)
		return `portal: "` + first + `", statement: "` + second + `"`, ""
	case wire.Execute:
		return `portal: "` + first + `"`, j.bound(first)
	case wire.Describe, wire.Close:
		what := "portal"
		if bytes.HasPrefix(m.Body(), []byte("S")) {
			what = "statement"
		}
		return what + `: "` + first + `"`, ""
	case wire.FunctionCall:
		return `oid: "` + first + `"`, ""
	}
	return "", ""
}

// Sent is what log_per_node_statement says about a message that goes to a node; "" if nothing.
func (j *Journal) Sent(m *wire.Message) string {
	first, second := texts(m)
	switch m.Kind {
	case wire.Query:
		return first
	case wire.Parse:
		return "Parse: " + second
	case wire.Bind:
		return "Bind: " + j.named(second)
	case wire.Execute:
		return "Execute: " + j.bound(first)
	case wire.Describe, wire.Close, wire.FunctionCall:
		return string(m.Bytes[:1]) + " message"
	}
	return ""
}

// texts are the two strings, names or SQL, with which a message begins.
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

// remember keeps the text of a statement, if the session does not.
func (j *Journal) remember(name, sql string) {
	if j.Text != nil {
		return
	}
	if j.prepared == nil {
		j.prepared = map[string]string{}
	}
	if _, there := j.prepared[name]; there || len(j.prepared) < statementsLimit && len(name) <= textLimit {
		j.prepared[name] = strings.Clone(sql[:min(len(sql), textLimit)])
	}
}

// named is the text of the client's statement of that name.
func (j *Journal) named(name string) string {
	if j.Text != nil {
		if sql, known := j.Text(name); known {
			return sql
		}
	}
	if sql, there := j.prepared[name]; there {
		return sql
	}
	return `prepared statement "` + name + `"`
}

// bound is the text that a portal runs.
func (j *Journal) bound(portal string) string {
	if portal == j.portal && j.statement != "" {
		return j.statement
	}
	return `portal "` + portal + `"`
}
