// Package login is the front: it listens, accepts clients, reads what they begin with (TLS,
// start-up packet), lets package auth authenticate them, and hands them over. It bounds how many
// log in at once, how long that may take, and how often they may fail. A Gate owns a connection
// until it is adopted or closed. What it needs of others it gets as Uses.
package login

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
	"syscall"
	"time"

	"pgherd/proxy/auth"
	"pgherd/proxy/session"
	"pgherd/proxy/wire"
	"pgherd/proxy/worker"
)

// login is one client's connection until it is adopted or closed. One goroutine owns
// it. Everything that it waits for ends at one deadline.
type login struct {
	gate      *Gate
	settings  *Settings
	socket    net.Conn          // the accepted connection
	conn      net.Conn          // carries the messages: socket, or TLS on it
	tls       *tls.Conn         // nil: plain
	transport *worker.Transport // under tls

	peer    auth.Peer
	client  session.Client
	started bool // a start-up packet has come; from here on the client causes a delay
	proving bool // the client is proving who it is; if the connection ends now, that counts as a failure
	adopted bool
}

// longAgo is a deadline that ends every wait now.
var longAgo = time.Unix(1, 0)

// login sets up one client, which has a place among own.
func (g *Gate) login(socket net.Conn, own places) {
	settings := g.settings.Load()
	ctx, cancel := settings.limit(g.stopping)
	defer cancel()
	if deadline, limited := ctx.Deadline(); limited {
		socket.SetDeadline(deadline)
	}
	interrupt := context.AfterFunc(g.stopping, func() { socket.SetDeadline(longAgo) })
	defer interrupt()
	l := &login{gate: g, settings: settings, socket: socket, conn: socket}
	l.locate()
	if settings.LogConnections {
		g.log.Info("client connected", "host", l.client.Host, "port", l.client.Port)
	}
	left, err := l.admit(ctx, own)
	defer left()
	if err == nil {
		err = l.run(ctx)
	}
	l.judge(err)
	if err != nil {
		interrupt()
		l.fail(err)
	}
	if !l.adopted {
		l.socket.Close()
	}
}

// limit is ctx with the login's deadline, if there is one.
func (s *Settings) limit(ctx context.Context) (context.Context, context.CancelFunc) {
	if s.Timeout > 0 {
		return context.WithTimeout(ctx, s.Timeout)
	}
	return context.WithCancel(ctx)
}

// locate notes where the client is.
func (l *login) locate() {
	at, ok := l.socket.RemoteAddr().(*net.TCPAddr)
	if !ok {
		l.peer.Local, l.client.Host = true, "[local]"
		return
	}
	addr := at.AddrPort().Addr().Unmap()
	l.peer.Addr, l.peer.Own = addr.WithZone(""), ownNetworks
	l.client.Host, l.client.Port = addr.String(), strconv.Itoa(at.Port)
}

// ownNetworks are this host's addresses. After an error there are none, and rules with
// samehost or samenet do not match.
func ownNetworks() (own []netip.Prefix) {
	addrs, _ := net.InterfaceAddrs()
	for _, addr := range addrs {
		if p, err := netip.ParsePrefix(addr.String()); err == nil {
			own = append(own, netip.PrefixFrom(p.Addr().Unmap(), p.Bits()))
		}
	}
	return own
}

// run is the whole of a log-in: first packets, authentication, hand-over.
func (l *login) run(ctx context.Context) error {
	first, err := l.firstPacket()
	if err != nil {
		return err
	}
	if first.Kind == wire.FirstCancelRequest {
		l.gate.uses.Cancel(ctx, first.PID, first.Key)
		return nil
	}
	l.started = true
	if err := l.startUp(&first); err != nil {
		return err
	}
	if err := l.barredUser(); err != nil {
		return err
	}
	if err := l.agree(&first); err != nil {
		return err
	}
	l.proving = true
	gaps := l.gate.uses.Gaps()
	grant, err := l.settings.Policy.Check(ctx, l.conn, l.peer)
	l.proving = err != nil
	if err != nil {
		return err
	}
	l.client.Target.Sharing = grant.Sharing(l.peer.User)
	l.client.Secret = grant.Secret
	if grant.Proof == auth.Server {
		if err := l.gate.uses.Verify(ctx, l.client.Target, grant.Secret); err != nil {
			return fmt.Errorf("let the server judge the password: %w", err)
		}
	}
	if now := l.gate.uses.Gaps(); grant.Told && (now != gaps || now%2 == 1) {
		l.client.Confirm = l.confirmer(grant)
	}
	return l.handOver(&grant)
}

// confirmer returns a function that lets the primary decide about the log-in, which a standby
// may have decided about. It blocks.
func (l *login) confirmer(grant auth.Grant) func() error {
	policy, peer, target, gate := l.settings.Policy, l.peer, l.client.Target, l.gate
	return func() error {
		return gate.inTurn(func(ctx context.Context) error {
			if err := policy.Confirm(ctx, peer, &grant); err != nil {
				return err
			}
			return gate.uses.Judge(ctx, target, grant.Secret)
		})
	}
}

const (
	// judgedAtOnce limits how many log-ins are put to the primary once more at a time: after a failover it has others to serve.
	judgedAtOnce = 4
	// confirmLimit is how long one of them may take, together with its wait for the others. It is tried again after that.
	confirmLimit = 5 * time.Second
)

// inTurn calls ask once fewer than judgedAtOnce are at it.
func (g *Gate) inTurn(ask func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), confirmLimit)
	defer cancel()
	select {
	case g.judging <- struct{}{}:
		defer func() { <-g.judging }()
	case <-ctx.Done():
		return &undecided
	}
	if err := ask(ctx); err == nil || ctx.Err() == nil {
		return err
	}
	return &undecided
}

// undecided is the error where the primary was asked in vain whether it lets a client in. It is asked again.
var undecided = wire.Fault{Severity: "FATAL", Code: "57P03", Message: "the primary has not confirmed the log-in of this session in time",
	Detail: "This has taken longer than " + confirmLimit.String() + ".", Hint: "Repeat this later."}

// handOver gives the client to a worker, if there is room.
func (l *login) handOver(grant *auth.Grant) error {
	g := l.gate
	entering := g.entering.Add(1)
	defer g.entering.Add(-1)
	if limit := l.settings.MaxClients; limit > 0 && int(g.clients.Load()+entering) > limit {
		return &wire.Fault{Severity: "FATAL", Code: "53300", Message: "sorry, too many clients already",
			Detail: fmt.Sprintf("pgherd has %d clients, as many as max_client_conn allows.", limit),
			Hint:   "Raise max_client_conn, or let applications close connections that they do not use."}
	}
	fd, err := worker.Detach(l.socket)
	if err != nil {
		return err
	}
	l.adopted = true // the descriptor belongs to the worker from here on
	l.client.TLS = describeTLS(l.tls)
	l.client.LoggedIn = time.Now()
	if l.settings.LogConnections {
		g.log.Info("client logged in", "host", l.client.Host, "port", l.client.Port, "user", l.peer.User,
			"database", l.peer.Database, "application", l.client.Application, "method", grant.Method,
			"line", grant.Line, "tls", l.client.TLS)
	}
	g.clients.Add(1)
	g.uses.Adopt(worker.Login{Socket: worker.Socket{FD: fd, TLS: l.tls, Transport: l.transport}, Client: l.client})
	return nil
}

// fail logs once why a log-in ended, and tells the client if that is possible.
func (l *login) fail(err error) {
	log := l.gate.log.With("host", l.client.Host, "port", l.client.Port)
	if l.peer.User != "" {
		log = log.With("user", l.peer.User, "database", l.peer.Database)
	}
	fault, told := errors.AsType[*wire.Fault](err)
	switch {
	case l.gate.stopping.Err() != nil:
		if l.started {
			l.tell(&wire.Fault{Severity: "FATAL", Code: "57P03", Message: "pgherd is shutting down"})
		}
	case errors.Is(err, errBarred):
		log.Debug("login refused", "sqlstate", fault.Code, "reason", err.Error())
		l.tell(fault)
	case told:
		log.Warn("login refused", "sqlstate", fault.Code, "reason", err.Error())
		l.tell(fault)
	case timedOut(err):
		log.Warn("login refused", "reason", "it took longer than authentication_timeout", "timeout", l.settings.Timeout)
		if l.started {
			l.tell(&wire.Fault{Severity: "FATAL", Code: "57014", Message: "canceling authentication due to timeout"})
		}
	case errors.Is(err, io.EOF), !l.started && errors.Is(err, syscall.ECONNRESET):
		// a probe, or psql that goes to ask for the password
		log.Debug("client went away before it was logged in")
	default:
		log.Warn("login failed", "reason", err.Error())
	}
}

func timedOut(err error) bool {
	ne, ok := errors.AsType[net.Error](err)
	return errors.Is(err, context.DeadlineExceeded) || ok && ne.Timeout()
}
