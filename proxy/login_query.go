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
	// catalogConns is how many connections ask auth_query at once.
	catalogConns = 4
	// catalogIdle is how long one is kept for the next question.
	catalogIdle = 30 * time.Second
)

// catalog asks the primary what it stores as users' passwords: auth_query.
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

// reader is a connection to a node that asks auth_query.
type reader struct {
	*pgconn.PgConn
	node int
}

// find is an auth.Finder. A connection that broke while it was idle, as in a
// failover, is replaced once.
func (c *authQuery) find(ctx context.Context, user string) (text string, found bool, err error) {
	select {
	case c.places <- struct{}{}:
		defer func() { <-c.places }()
	case <-ctx.Done():
		return "", false, fmt.Errorf("wait for a connection for auth_query: %w", ctx.Err())
	}
	node, ok := c.primary()
	if !ok {
		return "", false, errors.New("ask auth_query: no primary node is available")
	}
	r := c.take(node)
	if r != nil {
		text, found, err = c.ask(ctx, r, user)
		if err == nil || !r.IsClosed() {
			return text, found, err
		}
	}
	if r, err = c.open(ctx, node); err != nil {
		return "", false, fmt.Errorf("log in as auth_user: %w", err)
	}
	return c.ask(ctx, r, user)
}

// ask asks one question and keeps the connection if that went well.
func (c *authQuery) ask(ctx context.Context, r *reader, user string) (text string, found bool, err error) {
	answer := r.ExecParams(ctx, c.query, [][]byte{[]byte(user)}, nil, nil, nil).Read()
	if answer.Err != nil {
		if _, is := errors.AsType[*pgconn.PgError](answer.Err); is {
			c.keep(r)
		} else {
			r.Close(ctx)
		}
		return "", false, fmt.Errorf("ask auth_query: %w", answer.Err)
	}
	c.keep(r)
	switch {
	case len(answer.Rows) == 0:
		return "", false, nil
	case len(answer.Rows) > 1 || len(answer.FieldDescriptions) != 2:
		return "", false, errors.New("ask auth_query: it must give one row of user name and password")
	case string(answer.Rows[0][0]) != user:
		return "", false, errors.New("ask auth_query: it gave another user's row")
	}
	return string(answer.Rows[0][1]), true, nil
}

// open logs in as auth_user. The search path is ours, as nobody else's
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
