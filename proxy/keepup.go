package proxy

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"pgherd/proxy/auth"
	"pgherd/proxy/config"
	"pgherd/proxy/executor"
	"pgherd/proxy/failover"
	"pgherd/proxy/health"
	"pgherd/proxy/nodes"
	"pgherd/proxy/nodesql"
	"pgherd/proxy/patroni"
	"pgherd/proxy/supervisor"
)

// upkeep is what keeps the herd up.
type upkeep struct {
	// supervisor has another primary when one is lost; nil: nobody here does.
	supervisor *supervisor.Supervisor
	patroni    *patroni.Poller // nil: it is not Patroni that decides
	scripted   *scripted       // nil: pgherd runs no commands
	cluster    Cluster         // nil: this pgherd is alone
}

// keepUp prepares to keep the herd up: by a supervisor, or, where pgherd is to promote nobody or
// cannot, by a follower of what the nodes say. Where Patroni promotes, the supervisor does as
// that says. decide begins it; the workers have to be there by then.
func (p *Proxy) keepUp(ctx context.Context, c *config.Config) (decide func() error, err error) {
	follow := health.NewFollower(p.log, time.Now, p.publish).Saw
	p.prober = health.New(p.log, time.Now, follow)
	if !mayFailOver(c) {
		return p.onlyJoin, nil
	}
	access := p.accessOf(c)
	if why := p.hindrance(ctx, c); why != "" && p.peers != nil {
		return nil, fmt.Errorf("decide with other pgherds: %s; grant what is missing, or set failover_mode to patroni or off", why)
	} else if why != "" {
		p.log.Error("failover is off: "+why, "hint", "Grant what is missing, or set failover_mode to patroni or off.")
		return p.onlyJoin, nil
	}
	herd, err := p.lastHerd(c)
	if err != nil {
		return nil, err
	}
	uses := supervisor.Uses{Log: p.log, Clock: boottime, Date: time.Now, Publish: p.publish, Look: func(node int) { p.prober.Suspect(node, false) }}
	do := acts{executor.New(access), p}
	switch c.Failover.Mode {
	case config.ModePatroni:
		uses.Acts = observing{passive{do}}
		p.patroni = patroni.New(p.log, boottime, time.Now, func(all map[int]failover.Report) { p.supervisor.Heard(all) })
	case config.ModeScript:
		uses.Acts = scripting{passive{do}}
	default:
		uses.Acts = do
	}
	if p.patroni == nil {
		p.scripted = newScripted(p, herd.Former)
		uses.Changed = p.scripted.changed
	}
	p.supervisor = supervisor.New(uses, herd)
	p.prober = health.New(p.log, time.Now, p.supervisor.Saw)
	return func() error { return p.decide(c, herd) }, nil
}

// lastHerd is the herd with which to begin. What peers have decided is in their log, and not in this pgherd's file.
func (p *Proxy) lastHerd(c *config.Config) (failover.Herd, error) {
	if c.Files.DiscardStatus || p.peers != nil {
		return failover.New(), nil
	}
	herd, err := stateFile(c).Load()
	switch {
	case errors.Is(err, supervisor.ErrOtherNodes):
		p.log.Warn("the herd's state is given up", "error", err)
	case err != nil:
		return herd, fmt.Errorf("%w; pgherd start -D begins without it", err)
	}
	return herd, nil
}

// mayFailOver says that the configuration wants pgherd to have another primary when one is lost.
func mayFailOver(c *config.Config) bool {
	if c.Failover.Mode == config.ModeOff || len(c.Nodes) < 2 || !asksNodes(c) {
		return false
	}
	for _, n := range c.Nodes {
		if n.Flags.AlwaysPrimary {
			return false
		}
	}
	return true
}

// stateFile is where the herd's state outlives the process. Pgpool-II's name has no port in it,
// and the format is another.
func stateFile(c *config.Config) supervisor.File {
	f := supervisor.File{Path: filepath.Join(c.Files.WorkDir, "pgherd_state."+strconv.Itoa(c.Listen.Port)+".json")}
	for _, n := range c.Nodes {
		f.Nodes = append(f.Nodes, fmt.Sprintf("%d %s:%d", n.Index, n.Host, n.Port))
	}
	return f
}

// member is the name of this pgherd among those that decide; it is alone.
const member = "self"

func (p *Proxy) supervisorSettings(c *config.Config) (s supervisor.Settings) {
	p.askMembers(c, &s)
	f := &s.Failover
	f.OnError, f.OnShutdown, f.RestartGrace = c.Failover.OnError, c.Failover.OnShutdown, c.Failover.RestartGrace
	f.AutoFailback, f.AutoFailbackAfter = c.Failover.AutoFailback, c.Failover.FailbackAfter
	f.AllowLoss, f.SearchPrimaryWithin = c.Failover.DataLoss == "allow", c.Failover.SearchPrimary
	f.SightsLast = 3 * checkEvery // at least: a check may last longer than its period
	f.Commands.Follow = c.Failover.Commands.FollowPrimary != ""
	f.Commands.Promote = c.Failover.Mode == config.ModeScript
	if c.Failover.Mode == config.ModePatroni { // which makes a standby of each primary that is lost
		f.Patroni, f.ReportsLast, f.AutoFailback = true, reportsLast(c), true
	}
	for _, text := range c.Failover.Candidates {
		n, _ := strconv.Atoi(text) // config has tried it
		f.Candidates = append(f.Candidates, n)
	}
	for _, n := range c.Nodes {
		f.Nodes = append(f.Nodes, failover.NodeSettings{Index: n.Index, Retries: n.Health.Retries, Keep: n.Flags.DisallowFailover})
		f.SightsLast = max(f.SightsLast, 3*checkPeriod(c, &n))
	}
	return s
}

// checkEvery is how often nodes are checked that failover watches, where nothing else is set.
const checkEvery = time.Second

// checkPeriod is how often a node is checked.
func checkPeriod(c *config.Config, n *config.Node) time.Duration {
	switch {
	case n.Health.Period > 0:
		return n.Health.Period
	case mayFailOver(c):
		return checkEvery
	}
	return c.Streaming.Period
}

// boottime is a clock that is never set, and counts while the machine is suspended.
func boottime() time.Duration {
	var t unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_BOOTTIME, &t) // it is there since Linux 2.6.39
	return time.Duration(t.Nano())
}

// acts are what a supervisor has carried out, by SQL and by the workers.
type acts struct {
	*executor.Executor
	p *Proxy
}

func (a acts) Fence(ctx context.Context, node int, epoch uint64) error {
	return a.p.workers.Fence(ctx, node, epoch)
}

// drainLimit is how long transactions may go on that run on a primary that hands over.
const (
	drainLimit = 10 * time.Second
	drainLook  = 5 * time.Millisecond
)

// HandOver waits for the transactions that run on the primary, for a while, and stops it.
func (a acts) HandOver(ctx context.Context, n, upstream *nodes.Node) (certain bool, err error) {
	draining, cancel := context.WithTimeout(ctx, drainLimit)
	defer cancel()
	_ = a.p.drained(draining, n.Index)
	name := fmt.Sprint("node", n.Index)
	for _, c := range a.p.config.Load().Nodes {
		if c.Index == n.Index && c.ApplicationName != "" {
			name = c.ApplicationName
		}
	}
	return a.Executor.HandOver(ctx, n, upstream, name)
}

// drained waits until no session has a transaction on a node.
func (p *Proxy) drained(ctx context.Context, node int) error {
	for last := 0; ; {
		busy, err := p.workers.Busy(ctx, node)
		if err == nil && busy == 0 {
			return nil
		}
		if err == nil {
			last = busy
		}
		select {
		case <-time.After(drainLook):
		case <-ctx.Done():
			return fmt.Errorf("wait for transactions on node %d: %d sessions have one still", node, last)
		}
	}
}

// password is what is configured for a user of pgherd's own, or else what pool_passwd has for it in plain.
func (p *Proxy) password(user string, configured config.Secret) string {
	if configured != "" {
		return string(configured)
	}
	known, _ := p.connect.Secret(user)
	secret, _ := known.(auth.Secret)
	return secret.Plain()
}

func (p *Proxy) accessOf(c *config.Config) nodesql.Access {
	return nodesql.Access{User: c.Streaming.User, Password: p.password(c.Streaming.User, c.Streaming.Password), Database: c.Streaming.Database,
		SSLMode: c.ServerTLS.Mode, Control: func(n *nodes.Node, network, address string, raw syscall.RawConn) error {
			return p.network.dialing(c, n.Index, n.Host, n.Port)(network, address, raw)
		}}
}
