package leaks_test

import (
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgproto3"
)

// These are the messages that a client sends; query and sync end with ReadyForQuery.
const (
	query    = 'Q'
	parse    = 'P'
	bind     = 'B'
	describe = 'D'
	execute  = 'E'
	closing  = 'C'
	sync     = 'S'
)

// message is one message of the protocol, as plain values.
type message struct {
	kind   byte
	name   string // the prepared statement's name; "" is the unnamed one
	portal string
	sql    string
	args   []string
	rows   uint32 // for execute, the largest number of rows; 0 means all
}

func (m message) encode() pgproto3.FrontendMessage {
	switch m.kind {
	case query:
		return &pgproto3.Query{String: m.sql}
	case parse:
		return &pgproto3.Parse{Name: m.name, Query: m.sql}
	case bind:
		var values [][]byte
		for _, a := range m.args {
			values = append(values, []byte(a))
		}
		return &pgproto3.Bind{DestinationPortal: m.portal, PreparedStatement: m.name, Parameters: values}
	case describe:
		return &pgproto3.Describe{ObjectType: 'S', Name: m.name}
	case execute:
		return &pgproto3.Execute{Portal: m.portal, MaxRows: m.rows}
	case closing:
		return &pgproto3.Close{ObjectType: 'S', Name: m.name}
	}
	return &pgproto3.Sync{}
}

func (m message) String() string {
	switch m.kind {
	case query:
		return m.sql
	case parse:
		return fmt.Sprintf("Parse %q: %s", m.name, m.sql)
	case bind:
		return fmt.Sprintf("Bind %q portal %q %q", m.name, m.portal, m.args)
	case describe:
		return fmt.Sprintf("Describe %q", m.name)
	case execute:
		return fmt.Sprintf("Execute portal %q, rows %d", m.portal, m.rows)
	case closing:
		return fmt.Sprintf("Close %q", m.name)
	}
	return "Sync"
}

// act is the kind of a step.
type act string

const (
	says     act = "says"           // sends messages, and compares the answers
	looks    act = "looks"          // compares the visible state, also within a transaction
	leaves   act = "leaves"         // sends Terminate, and makes a new connection
	vanishes act = "vanishes"       // closes the socket, and makes a new connection
	seeds    act = "seeds random()" // sends messages, after which random() can be compared
	draws    act = "draws random()" // sends messages, if random() can be compared
	defines  act = "defines"        // another user defines something, through pgherd
	reloads  act = "reloads"        // pgherd reads its configuration again
)

// step is one thing that a client and its twin do.
type step struct {
	client int // the client's number, from 1
	act    act
	send   []message
	params []string // parameters of the new connection's start-up packet
	sql    string   // the statement that defines
}

func (s step) String() string {
	head := fmt.Sprintf("client %d", s.client)
	switch s.act {
	case looks:
		return head + " looks at its session"
	case reloads:
		return "pgherd reloads"
	case defines:
		return "somebody else: " + s.sql
	case leaves, vanishes:
		return fmt.Sprintf("%s %s, and comes back with %q", head, s.act, s.params)
	}
	var parts []string
	for _, m := range s.send {
		parts = append(parts, m.String())
	}
	return head + ": " + strings.Join(parts, "; ")
}

// script is a whole run. The same values do the same things.
type script struct {
	stage   stage
	user    string
	clients int
	steps   []step
}

func (s script) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d clients as %s in database %s\n", s.clients, s.user, s.stage.clients)
	for i, st := range s.steps {
		fmt.Fprintf(&b, "%3d  %s\n", i+1, st)
	}
	return b.String()
}
