// Package proxy assembles the data plane: it turns a configuration into everybody's
// Settings, starts listeners, workers and probes, connects the parts that need each
// other, and reloads and drains them. It holds no policy.
//
// A client passes through login.Gate, and then through session.Run on a worker.
package proxy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"pgherd/proxy/catalog"
	"pgherd/proxy/config"
	"pgherd/proxy/connect"
	"pgherd/proxy/control"
	"pgherd/proxy/events"
	"pgherd/proxy/health"
	"pgherd/proxy/login"
	"pgherd/proxy/nodes"
	"pgherd/proxy/query"
	"pgherd/proxy/querylog"
	"pgherd/proxy/recovery"
	"pgherd/proxy/ring"
	"pgherd/proxy/session"
	"pgherd/proxy/wire"
	"pgherd/proxy/worker"
)

// Ways to drain.
const (
	Smart     = "smart"     // no new clients; the others may stay until they leave
	Fast      = "fast"      // clients are told that it ends, and disconnected
	Immediate = "immediate" // everything ends now
)

// fastGrace is how long sessions may take to end in a fast drain.
const fastGrace = 10 * time.Second

// bytesPerStatement is about how much memory a parsed statement takes.
const bytesPerStatement = 1 << 10

// Proxy is a running data plane.
type Proxy struct {
	log     *slog.Logger
	version string
	started time.Time
	peers   *Peers // nil: it decides alone
	config  atomic.Pointer[config.Config]
	workers *worker.Workers
	gate    *login.Gate
	connect *connect.Connector
	users   atomic.Pointer[connect.Users]
	prober  *health.Prober
	upkeep
	recovery *recovery.Recovery
	network  network
	control  *control.Server // nil: there is no folder for its socket
	chaser   *health.Chaser
	shared
	lines   *querylog.Writer
	events  events.Ring // keeps what it is told for SHOW POOL_EVENTS
	adopted atomic.Uint64

	draining sync.Mutex
	mode     string // of the drain; "" while it serves
	urge     context.CancelFunc
	over     chan struct{}
	failure  error // why it ended by itself
}

// shared is what all sessions have in common: what they know of SQL, and of the databases in which
// they use it.
type shared struct {
	statements *query.Cache
	memory     session.Memory // of all clients
	catalogs   *catalog.Shared
}

// Start begins to serve: when it returns, clients are accepted. The version is for SHOW
// POOL_VERSION. peers is nil for a pgherd that decides alone.
func Start(ctx context.Context, c *config.Config, log *slog.Logger, version string, peers *Peers) (_ *Proxy, err error) {
	p := &Proxy{peers: peers, version: version, started: time.Now(), over: make(chan struct{}), lines: querylog.NewWriter(log),
		shared: shared{statements: query.NewCache(c.Limits.ParseCache/bytesPerStatement, c.Limits.ParseCache), catalogs: catalog.NewShared()}}
	p.log = p.events.Keep(log)
	go query.Warm()
	p.config.Store(c)
	p.connect = connect.New(p.primary, p.tellers, p.failoverWait)
	p.recovery = recovery.New(recoveryActs{p}, time.Now)
	made, err := p.make(c)
	if err != nil {
		return nil, errors.Join(err, checkListen(ctx, c))
	}
	if err := p.network.watch(c); err != nil { // before the first socket
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.network.close())
		}
	}()
	// Clients that connect from now on wait in the kernel's queue.
	listeners, err := login.Listen(ctx, listenSettingsOf(c))
	if err != nil {
		return nil, blame(c, err)
	}
	p.connect.Configure(made.connect) // it knows passwords, which keepUp asks for
	p.users.Store(made.users)
	p.gate = login.NewGate(log, login.Uses{Adopt: p.adopt, Cancel: p.cancel, Verify: p.connect.Hear, Judge: p.connect.Judge, Gaps: p.gaps})
	p.gate.Configure(made.login)
	decide, err := p.keepUp(ctx, c)
	if err == nil {
		p.workers = worker.NewWorkers(workers(c), p.environment(), p.workerSettings(c, made.routing), &nodes.View{})
		err = decide()
	}
	if err != nil {
		return nil, errors.Join(err, closeAll(listeners))
	}
	p.network.tell(p.sign)
	p.chaser = health.NewChaser(p.log, time.Now, p.role, p.workers.NoteReplayed)
	p.ask(ctx, c, &made)
	if err := p.workers.Start(func() (*ring.Loop, error) { return ring.New(ringSettings(c)) }); err != nil {
		return nil, errors.Join(fmt.Errorf("start workers: %w", err), closeAll(listeners))
	}
	if err := p.serveControl(c); err != nil {
		p.log.Warn("pgherdctl will not be answered", "error", err)
	}
	p.report(ctx)
	go p.lines.Run()
	for _, l := range listeners {
		go p.serve(l)
	}
	return p, nil
}

// ask starts the probes of the nodes, the first of them now.
func (p *Proxy) ask(ctx context.Context, c *config.Config, made *made) {
	s := p.healthSettings(c)
	p.askPatroni(c, made.patroni) // first, so that the first decision knows what Patroni says
	p.prober.Configure(s)
	p.chaser.Configure(s)
	if p.supervisor != nil {
		p.supervisor.Configure(p.supervisorSettings(c))
		ctx, cancel := context.WithTimeout(ctx, settleLimit)
		defer cancel()
		_ = p.supervisor.Settle(ctx) // clients wait for a primary, if there is none yet
	}
}

// settleLimit is how long a start or a reload waits for the first decision.
const settleLimit = 2 * time.Second

func closeAll(listeners []net.Listener) (err error) {
	for _, l := range listeners {
		err = errors.Join(err, l.Close())
	}
	return err
}

// publish makes a View the one that sessions see.
func (p *Proxy) publish(view *nodes.View) { p.workers.Publish(view) }

func (p *Proxy) serve(l net.Listener) {
	if err := p.gate.Serve(l); err != nil {
		p.log.Error("accept clients", "listener", l.Addr().String(), "error", err)
	}
}

// cores is how many cores the process may use, before workers add to it.
var cores = runtime.GOMAXPROCS(0)

// workers is how many there are to be; see docs/decisions/0006-small-transactions.md.
func workers(c *config.Config) int {
	if c.Engine.Workers > 0 {
		return c.Engine.Workers
	}
	return (cores + 1) / 2
}

func ringSettings(c *config.Config) ring.Settings {
	return ring.Settings{Engine: c.Engine.IO, NoStream: !c.Engine.Stream}
}

// report logs the engine that serves clients, and which features of the kernel are not
// used, with the reason.
func (p *Proxy) report(ctx context.Context) {
	views, err := p.workers.Snapshot(ctx)
	if err != nil || len(views) == 0 {
		return
	}
	p.log.Info(engineOf(views, cores))
	for _, f := range p.features(views, p.watchdog()) {
		if !f.Used && f.Reason != "" {
			p.log.Info("kernel feature is not used", "feature", f.Name, "reason", f.Reason, "min_version", f.MinVersion)
		}
	}
}

// engineOf names what serves clients, for instance: io_uring, 1 worker of 2 cores.
func engineOf(views []worker.View, cores int) string {
	engine, plural := "epoll", ""
	if slices.ContainsFunc(views[0].Features, func(f ring.Feature) bool { return f.Name == "io_uring" && f.Used }) {
		engine = "io_uring"
	}
	if len(views) > 1 {
		plural = "s"
	}
	return fmt.Sprintf("%s, %d worker%s of %d cores", engine, len(views), plural, cores)
}

func (p *Proxy) adopt(l worker.Login) {
	p.workers.Adopt(p.adopted.Add(1), l)
}

func (p *Proxy) cancel(ctx context.Context, pid uint32, key []byte) { p.workers.Cancel(ctx, pid, key) }

// Reload applies another configuration without disconnecting anybody. After an error
// the old one stays.
func (p *Proxy) Reload(c *config.Config) error {
	made, err := p.make(c)
	if err != nil {
		return err
	}
	p.config.Store(c)
	p.network.forget(c)
	p.connect.Configure(made.connect)
	p.users.Swap(made.users).Close()
	p.gate.Configure(made.login)
	p.ask(context.Background(), c, &made)
	p.workers.Configure(p.workerSettings(c, made.routing))
	p.events.Keep(slog.New(slog.DiscardHandler)).Info("configuration reloaded") // who asked for it tells the log
	return nil
}

// Drain begins to stop and returns at once. A further call can only make it more
// urgent.
func (p *Proxy) Drain(mode string) {
	p.draining.Lock()
	defer p.draining.Unlock()
	urgency := map[string]int{"": 0, Smart: 1, Fast: 2, Immediate: 3}
	if urgency[mode] <= urgency[p.mode] {
		return
	}
	p.gate.Close()
	if p.urge != nil {
		p.urge()
	}
	var ctx context.Context
	ctx, p.urge = context.WithCancel(context.Background())
	p.mode = mode
	go p.drain(ctx, mode)
}

// drain ends all sessions and then everything else. A more urgent drain cancels ctx and
// takes over.
func (p *Proxy) drain(ctx context.Context, mode string) {
	limit := fastGrace
	switch mode {
	case Smart:
		limit = p.config.Load().Timeouts.Drain
	case Fast:
		p.gate.CloseLogins()
		p.workers.Evict(&wire.Fault{Severity: "FATAL", Code: "57P01", Message: "terminating connection due to administrator command"})
	case Immediate:
		p.gate.CloseLogins()
		p.end()
		return
	}
	waiting := ctx
	if limit > 0 {
		var cancel context.CancelFunc
		waiting, cancel = context.WithTimeout(ctx, limit)
		defer cancel()
	}
	err := p.workers.Drained(waiting)
	switch {
	case ctx.Err() != nil: // a more urgent drain has begun
	case err != nil && mode == Smart:
		p.log.Warn("clients have not left within drain_timeout; their sessions are ended", "drain_timeout", limit)
		p.Drain(Fast)
	default:
		p.gate.CloseLogins()
		p.end()
	}
}

// fail ends the process, because without one of its workers it would serve some clients
// and leave others waiting.
func (p *Proxy) fail(err error) {
	p.draining.Lock()
	p.failure = err
	p.draining.Unlock()
	p.Drain(Immediate)
}

// end stops everything; it is done once.
func (p *Proxy) end() {
	p.draining.Lock()
	defer p.draining.Unlock()
	select {
	case <-p.over:
		return
	default:
	}
	if p.control != nil {
		_ = p.control.Close()
	}
	p.prober.Close()
	if p.patroni != nil {
		p.patroni.Close()
	}
	if p.supervisor != nil {
		p.supervisor.Close()
	}
	if p.scripted != nil {
		p.scripted.close()
	}
	p.chaser.Close()
	p.users.Load().Close()
	p.workers.Stop()
	p.lines.Close()
	if err := p.network.close(); err != nil {
		p.log.Warn("stop watching connections", "error", err)
	}
	close(p.over)
}

// Wait returns when the proxy has stopped.
func (p *Proxy) Wait() error {
	<-p.over
	return errors.Join(p.failure, p.workers.Closed(stopGrace))
}

// stopGrace is how long the workers may take to close.
const stopGrace = 5 * time.Second
