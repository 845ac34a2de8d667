package routing_test

import (
	"fmt"
	"maps"
	"net"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"pgherd/bench/herd"
)

// talk is one connection, message by message.
type talk struct {
	conn   net.Conn
	wire   *pgproto3.Frontend
	status byte              // the status in the last ReadyForQuery
	told   map[string]string // the last ParameterStatus of each parameter
	ended  bool
}

// open logs in where no password is required.
func open(address, database string) (*talk, error) {
	conn, err := net.DialTimeout("tcp", address, answerLimit)
	if err != nil {
		return nil, err
	}
	t := &talk{conn: conn, wire: pgproto3.NewFrontend(conn, conn), told: map[string]string{}}
	t.wire.Send(&pgproto3.StartupMessage{ProtocolVersion: pgproto3.ProtocolVersionNumber,
		Parameters: map[string]string{"user": herd.User, "database": database}})
	if lines := t.exchange(1); t.ended || t.status != 'I' {
		conn.Close()
		return nil, fmt.Errorf("log in to %s: %s", database, lines)
	}
	return t, nil
}

func (t *talk) leave() {
	t.wire.Send(&pgproto3.Terminate{})
	_ = t.wire.Flush() // if the other side has ended there is nothing to flush
	t.conn.Close()
}

// say sends a step's messages, and returns a readable line for each of the answers.
func (t *talk) say(st step) []string {
	readies := 0
	for _, m := range st.send {
		t.wire.Send(m)
		switch m.(type) {
		case *pgproto3.Query, *pgproto3.Sync:
			readies++
		}
	}
	return t.exchange(readies)
}

func (t *talk) exchange(readies int) (lines []string) {
	_ = t.conn.SetDeadline(time.Now().Add(answerLimit)) // Receive reports the same error
	sent := make(chan error, 1)
	go func() { sent <- t.wire.Flush() }() // otherwise each side could wait for the other
	for readies > 0 {
		m, err := t.wire.Receive()
		if err != nil {
			t.ended = true
			return append(lines, "ended: "+strings.ReplaceAll(err.Error(), t.conn.LocalAddr().String(), "me"))
		}
		if _, is := m.(*pgproto3.ReadyForQuery); is {
			readies--
		}
		if line := t.line(m); line != "" {
			lines = append(lines, line)
		}
	}
	if err := <-sent; err != nil {
		lines = append(lines, "not sent: "+err.Error())
	}
	return lines
}

// line describes a message. It is "" for a message that is compared in another way.
func (t *talk) line(m pgproto3.BackendMessage) string {
	switch m := m.(type) {
	case *pgproto3.ParameterStatus:
		t.told[m.Name] = m.Value
	case *pgproto3.BackendKeyData, *pgproto3.AuthenticationOk:
	case *pgproto3.ReadyForQuery:
		t.status = m.TxStatus
		return "ready " + string(m.TxStatus)
	case *pgproto3.RowDescription:
		line := "columns"
		for _, f := range m.Fields {
			line += fmt.Sprintf(" %s:%d:%d", f.Name, f.DataTypeOID, f.Format)
		}
		return line
	case *pgproto3.DataRow:
		return fmt.Sprintf("row %q", m.Values)
	case *pgproto3.CommandComplete:
		return "tag " + string(m.CommandTag)
	case *pgproto3.CopyData:
		return fmt.Sprintf("copy %q", m.Data)
	case *pgproto3.ErrorResponse:
		return fault(m)
	case *pgproto3.NoticeResponse:
		return "notice " + fault((*pgproto3.ErrorResponse)(m))
	default:
		return strings.TrimPrefix(fmt.Sprintf("%T %+v", m, m), "*pgproto3.")
	}
	return ""
}

// preparedName is a statement's name on the server, which is in messages where servers are shared.
var preparedName = regexp.MustCompile(`prepared statement "(s[0-9]+|pgherd_[0-9a-z]+)"`)

func fault(e *pgproto3.ErrorResponse) string {
	message := preparedName.ReplaceAllString(e.Message, `prepared statement "<its name>"`)
	return strings.TrimSpace(fmt.Sprintf("%s %s %s %s %s at %d", e.Severity, e.Code, message, e.Detail, e.Hint, e.Position))
}

// parameters are all parameters that the client was told, as lines.
func (t *talk) parameters() (all []string) {
	for _, name := range slices.Sorted(maps.Keys(t.told)) {
		all = append(all, name+" = "+t.told[name])
	}
	return all
}
