package login

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"pgherd/proxy/auth"
	"pgherd/proxy/pool"
	"pgherd/proxy/worker"
)

const (
	// loginsAtOnce limits how many connections of one listener may be logging in; more
	// wait in the kernel's queue. Each listener has its own limit, so that a flood over
	// TCP leaves the Unix socket to the administrator.
	loginsAtOnce = 1000
	// acceptPause is how long accepting pauses after an error, such as too many open
	// files, which a retry would meet again at once.
	acceptPause = 100 * time.Millisecond
)

// Uses are what a Gate needs of others. Each may be called by many goroutines at once.
type Uses struct {
	// Adopt takes over a client that is logged in; Left is called when it has ended.
	Adopt func(worker.Login)
	// Cancel passes a cancel request on and returns when that is done (I10).
	Cancel func(ctx context.Context, pid uint32, key []byte)
	// Verify opens a server with a secret that only PostgreSQL can check, and closes it
	// again; see auth.Server. Its *wire.Fault is for the client. While there is no primary, a
	// standby is asked. Judge is Verify by the primary only.
	Verify, Judge func(ctx context.Context, target pool.Target, secret any) error
	// Gaps counts the beginnings and ends of gaps. While it is odd there is no primary, and
	// what PostgreSQL says of users may come from a standby, which may lag behind.
	Gaps func() uint64
}

// Settings say how clients are let in; they are an immutable snapshot.
type Settings struct {
	Policy            *auth.Policy
	TLS               *tls.Config   // nil: no TLS
	Timeout           time.Duration // authentication_timeout, for the whole of a log-in; 0: no limit
	MaxClients        int           // max_client_conn; 0: no limit
	MaxLogins         int           // max_logins_per_address; 0: no limit
	Failures          FailureRule
	LogConnections    bool
	LogDisconnections bool
}

// Gate accepts clients, logs them in and hands them over. It owns listeners, and
// connections until they are adopted or closed.
type Gate struct {
	log      *slog.Logger
	uses     Uses
	settings atomic.Pointer[Settings]
	entering atomic.Int64 // authenticated, and about to be adopted
	clients  atomic.Int64 // adopted, and not yet ended
	failures *failures
	limiter  limiter
	judging  chan struct{} // has room for as many log-ins as are put to the primary once more at a time

	stopping context.Context // once it is done, log-ins in progress end
	stop     context.CancelFunc
	logins   sync.WaitGroup

	mu        sync.Mutex
	closed    bool
	listeners []net.Listener
}

// NewGate makes a Gate; Configure comes before Serve.
func NewGate(log *slog.Logger, uses Uses) *Gate {
	g := &Gate{log: log, uses: uses, failures: newFailures(time.Now), limiter: limiter{sites: map[netip.Addr]*site{}}, judging: make(chan struct{}, judgedAtOnce)}
	g.stopping, g.stop = context.WithCancel(context.Background())
	return g
}

// Configure replaces the settings; log-ins in progress keep those with which they
// began.
func (g *Gate) Configure(s *Settings) {
	g.settings.Store(s)
	superseded := func() bool { return g.settings.Load() != s || g.stopping.Err() != nil }
	go s.Policy.Passwd.Warm(superseded)
}

// Doubt forgets what PostgreSQL has said about users, because it may have changed.
func (g *Gate) Doubt() { g.settings.Load().Policy.ForgetAll() }

// Serve accepts from l until Close, and then returns nil.
func (g *Gate) Serve(l net.Listener) error {
	if !g.add(l) {
		return l.Close()
	}
	own := make(places, loginsAtOnce)
	resting := false
	for {
		own.take()
		conn, err := l.Accept()
		switch {
		case errors.Is(err, net.ErrClosed):
			return nil
		case err != nil:
			own.drop()
			if !resting { // logged once, not ten times a second
				g.log.Error("cannot accept clients; pgherd keeps trying", "listener", l.Addr().String(), "error", err)
			}
			resting = true
			g.rest(err)
			continue
		}
		resting = false
		g.begin(conn, own)
	}
}

// begin starts a log-in, unless the gate has been closed since conn was accepted,
// because whoever waits for log-ins to end must not miss one.
func (g *Gate) begin(conn net.Conn, own places) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		conn.Close()
		own.drop()
		return
	}
	g.logins.Go(func() {
		defer own.drop()
		g.login(conn, own)
	})
}

func (g *Gate) add(l net.Listener) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.closed {
		g.listeners = append(g.listeners, l)
	}
	return !g.closed
}

// rest pauses for a moment, unless the error concerns one client only.
func (g *Gate) rest(err error) {
	if errors.Is(err, syscall.ECONNABORTED) {
		return
	}
	select {
	case <-time.After(acceptPause):
	case <-g.stopping.Done():
	}
}

// Close stops accepting. Log-ins in progress go on, as a smart shutdown needs.
func (g *Gate) Close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = true
	for _, l := range g.listeners {
		l.Close()
	}
	g.listeners = nil
}

// CloseLogins ends the log-ins in progress, tells their clients, and returns when all
// have ended, after a few seconds at most. It is called after Close.
func (g *Gate) CloseLogins() {
	g.stop()
	g.logins.Wait()
}
