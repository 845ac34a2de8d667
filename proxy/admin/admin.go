// Package admin answers pgherd's own commands in SQL, such as SHOW POOL_NODES, with one
// command in each file. A command is a pure function from a status.State, plain values
// that the owner of the workers collects, to rows of text. Columns and words are
// Pgpool-II's where it has them.
package admin

import (
	"context"
	"strconv"
	"strings"
	"time"

	"pgherd/proxy/config"
	"pgherd/proxy/status"
	"pgherd/proxy/wire"
)

// Source collects a State. It may block until the context ends.
type Source interface {
	State(ctx context.Context) (*status.State, error)
	// Network is nil if the kernel may not be asked.
	Network(ctx context.Context) (*status.Network, error)
}

// Control acts on pools. The database "" stands for all of them.
type Control interface {
	// Pause returns when no server of the database is left. by is the user who gives the
	// command.
	Pause(ctx context.Context, database, by string) error
	Resume(ctx context.Context, database string) error
	Reconnect(database string)
	Kill(ctx context.Context, database, by string) error
	// Paused says why clients of the database get no server; nil if they do.
	Paused(database string) *wire.Fault
	Nodes
}

// Nodes acts on the herd, and on who decides about it. by is the user who gives the command.
type Nodes interface {
	Attach(ctx context.Context, node int, by string) error
	Detach(ctx context.Context, node int, by string) error
	Promote(ctx context.Context, node int, by string) error
	// Switchover returns once the node is the primary, or with why it is not.
	Switchover(ctx context.Context, node int, by string) error
	// Recover returns once the node is up, or with the step that failed.
	Recover(ctx context.Context, node int, by string) error
	// Leader returns once the peer was asked to lead.
	Leader(ctx context.Context, peer int, by string) error
}

// Asker is the client that runs a command.
type Asker struct {
	PID   uint32
	User  string
	Admin bool // it may act, not only look
	// Exists returns an error if PostgreSQL says that it has no such database. It returns
	// nil also if PostgreSQL cannot be asked.
	Exists func(ctx context.Context, database string) error
	Notice *wire.Fault // notices that the command adds to its answer; nil: none
}

// order is a command of an administrator's for a database ("" stands for all), or for what has a number.
type order struct {
	database, by string
	number       int
}

// What commands act on by number, and what shows the numbers.
const (
	aNode = "node"
	aPeer = "peer"
)

var numbered = map[string]string{aNode: "SHOW POOL_NODES", aPeer: "SHOW WATCHDOG"}

// command is a row of the table: it shows something, or it acts.
type command struct {
	name    string
	doc     string
	columns []string
	rows    func(s *status.State, asker uint32) [][]string
	network bool   // rows need State.Network
	of      string // what it acts on by its number: aNode, aPeer; "": a database
	act     func(ctx context.Context, c Control, o order) (notice *wire.Fault, err error)
}

// table has every command. A new one needs a line here and a file.
var table = []*command{
	&showPoolNodes,
	&showPoolPools,
	&showPoolProcesses,
	&showPoolVersion,
	&showPoolClients,
	&showPoolStats,
	&showNodeStats,
	&showFeatures,
	&showPoolMemory,
	&showPoolStatus,
	&showPoolCache,
	&showPoolEvents,
	&showHealthCheckStats,
	&showPoolRecovery,
	&showPoolNetwork,
	&showPoolPatroni,
	&showWatchdog,
	&showHelp,
	&pause,
	&resume,
	&reconnect,
	&kill,
	&attach,
	&detach,
	&promote,
	&switchover,
	&recoverNode,
	&leader,
}

// Commands finds and runs commands.
type Commands struct {
	Source  Source
	Control Control
	Config  func() *config.Config // in force now
}

// Command is one command, to be run by its Commands.
type Command struct {
	*command
	argument string
	commands *Commands
}

// longest is the length in bytes of the longest text that can be a command.
const longest = 256

// Find returns the command that sql is, in any letter case, with or without a
// semicolon. It allocates nothing for other texts.
func (c *Commands) Find(sql []byte) (Command, bool) {
	if len(sql) > longest {
		return Command{}, false
	}
	for len(sql) > 0 && (isSpace(sql[len(sql)-1]) || sql[len(sql)-1] == ';') {
		sql = sql[:len(sql)-1]
	}
	verb, rest := word(sql)
	object, rest := word(rest)
	if len(rest) > 0 {
		return Command{}, false
	}
	for _, row := range table {
		switch {
		case row.act == nil && is(verb, "show") && is(object, row.name):
			return Command{row, "", c}, true
		case row.act != nil && is(verb, row.name):
			return Command{row, unquote(string(object)), c}, true
		}
	}
	if is(verb, "show") && len(object) > len(ours) && is(object[:len(ours)], ours) {
		return Command{&absent, strings.ToUpper(string(object)), c}, true
	}
	return Command{}, false
}

// ours begins names in SHOW that no parameter of PostgreSQL has.
const ours = "pool_"

// word removes the first word from b.
func word(b []byte) (first, rest []byte) {
	b = unindent(b)
	end := 0
	for end < len(b) && !isSpace(b[end]) {
		end++
	}
	return b[:end], unindent(b[end:])
}

func unindent(b []byte) []byte {
	for len(b) > 0 && isSpace(b[0]) {
		b = b[1:]
	}
	return b
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }

func is(word []byte, name string) bool {
	return len(word) == len(name) && strings.EqualFold(string(word), name)
}

// unquote reads an identifier as SQL does: folded to lower case unless quoted.
func unquote(name string) string {
	if len(name) >= 2 && name[0] == '"' && name[len(name)-1] == '"' {
		return strings.ReplaceAll(name[1:len(name)-1], `""`, `"`)
	}
	return strings.ToLower(name)
}

// Columns are the names of the result's columns; all are text. Without any, the command
// acts and returns no rows.
func (c Command) Columns() []string { return c.columns }

// Tag is the command tag on completion; rows is how many rows it returned.
func (c Command) Tag(rows int) string {
	if c.act != nil {
		return strings.ToUpper(c.name)
	}
	return "SELECT " + strconv.Itoa(rows)
}

// Limits of a command.
const (
	collecting = 5 * time.Second // how long the workers may take to answer
	acting     = 24 * time.Hour  // how long it may take: a copy of a large node is slow
)

// Run runs the command. An error may be a *wire.Fault.
func (c Command) Run(asker *Asker) ([][]string, error) {
	switch {
	case c.command == &absent:
		return nil, &wire.Fault{Severity: "ERROR", Code: "42704", Message: "there is no SHOW " + c.argument,
			Hint: "There are " + strings.Join(shown(), ", ") + "; SHOW HELP explains them."}
	case c.act != nil:
		return nil, c.order(asker)
	}
	ctx, cancel := context.WithTimeout(context.Background(), collecting)
	defer cancel()
	state, err := c.commands.Source.State(ctx)
	if err != nil {
		return nil, err
	}
	if c.network {
		if state.Network, err = c.commands.Source.Network(ctx); err != nil {
			return nil, err
		}
	}
	state.Config = c.commands.Config()
	return c.rows(state, asker.PID), nil
}

// order runs a command of an administrator's.
func (c Command) order(asker *Asker) (err error) {
	if !asker.Admin {
		return &wire.Fault{Severity: "ERROR", Code: "42501",
			Message: "permission denied for " + strings.ToUpper(c.name), Hint: "Only users named in admin_users may run it."}
	}
	ctx, cancel := context.WithTimeout(context.Background(), acting)
	defer cancel()
	if c.of != "" {
		number, err := strconv.Atoi(c.argument)
		if err != nil || number < 0 {
			return &wire.Fault{Severity: "ERROR", Code: "22023", Message: strings.ToUpper(c.name) + " needs the number of a " + c.of, Hint: numbered[c.of] + " has them."}
		}
		asker.Notice, err = c.act(ctx, c.commands.Control, order{number: number, by: asker.User})
		return err
	}
	if c.argument != "" && c.commands.Control.Paused(c.argument) == nil {
		if err := asker.Exists(ctx, c.argument); err != nil {
			return err
		}
	}
	asker.Notice, err = c.act(ctx, c.commands.Control, order{database: c.argument, by: asker.User})
	return err
}

// String is the command as it is typed.
func (c Command) String() string {
	if c.act == nil {
		return c.usage()
	}
	return strings.TrimSpace(strings.ToUpper(c.name) + " " + c.argument)
}

// Acts says that it does not only show something.
func (c Command) Acts() bool { return c.act != nil }
