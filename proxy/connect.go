package proxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"syscall"
	"time"

	"pgherd/proxy/auth"
	"pgherd/proxy/certs"
	"pgherd/proxy/pool"
	"pgherd/proxy/wire"
	"pgherd/proxy/worker"
)

// nodeAddress is how to reach a node.
type nodeAddress struct {
	name    string // for messages: "node 1 (db1:5432)"
	network string // "tcp" or "unix"
	address string // as net.Dial wants it
	tls     *certs.Node
	timeout time.Duration // connect_timeout, for all of an opening or a cancel; 0: none of its own
}

// connectSettings are how servers are opened: an immutable snapshot.
type connectSettings struct {
	nodes        map[int]nodeAddress
	loginTimeout time.Duration // for all of an opening or a cancel, where the node has no timeout; 0: none
	keepAlive    net.KeepAliveConfig
	userTimeout  time.Duration // TCP_USER_TIMEOUT; 0: the kernel's
	binding      string        // server_channel_binding
	learns       bool          // servers are asked for their timeouts
	passwd       *auth.Passwd
	lookup       *auth.Lookup // told of passwords that servers refuse; may be nil
}

// Values of server_channel_binding; all others mean to use it where it is offered.
const (
	bindingOff      = "disable"
	bindingRequired = "require"
)

// access is what to log in with over l.
func (s *connectSettings) access(l *link, secret any) auth.Access {
	known, _ := secret.(auth.Secret) // nothing is as good as an empty one
	a := auth.Access{Secret: known, Bound: s.binding == bindingRequired}
	if l.tls != nil && s.binding != bindingOff {
		a.Binding = auth.EndPoint(l.tls.ConnectionState().PeerCertificates[0])
	}
	return a
}

// limit bounds an opening or a cancel, unless the configuration says not to.
func (s *connectSettings) limit(ctx context.Context, node int) (context.Context, context.CancelFunc) {
	limit := s.nodes[node].timeout
	if limit == 0 {
		limit = s.loginTimeout
	}
	if limit == 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, limit)
}

// connector opens connections to nodes. Its methods block, each on the
// goroutine that calls it, and may be called from many at once.
type connector struct {
	settings atomic.Pointer[connectSettings]
}

func newConnector(s *connectSettings) *connector {
	c := &connector{}
	c.settings.Store(s)
	return c
}

// configure swaps the settings.
func (c *connector) configure(s *connectSettings) { c.settings.Store(s) }

// Open logs in to the node of key. The error has a *wire.Fault for the
// client in it: the server's own, or one of class 08 if the node could not be
// reached (08001), broke off (08006) or does not speak the protocol (08P01).
func (c *connector) Open(ctx context.Context, key pool.Key, secret any) (worker.Opened, error) {
	l, welcome, err := c.logIn(ctx, key, secret)
	if err != nil {
		return worker.Opened{}, err
	}
	o := worker.Opened{PID: welcome.PID, CancelKey: welcome.CancelKey, Params: welcome.Params}
	if err := c.learn(ctx, l, key, &o); err != nil {
		l.socket.Close()
		return worker.Opened{}, openFailure(c.nameOf(key.Node), err)
	}
	fd, err := worker.Detach(l.socket)
	if err != nil {
		return worker.Opened{}, err
	}
	o.Socket = worker.Socket{FD: fd, TLS: l.tls, Transport: l.transport}
	return o, nil
}

// learn asks a server what its log-in does not tell. An error is that the connection broke.
func (c *connector) learn(ctx context.Context, l *link, key pool.Key, o *worker.Opened) error {
	s := c.settings.Load()
	if key.Target().Replication {
		return nil
	}
	ctx, cancel := s.limit(ctx, key.Node)
	defer cancel()
	interrupt := context.AfterFunc(ctx, func() { l.socket.SetDeadline(longAgo) })
	rows, err := askOnce(l.conn, pool.AdmissionQuestion)
	o.Finding = pool.ReadFinding(rows)
	if err == nil && s.learns {
		err = learnTimeouts(l.conn, o)
	}
	if !interrupt() && err == nil {
		err = ctx.Err()
	}
	return err
}

// Verify logs in to a node and leaves at once, to have PostgreSQL judge a
// password (see auth.Server).
func (c *connector) Verify(ctx context.Context, node int, target pool.Target, secret any) error {
	l, _, err := c.logIn(ctx, target.On(node), secret)
	if err != nil {
		return err
	}
	defer l.socket.Close()
	if _, err := l.conn.Write(wire.AppendTerminate(nil)); err != nil {
		return &openError{fault: broke(c.nameOf(node)), cause: err}
	}
	return nil
}

// Secret is what servers of a user without a client are opened with; false
// if that cannot work.
func (c *connector) Secret(user string) (any, bool) {
	secret := c.settings.Load().passwd.Find(user)
	return secret, secret.CanLogIn()
}

func (c *connector) nameOf(node int) string { return c.settings.Load().nodes[node].name }

// logIn opens a link to the node of key and logs in on it. Its deadline is
// lifted again.
func (c *connector) logIn(ctx context.Context, key pool.Key, secret any) (*link, auth.Welcome, error) {
	s := c.settings.Load()
	ctx, cancel := s.limit(ctx, key.Node)
	defer cancel()
	l, err := s.dial(ctx, key.Node)
	if err != nil {
		return nil, auth.Welcome{}, err
	}
	interrupt := context.AfterFunc(ctx, func() { l.socket.SetDeadline(longAgo) })
	welcome, err := auth.LogIn(l.conn, startParams(key.Target()), s.access(l, secret))
	if !interrupt() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		l.socket.Close()
		s.contradict(key.Target().User, err)
		return nil, auth.Welcome{}, openFailure(s.nodes[key.Node].name, err)
	}
	return l, welcome, nil
}

// contradict: a password that a server refuses is not what auth_query said.
func (s *connectSettings) contradict(user string, err error) {
	if f, is := errors.AsType[*wire.Fault](err); is && f.Code == "28P01" && s.lookup != nil {
		s.lookup.Forget(user)
	}
}

// startParams are a start-up packet's parameters.
func startParams(t pool.Target) []wire.Param {
	params := []wire.Param{{Name: "user", Value: t.User}, {Name: "database", Value: t.Database}}
	asked := false
	for _, p := range pool.DecodeParams(t.Params) {
		asked = asked || p.Name == replicationParam
		params = append(params, p)
	}
	if t.Replication && !asked {
		params = append(params, wire.Param{Name: replicationParam, Value: string(physical)})
	}
	return params
}

// openError is why a node could not be used: what a client is told, and what
// our log needs.
type openError struct {
	fault wire.Fault
	cause error
}

func (e *openError) Error() string { return fmt.Sprintf("%s: %v", e.fault.Message, e.cause) }

func (e *openError) Unwrap() []error { return []error{&e.fault, e.cause} }

// openFailure passes a fault on as it is and makes one of anything else.
func openFailure(name string, err error) error {
	if _, is := errors.AsType[*wire.Fault](err); is {
		return err
	}
	return &openError{fault: broke(name), cause: err}
}

// unreachable says that no connection came about.
func unreachable(name string, cause error) *openError {
	f := wire.Fault{Severity: "FATAL", Code: "08001", Message: "cannot connect to " + name,
		Hint: "Check that PostgreSQL runs there and that pgherd may reach it."}
	if errno, ok := errors.AsType[syscall.Errno](cause); ok {
		f.Detail = errno.Error()
	} else if errors.Is(cause, context.DeadlineExceeded) {
		f.Detail = "It took too long."
	}
	return &openError{fault: f, cause: cause}
}

// broke says that a connection ended while it was set up.
func broke(name string) wire.Fault {
	return wire.Fault{Severity: "FATAL", Code: "08006", Message: "connection to " + name + " broke while logging in",
		Hint: "The log of that PostgreSQL may tell why."}
}
