package connect

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
	// usersConns limits the connections that ask about users at the same time.
	usersConns = 4
	// usersIdle is how long one is kept for the next question.
	usersIdle = 30 * time.Second
)

// UsersSettings say as whom, and with which query, PostgreSQL is asked about users.
type UsersSettings struct {
	Query    string // auth_query
	Database string
	User     string
	Secret   auth.Secret
}

// Users asks for users' stored passwords, and of which roles they are members: the primary, or
// a standby while there is no primary.
type Users struct {
	connect  *Connector
	settings UsersSettings
	places   chan struct{}

	mu     sync.Mutex
	closed bool
	idle   map[*reader]*time.Timer
}

// NewUsers asks over connections of c.
func NewUsers(c *Connector, s UsersSettings) *Users {
	return &Users{connect: c, settings: s, places: make(chan struct{}, usersConns), idle: map[*reader]*time.Timer{}}
}

// reader is a connection to a node for questions about users.
type reader struct {
	*pgconn.PgConn
	node int
}

// Find is an auth.Finder.
func (u *Users) Find(ctx context.Context, user string) (text string, found bool, err error) {
	answer, err := u.ask(ctx, u.settings.Query, user)
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

// membersQuery returns the roles of which user $1 is a member, and the user; see
// auth.MembersFinder. Everybody may read these catalogs.
const membersQuery = `WITH RECURSIVE member(oid) AS (
	SELECT oid FROM pg_catalog.pg_roles WHERE rolname = $1
	UNION SELECT m.roleid FROM pg_catalog.pg_auth_members m JOIN member ON m.member = member.oid)
	SELECT r.rolname FROM pg_catalog.pg_roles r JOIN member ON r.oid = member.oid`

// Members is an auth.MembersFinder.
func (u *Users) Members(ctx context.Context, user string) (roles []string, err error) {
	answer, err := u.ask(ctx, membersQuery, user)
	if err != nil {
		return nil, fmt.Errorf("ask for roles: %w", err)
	}
	for _, row := range answer.Rows {
		roles = append(roles, string(row[0]))
	}
	return roles, nil
}

// ask asks one question about a user. It waits for a node that can be asked.
func (u *Users) ask(ctx context.Context, query, user string) (*pgconn.Result, error) {
	select {
	case u.places <- struct{}{}:
		defer func() { <-u.places }()
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for a connection: %w", ctx.Err())
	}
	var answer *pgconn.Result
	err := u.connect.patiently(ctx, func(teller int) (err error) {
		answer, err = u.askNode(ctx, teller, query, user)
		return err
	})
	return answer, err
}

// askNode asks one node. A connection that broke while it was idle, as after a failover, is
// replaced once.
func (u *Users) askNode(ctx context.Context, node int, query, user string) (*pgconn.Result, error) {
	if r := u.take(node); r != nil {
		if answer := u.askOn(ctx, r, query, user); answer.Err == nil || !r.IsClosed() {
			return answer, answer.Err
		}
	}
	r, err := u.open(ctx, node)
	if err != nil {
		return nil, fmt.Errorf("log in as %s: %w", u.settings.User, err)
	}
	answer := u.askOn(ctx, r, query, user)
	if answer.Err != nil && r.IsClosed() {
		return answer, openFailure(u.connect.nameOf(node), answer.Err)
	}
	return answer, answer.Err
}

// askOn asks on a connection, and keeps the connection if that succeeds.
func (u *Users) askOn(ctx context.Context, r *reader, query, user string) *pgconn.Result {
	answer := r.ExecParams(ctx, query, [][]byte{[]byte(user)}, nil, nil, nil).Read()
	if _, is := errors.AsType[*pgconn.PgError](answer.Err); is || answer.Err == nil {
		u.keep(r)
	} else {
		r.Close(ctx)
	}
	return answer
}

// open logs in. It sets the search path, so that nobody else's functions can answer in
// place of PostgreSQL's (CVE-2025-12819 of PgBouncer).
func (u *Users) open(ctx context.Context, node int) (*reader, error) {
	target := pool.Target{Database: u.settings.Database, User: u.settings.User, Params: pool.EncodeParams([]wire.Param{
		{Name: "application_name", Value: "pgherd auth_query"}, {Name: "search_path", Value: "pg_catalog"}})}
	l, welcome, err := u.connect.logIn(ctx, target.On(node), u.settings.Secret)
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

// take returns an idle connection to the node, or nil if there is none.
func (u *Users) take(node int) *reader {
	u.mu.Lock()
	defer u.mu.Unlock()
	for r, timer := range u.idle {
		if r.node == node && timer.Stop() {
			delete(u.idle, r)
			return r
		}
	}
	return nil
}

// keep makes a connection idle, for a while.
func (u *Users) keep(r *reader) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.closed {
		go leave(r)
		return
	}
	u.idle[r] = time.AfterFunc(usersIdle, func() {
		u.mu.Lock()
		delete(u.idle, r)
		u.mu.Unlock()
		leave(r)
	})
}

// Close closes idle connections now, and the others once they are idle. It may be
// called on nil.
func (u *Users) Close() {
	if u == nil {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.closed = true
	for r, timer := range u.idle {
		if timer.Stop() {
			delete(u.idle, r)
			go leave(r)
		}
	}
}

// leaveTime limits how long it may take to say goodbye on a connection.
const leaveTime = time.Second

func leave(r *reader) {
	ctx, cancel := context.WithTimeout(context.Background(), leaveTime)
	defer cancel()
	r.Close(ctx)
}
