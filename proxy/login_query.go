package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"
	"github.com/jackc/pgx/v5/pgproto3"

	"pgherd/proxy/auth"
	"pgherd/proxy/pool"
	"pgherd/proxy/wire"
)

const (
	// catalogConns is how many connections ask about users at once.
	catalogConns = 4
	// catalogIdle is how long one is kept for the next question.
	catalogIdle = 30 * time.Second
)

// authQuery asks the primary what it stores as users' passwords, and which roles
// they are members of.
type authQuery struct {
	connect  func() *connector
	primary  func() (node int, ok bool)
	query    string
	database string
	user     string
	secret   auth.Secret
	places   chan struct{}

	mu     sync.Mutex
	closed bool
	idle   map[*reader]*time.Timer
}

// reader is a connection to a node that asks about users.
type reader struct {
	*pgconn.PgConn
	node int
}

// find is an auth.Finder.
func (c *authQuery) find(ctx context.Context, user string) (text string, found bool, err error) {
	answer, err := c.ask(ctx, c.query, user)
	switch {
	case err != nil:
		return "", false, fmt.Errorf("ask auth_query: %w", err)
	case len(answer.Rows) == 0:
		return "", false, nil
	case len(answer.Rows) > 1 || len(answer.FieldDescriptions) != 2:
		return "", false, errors.New("ask auth_query: it must give one row of user name and password")
	case string(answer.Rows[0][0]) != user:
		return "", false, errors.New("ask auth_query: it gave another user's row")
	}
	return string(answer.Rows[0][1]), true, nil
}

// membersQuery gives the roles that user $1 is a member of, and the user; see
// auth.MembersFinder. Everybody may read these catalogs.
const membersQuery = `WITH RECURSIVE member(oid) AS (
	SELECT oid FROM pg_catalog.pg_roles WHERE rolname = $1
	UNION SELECT m.roleid FROM pg_catalog.pg_auth_members m JOIN member ON m.member = member.oid)
	SELECT r.rolname FROM pg_catalog.pg_roles r JOIN member ON r.oid = member.oid`

// members is an auth.MembersFinder.
func (c *authQuery) members(ctx context.Context, user string) (roles []string, err error) {
	answer, err := c.ask(ctx, membersQuery, user)
	if err != nil {
		return nil, fmt.Errorf("ask for roles: %w", err)
	}
	for _, row := range answer.Rows {
		roles = append(roles, string(row[0]))
	}
	return roles, nil
}

// ask asks the primary one question about a user. A connection that broke while
// it was idle, as in a failover, is replaced once.
func (c *authQuery) ask(ctx context.Context, query, user string) (*pgconn.Result, error) {
	select {
	case c.places <- struct{}{}:
		defer func() { <-c.places }()
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for a connection: %w", ctx.Err())
	}
	node, ok := c.primary()
	if !ok {
		return nil, errors.New("no primary node is available")
	}
	if r := c.take(node); r != nil {
		if answer := c.askOn(ctx, r, query, user); answer.Err == nil || !r.IsClosed() {
			return answer, answer.Err
		}
	}
	r, err := c.open(ctx, node)
	if err != nil {
		return nil, fmt.Errorf("log in as %s: %w", c.user, err)
	}
	answer := c.askOn(ctx, r, query, user)
	return answer, answer.Err
}

// askOn asks on a connection and keeps it if that went well.
func (c *authQuery) askOn(ctx context.Context, r *reader, query, user string) *pgconn.Result {
	answer := r.ExecParams(ctx, query, [][]byte{[]byte(user)}, nil, nil, nil).Read()
	if _, is := errors.AsType[*pgconn.PgError](answer.Err); is || answer.Err == nil {
		c.keep(r)
	} else {
		r.Close(ctx)
	}
	return answer
}

// open logs in. The search path is ours, as nobody else's
// functions may answer in place of PostgreSQL's (CVE-2025-12819 of PgBouncer).
func (c *authQuery) open(ctx context.Context, node int) (*reader, error) {
	target := pool.Target{Database: c.database, User: c.user, Params: pool.EncodeParams([]wire.Param{
		{Name: "application_name", Value: "pgherd auth_query"}, {Name: "search_path", Value: "pg_catalog"}})}
	l, welcome, err := c.connect().logIn(ctx, target.On(node), c.secret)
	if err != nil {
		return nil, err
	}
	conn, err := pgconn.Construct(&pgconn.HijackedConn{Conn: l.conn, PID: welcome.PID, TxStatus: 'I',
		ParameterStatuses: map[string]string{}, Config: &pgconn.Config{
			BuildFrontend: func(r io.Reader, w io.Writer) *pgproto3.Frontend { return pgproto3.NewFrontend(r, w) },
			BuildContextWatcherHandler: func(p *pgconn.PgConn) ctxwatch.Handler {
				return &pgconn.DeadlineContextWatcherHandler{Conn: p.Conn()}
			},
		}})
	if err != nil {
		l.socket.Close()
		return nil, err
	}
	return &reader{PgConn: conn, node: node}, nil
}

// take gives an idle connection to the node, nil if there is none.
func (c *authQuery) take(node int) *reader {
	c.mu.Lock()
	defer c.mu.Unlock()
	for r, timer := range c.idle {
		if r.node == node && timer.Stop() {
			delete(c.idle, r)
			return r
		}
	}
	return nil
}

// keep makes a connection idle, for a while.
func (c *authQuery) keep(r *reader) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		go leave(r)
		return
	}
	c.idle[r] = time.AfterFunc(catalogIdle, func() {
		c.mu.Lock()
		delete(c.idle, r)
		c.mu.Unlock()
		leave(r)
	})
}

// close ends idle connections, and others once they are idle.
func (c *authQuery) close() {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	for r, timer := range c.idle {
		if timer.Stop() {
			delete(c.idle, r)
			go leave(r)
		}
	}
}

// leaveTime is how long a connection may take to be told that we leave.
const leaveTime = time.Second

func leave(r *reader) {
	ctx, cancel := context.WithTimeout(context.Background(), leaveTime)
	defer cancel()
	r.Close(ctx)
}
