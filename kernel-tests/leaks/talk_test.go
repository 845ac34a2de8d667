package leaks_test

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
)

const (
	answerLimit  = 20 * time.Second // deadline of one step's answers
	firstUserOID = 16384            // types above it have numbers in the order of their creation
)

// who is the user as whom a connection logs in, with its parameters.
type who struct {
	user, database string
	params         []string // parameters of the start-up packet: name, value, name, value ...
}

// talk is one connection, with what is known of it.
type talk struct {
	conn    net.Conn
	wire    *pgproto3.Frontend
	status  byte              // the status in the last ReadyForQuery
	told    map[string]string // the last ParameterStatus of each parameter
	heard   []string          // every NotificationResponse, in order
	ended   bool
	refused string // the last refusal that names pool_mode
}

// open logs in where no password is required.
func open(address string, as who) (*talk, error) {
	conn, err := net.DialTimeout("tcp", address, answerLimit)
	if err != nil {
		return nil, err
	}
	t := &talk{conn: conn, wire: pgproto3.NewFrontend(conn, conn), told: map[string]string{}}
	params := map[string]string{"user": as.user, "database": as.database}
	for pair := range slices.Chunk(as.params, 2) {
		params[pair[0]] = pair[1]
	}
	t.wire.Send(&pgproto3.StartupMessage{ProtocolVersion: pgproto3.ProtocolVersionNumber, Parameters: params})
	if lines := t.exchange(1); t.ended || strings.Contains(strings.Join(lines, "\n"), "FATAL") {
		conn.Close()
		return nil, fmt.Errorf("log in to %s as %s %q: %s", as.database, as.user, as.params, lines)
	}
	return t, nil
}

// say sends a step's messages, and returns a readable line for each of the answers.
func (t *talk) say(messages []message) []string {
	readies := 0
	for _, m := range messages {
		t.wire.Send(m.encode())
		if m.kind == query || m.kind == sync {
			readies++
		}
	}
	return t.exchange(readies)
}

// exchange sends what is queued, and reads up to so many ReadyForQuery.
func (t *talk) exchange(readies int) (lines []string) {
	if err := errors.Join(t.conn.SetDeadline(time.Now().Add(answerLimit)), t.wire.Flush()); err != nil {
		return t.end(lines, err)
	}
	for readies > 0 {
		m, err := t.wire.Receive()
		if err != nil {
			return t.end(lines, err)
		}
		if line := t.take(m); line != "" {
			lines = append(lines, line)
		}
		if _, ready := m.(*pgproto3.ReadyForQuery); ready {
			readies--
		}
	}
	return lines
}

func (t *talk) end(lines []string, err error) []string {
	t.ended = true
	t.conn.Close()
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return append(lines, fmt.Sprintf("no answer within %v", answerLimit))
	}
	return append(lines, "the connection ended")
}

// take records what a message says, and returns it as a line if it answers the step.
func (t *talk) take(message pgproto3.BackendMessage) string {
	switch m := message.(type) {
	case *pgproto3.ParameterStatus:
		t.told[m.Name] = m.Value
		return ""
	case *pgproto3.NotificationResponse:
		t.heard = append(t.heard, m.Channel+" "+m.Payload)
		return ""
	case *pgproto3.ReadyForQuery:
		t.status = m.TxStatus
		return "ready " + string(m.TxStatus)
	case *pgproto3.ErrorResponse:
		if m.Code == "0A000" && strings.Contains(m.Hint, "pool_mode") {
			t.refused = m.Message
		}
		return fmt.Sprintf("%s %s: %s", m.Severity, m.Code, m.Message)
	case *pgproto3.NoticeResponse:
		return fmt.Sprintf("%s %s", m.Severity, m.Code)
	case *pgproto3.CopyInResponse:
		t.wire.Send(&pgproto3.CopyFail{Message: "nothing to copy"})
		_ = t.wire.Flush() // the next read reports an error
		return "copy in"
	}
	return plainLine(message)
}

// plainLine is the line of a message that changes nothing in a talk.
func plainLine(message pgproto3.BackendMessage) string {
	switch m := message.(type) {
	case *pgproto3.CommandComplete:
		return string(m.CommandTag)
	case *pgproto3.RowDescription:
		var columns []string
		for _, f := range m.Fields {
			columns = append(columns, fmt.Sprintf("%s(%d)", f.Name, min(f.DataTypeOID, firstUserOID)))
		}
		return "columns " + strings.Join(columns, ", ")
	case *pgproto3.DataRow:
		return "row " + joinValues(m.Values)
	case *pgproto3.CopyData:
		return fmt.Sprintf("copied %q", m.Data)
	case *pgproto3.ParameterDescription:
		return fmt.Sprint("parameters ", m.ParameterOIDs)
	case *pgproto3.BackendKeyData, *pgproto3.AuthenticationOk:
		return ""
	}
	return strings.TrimPrefix(fmt.Sprintf("%T", message), "*pgproto3.")
}

func joinValues(values [][]byte) string {
	var all []string
	for _, v := range values {
		if v == nil {
			all = append(all, "NULL")
			continue
		}
		all = append(all, string(v))
	}
	return strings.Join(all, " | ")
}

// parameters are those that the connection was told, one line each, sorted.
func (t *talk) parameters() []string {
	var lines []string
	for _, name := range slices.Sorted(maps.Keys(t.told)) {
		lines = append(lines, name+" = "+t.told[name])
	}
	return lines
}

// leave ends the connection, politely or not. It may have ended before.
func (t *talk) leave(politely bool) {
	if politely && !t.ended {
		t.wire.Send(&pgproto3.Terminate{})
		_ = t.wire.Flush()
	}
	t.ended = true
	t.conn.Close()
}
