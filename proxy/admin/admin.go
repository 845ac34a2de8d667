// Package admin answers what pgherd is asked about itself in SQL: SHOW
// POOL_NODES and its like, one command per file. A command is a pure function
// from a State, plain values that the owner of the workers collects, to rows
// of text. Columns and words are Pgpool-II's where it has them.
package admin

import (
	"bytes"
	"context"
	"time"

	"pgherd/proxy/nodes"
)

// State is pgherd at one moment: plain values.
type State struct {
	Version  string // of pgherd
	Now      time.Time
	Started  time.Time
	PID      int
	Nodes    *nodes.View
	Workers  []Worker
	Clients  []Client
	Servers  []Server
	Features []Feature
}

// Worker is one of the threads of the data plane.
type Worker struct {
	Index   int
	Thread  int    // number of the thread, as in ps -L
	Logins  uint64 // clients it has had
	Clients int    // clients it has now
	Servers int    // servers it has now
}

// Client is an application's connection.
type Client struct {
	PID         uint32 // by which it can be canceled
	Worker      int
	User        string
	Database    string
	Application string
	Host, Port  string
	TLS         string
	State       string
	Since       time.Time // of State
	LoggedIn    time.Time
	Waited      time.Duration // for servers, in all
	Server      *Server       // that it holds, or nil
}

// Server is a connection to PostgreSQL.
type Server struct {
	Worker   int
	Node     int
	User     string
	Database string
	PID      uint32
	Opened   time.Time
	Idle     time.Time // since; zero: in use
	Uses     uint64
	Client   *Client // that holds it, or nil
}

// Feature is something of the kernel that makes pgherd faster.
type Feature struct {
	Name       string
	Used       bool
	Reason     string
	MinVersion string
}

// Source collects a State. It may block until the context ends.
type Source interface {
	State(ctx context.Context) (*State, error)
}

// command is a row of the table.
type command struct {
	name    string
	doc     string
	columns []string
	rows    func(s *State, asker uint32) [][]string
}

// table is every command; a new one is a line here and a file.
var table = []*command{
	&showPoolNodes,
	&showPoolPools,
	&showPoolProcesses,
	&showPoolVersion,
	&showPoolClients,
	&showFeatures,
}

// Commands finds and runs commands.
type Commands struct{ Source Source }

// Command is one command, to be run by its Commands.
type Command struct {
	*command
	source Source
}

// longest is the longest text that can be one of our commands, in bytes.
const longest = 256

// Find says which command sql is, in any letter case, with or without a
// semicolon. It allocates nothing for what is none.
func (c *Commands) Find(sql []byte) (Command, bool) {
	sql = bytes.TrimLeft(sql, " \t\r\n")
	if len(sql) < 5 || len(sql) > longest || !bytes.EqualFold(sql[:4], []byte("show")) || !space(sql[4]) {
		return Command{}, false
	}
	name := bytes.TrimLeft(bytes.TrimRight(sql[4:], "; \t\r\n"), " \t\r\n")
	for _, row := range table {
		if len(row.name) == len(name) && bytes.EqualFold(name, []byte(row.name)) {
			return Command{row, c.Source}, true
		}
	}
	return Command{}, false
}

func space(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }

// Columns are the names of the result's columns; all are text.
func (c Command) Columns() []string { return c.columns }

// collecting is how long the workers may take to answer.
const collecting = 5 * time.Second

// Rows runs the command for the client with this number.
func (c Command) Rows(asker uint32) ([][]string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), collecting)
	defer cancel()
	state, err := c.source.State(ctx)
	if err != nil {
		return nil, err
	}
	return c.rows(state, asker), nil
}
