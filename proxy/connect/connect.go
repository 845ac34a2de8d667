// Package connect opens connections to nodes: it dials, negotiates TLS as configured, logs in, and
// asks a new server what the log-in itself does not tell. It also sends cancel requests, lets
// PostgreSQL check a password, and asks about users (Users). Its calls block, each on the goroutine
// that makes it. It does not know why a server is wanted, and is told which node is the primary,
// and which is asked about users.
package connect

import (
	"context"
	"errors"
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

// Address is how to reach a node.
type Address struct {
	Name    string // for messages: "node 1 (db1:5432)"
	Network string // "tcp" or "unix"
	Address string // as net.Dial wants it
	TLS     *certs.Node
	Control func(network, address string, raw syscall.RawConn) error // called for a socket before it connects; may be nil
	Timeout time.Duration                                            // connect_timeout, for the whole of an opening or a cancel; 0: no timeout of its own
}

// Settings are how servers are opened: an immutable snapshot.
type Settings struct {
	Nodes        map[int]Address
	LoginTimeout time.Duration // for the whole of an opening or a cancel, where the node has no timeout of its own; 0: none
	KeepAlive    net.KeepAliveConfig
	Binding      string // server_channel_binding
	Learns       bool   // asks servers for their timeouts
	Passwd       *auth.Passwd
	Lookup       *auth.Lookup // called for a password that a server refuses; may be nil
}

// Values of server_channel_binding. All others mean that it is used where it is
// offered.
const (
	bindingOff      = "disable"
	bindingRequired = "require"
)

// access are the credentials for the log-in over l.
func (s *Settings) access(l *link, secret any) auth.Access {
	known, _ := secret.(auth.Secret) // an empty password is as good as none
	a := auth.Access{Secret: known, Bound: s.Binding == bindingRequired}
	if l.tls != nil && s.Binding != bindingOff {
		a.Binding = auth.EndPoint(l.tls.ConnectionState().PeerCertificates[0])
	}
	return a
}

// limit applies the timeout to an opening or a cancel, unless the configuration has
// none.
func (s *Settings) limit(ctx context.Context, node int) (context.Context, context.CancelFunc) {
	limit := s.Nodes[node].Timeout
	if limit == 0 {
		limit = s.LoginTimeout
	}
	if limit == 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, limit)
}

// Connector opens connections to nodes. Its methods block, each on the goroutine that
// calls it, and may be called by many at once.
type Connector struct {
	primary  func() (node int, ok bool)
	tellers  func() []int
	patience func() time.Duration
	settings atomic.Pointer[Settings]
}

// New makes a Connector; primary tells it which node is the primary, tellers which nodes are
// asked about users now (the primary, or the standbys while there is none), and patience how long a
// log-in waits at most for one of them; 0: not at all. Configure comes before anything else.
func New(primary func() (node int, ok bool), tellers func() []int, patience func() time.Duration) *Connector {
	return &Connector{primary: primary, tellers: tellers, patience: patience}
}

// Configure swaps the settings.
func (c *Connector) Configure(s *Settings) { c.settings.Store(s) }

// Open logs in to the node of key. The error has a *wire.Fault for the client in it. It
// is the server's own, or one of class 08 if the node could not be reached (08001),
// ended the connection (08006) or does not speak the protocol (08P01).
func (c *Connector) Open(ctx context.Context, key pool.Key, secret any) (worker.Opened, error) {
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

// learn asks a server what its log-in does not tell. An error means that the connection is
// broken.
func (c *Connector) learn(ctx context.Context, l *link, key pool.Key, o *worker.Opened) error {
	s := c.settings.Load()
	if key.Target().Replication {
		return nil
	}
	ctx, cancel := s.limit(ctx, key.Node)
	defer cancel()
	interrupt := context.AfterFunc(ctx, func() { l.socket.SetDeadline(longAgo) })
	rows, err := askOnce(l.conn, pool.AdmissionQuestion)
	o.Finding = pool.ReadFinding(rows)
	if err == nil && s.Learns {
		err = learnTimeouts(l.conn, o)
	}
	if !interrupt() && err == nil {
		err = ctx.Err()
	}
	return err
}

// Verify logs in to a node and leaves at once, so that PostgreSQL checks a password
// (see auth.Server).
func (c *Connector) Verify(ctx context.Context, node int, target pool.Target, secret any) error {
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

// Judge lets PostgreSQL decide about a log-in, on its primary. An error has a *wire.Fault for the
// client in it.
func (c *Connector) Judge(ctx context.Context, target pool.Target, secret any) error {
	primary, ok := c.primary()
	if !ok {
		return &wire.Fault{Severity: "FATAL", Code: "57P03", Message: "no primary node is available"}
	}
	return c.Verify(ctx, primary, target, secret)
}

// Hear is Judge by a teller, which may be a standby that lags behind. It waits for one.
func (c *Connector) Hear(ctx context.Context, target pool.Target, secret any) error {
	return c.patiently(ctx, func(teller int) error { return c.Verify(ctx, teller, target, secret) })
}

// Secret is the credentials with which a user's servers are opened without a client;
// false if there are none that work.
func (c *Connector) Secret(user string) (any, bool) {
	secret := c.settings.Load().Passwd.Find(user)
	return secret, secret.CanLogIn()
}

func (c *Connector) nameOf(node int) string { return c.settings.Load().Nodes[node].Name }

// logIn opens a link to the node of key and logs in on it. It removes its deadline
// again.
func (c *Connector) logIn(ctx context.Context, key pool.Key, secret any) (*link, auth.Welcome, error) {
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
		return nil, auth.Welcome{}, openFailure(s.Nodes[key.Node].Name, err)
	}
	return l, welcome, nil
}

// contradict reports a password of auth_query's that a server refuses.
func (s *Settings) contradict(user string, err error) {
	if f, is := errors.AsType[*wire.Fault](err); is && f.Code == "28P01" && s.Lookup != nil {
		s.Lookup.Forget(user)
	}
}

// replicationParam asks for replication; it is physical if it concerns the whole node.
const (
	replicationParam = "replication"
	physical         = "true"
)

// startParams are the parameters of a start-up packet.
func startParams(t pool.Target) []wire.Param {
	params := []wire.Param{{Name: "user", Value: t.User}, {Name: "database", Value: t.Database}}
	asked := false
	for _, p := range pool.DecodeParams(t.Params) {
		asked = asked || p.Name == replicationParam
		params = append(params, p)
	}
	if t.Replication && !asked {
		params = append(params, wire.Param{Name: replicationParam, Value: physical})
	}
	return params
}
