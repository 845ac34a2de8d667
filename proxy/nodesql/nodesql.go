// Package nodesql asks PostgreSQL nodes by SQL, for pgherd itself: as an administrator
// would with psql. It knows nothing of what is asked, and keeps no connection of its own.
package nodesql

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"pgherd/proxy/nodes"
)

// Access is how pgherd logs in.
type Access struct {
	User, Password, Database string
	SSLMode                  string // as libpq's
	// Control prepares a socket before it connects to a node; nil: nothing is to be done.
	Control func(n *nodes.Node, network, address string, raw syscall.RawConn) error
}

// Conn is a connection to a node. One goroutine at a time uses it.
type Conn struct {
	Began time.Time // when it was dialed
	conn  *pgconn.PgConn
}

// Dial connects and logs in, by the context's deadline. The name is resolved anew each
// time. What libpq's environment variables could add, the daemon has removed from its own
// environment.
func Dial(ctx context.Context, a Access, n *nodes.Node) (*Conn, error) {
	quoted := func(s string) string { return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) + "'" }
	config, err := pgconn.ParseConfig(fmt.Sprintf(
		"host=%s port=%d user=%s password=%s dbname=%s sslmode=%s application_name=pgherd passfile=/dev/null",
		quoted(n.Host), n.Port, quoted(a.User), quoted(a.Password), quoted(a.Database), a.SSLMode))
	if err != nil {
		return nil, err
	}
	dialer := net.Dialer{}
	if a.Control != nil {
		dialer.Control = func(network, address string, raw syscall.RawConn) error { return a.Control(n, network, address, raw) }
	}
	config.DialFunc = dialer.DialContext
	began := time.Now()
	conn, err := pgconn.ConnectConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	return &Conn{began, conn}, nil
}

// Refused says that a log-in failed because of who logged in (class 28).
func Refused(err error) bool { return strings.HasPrefix(Code(err), "28") }

// Rows runs SQL and returns its rows, NULL as "". Without an error that PostgreSQL told,
// an error means that the connection is broken.
func (c *Conn) Rows(ctx context.Context, sql string) ([][]string, error) {
	results, err := c.conn.Exec(ctx, sql).ReadAll()
	if err != nil {
		return nil, err
	}
	var rows [][]string
	for _, r := range results {
		for _, row := range r.Rows {
			text := make([]string, len(row))
			for i, value := range row {
				text[i] = string(value)
			}
			rows = append(rows, text)
		}
	}
	return rows, nil
}

// Row is Rows for SQL that has one row.
func (c *Conn) Row(ctx context.Context, sql string) ([]string, error) {
	rows, err := c.Rows(ctx, sql)
	switch {
	case err != nil:
		return nil, err
	case len(rows) != 1:
		return nil, fmt.Errorf("ask node: %d rows, want 1", len(rows))
	}
	return rows[0], nil
}

// Do runs SQL for what it does.
func (c *Conn) Do(ctx context.Context, sql string) error {
	_, err := c.Rows(ctx, sql)
	return err
}

// Code is the SQLSTATE of an error that PostgreSQL told; "": it is none.
func Code(err error) string {
	if fault, ok := errors.AsType[*pgconn.PgError](err); ok {
		return fault.Code
	}
	return ""
}

// ToldToEnd says that PostgreSQL ended the connection because it was told to: by a shutdown,
// or by pg_terminate_backend. It uses the same SQLSTATE when its postmaster has died.
func ToldToEnd(err error) bool {
	fault, ok := errors.AsType[*pgconn.PgError](err)
	return ok && fault.Code == "57P01" && fault.Routine == "ProcessInterrupts"
}

// Broken says that the connection is of no use any more.
func (c *Conn) Broken() bool { return c.conn.IsClosed() }

// ServerVersion is the node's major version; 0: it does not tell.
func (c *Conn) ServerVersion() int {
	major, _, _ := strings.Cut(c.conn.ParameterStatus("server_version"), ".")
	n, _ := strconv.Atoi(strings.TrimRight(major, "abcdefghijklmnopqrstuvwxyz "))
	return n
}

// goodbye is how long saying goodbye to PostgreSQL may take.
const goodbye = 100 * time.Millisecond

// Close ends the connection.
func (c *Conn) Close() {
	ctx, cancel := context.WithTimeout(context.Background(), goodbye)
	defer cancel()
	_ = c.conn.Close(ctx)
}

// Literal is a string constant of SQL.
func Literal(s string) string {
	quoted := "'" + strings.ReplaceAll(s, "'", "''") + "'"
	if strings.Contains(s, `\`) {
		return " E" + strings.ReplaceAll(quoted, `\`, `\\`)
	}
	return quoted
}
