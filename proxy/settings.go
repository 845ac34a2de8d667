package proxy

import (
	"cmp"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"net"
	"os"
	"regexp"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
	"pgherd/proxy/admin"

	"pgherd/proxy/auth"
	"pgherd/proxy/config"
	"pgherd/proxy/connect"
	"pgherd/proxy/health"
	"pgherd/proxy/login"
	"pgherd/proxy/nodes"
	"pgherd/proxy/nodesql"
	"pgherd/proxy/pool"
	"pgherd/proxy/querylog"
	"pgherd/proxy/session"
	"pgherd/proxy/wire"
	"pgherd/proxy/worker"
)

// made is the content of the files that a configuration names, read before anything of
// it is applied.
type made struct {
	users   *connect.Users // nil if there is no user to ask as
	login   *login.Settings
	connect *connect.Settings
	routing *session.Routing
	patroni *tls.Config
}

// make reads what the configuration names.
func (p *Proxy) make(c *config.Config) (made, error) {
	n, err := readNamed(c, p.log)
	if err != nil {
		return made{}, err
	}
	asked := p.usersOf(c, n.policy.Passwd)
	if c.Auth.QueryUser != "" {
		n.policy.Lookup = auth.NewLookup(asked.Find, c.Auth.QueryCacheTTL, time.Now)
	}
	if asked != nil {
		n.policy.Members = auth.NewMembers(asked.Members, time.Now)
	}
	return made{
		users: asked, routing: n.routing, patroni: n.patroni,
		login: &login.Settings{Policy: n.policy, TLS: n.tls, Timeout: c.Timeouts.ClientLogin,
			MaxClients: c.Limits.Clients, MaxLogins: c.Limits.AddressLogins,
			Failures:       login.FailureRule{Limit: c.Limits.AddressFailures, Window: c.Limits.FailureWindow},
			LogConnections: c.Log.Connections, LogDisconnections: c.Log.Disconnections},
		connect: connectSettingsOf(c, &n, &p.network),
	}, nil
}

// usersOf asks as auth_user, or else as sr_check_user, of which roles a user is a
// member; every user may ask that. It is nil if neither is set.
func (p *Proxy) usersOf(c *config.Config, passwd *auth.Passwd) *connect.Users {
	user, password, database := c.Auth.QueryUser, c.Auth.QueryPassword, c.Auth.QueryDatabase
	if user == "" {
		user, password, database = c.Streaming.User, c.Streaming.Password, c.Streaming.Database
	}
	if user == "" {
		return nil
	}
	secret := passwd.Find(user)
	if password != "" {
		secret = auth.PlainSecret(user, string(password))
	}
	return connect.NewUsers(p.connect, connect.UsersSettings{Query: c.Auth.Query, Database: database, User: user, Secret: secret})
}

// primary is the index of the primary node, if there is one.
func (p *Proxy) primary() (int, bool) {
	n := p.workers.Nodes().Primary()
	if n == nil {
		return 0, false
	}
	return n.Index, true
}

// tellers are the indexes of the nodes that are asked about users now.
func (p *Proxy) tellers() []int { return p.workers.Nodes().Tellers(p.workers.Licensed()) }

// gaps counts the beginnings and ends of gaps; see worker.Workers.Gaps.
func (p *Proxy) gaps() uint64 { return p.workers.Gaps() }

// role is the role that a node is believed to have.
func (p *Proxy) role(index int) nodes.Role {
	if n := p.workers.Nodes().Node(index); n != nil {
		return n.Role
	}
	return nodes.Unknown
}

func connectSettingsOf(c *config.Config, found *named, w *network) *connect.Settings {
	s := &connect.Settings{Nodes: map[int]connect.Address{}, Learns: true, LoginTimeout: c.Pool.NodeConnectLimit, KeepAlive: keepAlive(c),
		Binding: c.ServerTLS.ChannelBinding, Passwd: found.policy.Passwd, Lookup: found.policy.Lookup}
	for _, n := range c.Nodes {
		network, address := n.Address()
		s.Nodes[n.Index] = connect.Address{Name: fmt.Sprintf("node %d (%s:%d)", n.Index, n.Host, n.Port),
			Network: network, Address: address, TLS: found.nodes[n.Index], Timeout: n.ConnectTimeout, Control: w.dialing(c, n.Index, n.Host, n.Port)}
	}
	return s
}

func listenSettingsOf(c *config.Config) *login.ListenSettings {
	return &login.ListenSettings{Addresses: c.Listen.Addresses, Port: c.Listen.Port, KeepAlive: keepAlive(c),
		Control: setUserTimeout(c.TCP.UserTimeout), SocketDirs: c.Listen.UnixDirectories, SocketGroup: c.Listen.UnixGroup,
		SocketMode: os.FileMode(c.Listen.UnixPermissions)}
}

func (p *Proxy) workerSettings(c *config.Config, routing *session.Routing) *worker.Settings {
	return &worker.Settings{
		Session: overridable(c, &session.Settings{
			Modes: modesOf(c), ResetTimeout: c.Timeouts.ServerReset,
			ResetQueries: c.Pool.ResetQueries, KeepServers: c.Pool.Cache, ServerFirst: c.Pool.ServerAtLogin,
			Statements: p.statements, Catalogs: p.catalogs, CatalogCheck: c.Pool.CatalogCheck,
			FailoverWait: p.failoverWait(), LoginCheck: c.Pool.LoginCheck, MaxPrepared: c.Limits.Prepared,
			MemoryLimits:        session.MemoryLimits{ClientMemory: c.Limits.ClientMemory, ClientsMemory: c.Limits.ClientsMemory, Memory: &p.memory},
			UnreplicatedCommits: c.Failover.Unreplicated == "warning",
			RefusePins:          c.Pool.PinPolicy == "error", Harmless: harmless(c.Pool.HarmlessFunctions),
			Commands: &answers{Commands: admin.Commands{Source: p, Control: p, Config: p.config.Load}, admins: c.Auth.Admins,
				log: p.log, verify: p.connect.Judge},
			Routing: routing,
			Log:     p.lines.Add,
		}),
		Limits: pool.Limits{Node: c.Limits.NodeConns, Database: c.Limits.DBConns, User: c.Limits.UserConns,
			Pair: c.Limits.PairConns, Reserve: c.Limits.Reserve, ReserveAfter: c.Limits.ReserveAfter},
		MinPool:     c.Pool.MinSize,
		IdleTimeout: c.Pool.IdleTimeout,
		Lifetime:    c.Pool.Lifetime,
	}
}

// failoverWait is how long clients wait for a primary; 0 if no other node may become it.
func (p *Proxy) failoverWait() time.Duration {
	if p.supervisor == nil {
		return 0
	}
	return p.config.Load().Failover.Wait
}

// modesOf says which pool mode a client gets.
func modesOf(c *config.Config) pool.Modes {
	m := pool.Modes{Default: modeOf(c.Pool.Mode)}
	for _, e := range c.Pool.Modes {
		m.Entries = append(m.Entries, pool.ModeEntry{Database: e.Database, User: e.User, Mode: modeOf(e.Mode)})
	}
	return m
}

// modeOf is a mode by its word in a configuration.
func modeOf(word string) pool.Mode {
	for _, m := range []pool.Mode{pool.Transaction, pool.Statement} {
		if m.String() == word {
			return m
		}
	}
	return pool.Session
}

// harmless says whether a list of regular expressions names a function, with or without
// its schema; it is nil if the list names none.
func harmless(patterns []string) func(schema, name string) bool {
	if len(patterns) == 0 {
		return nil
	}
	named := regexp.MustCompile("^(?:" + strings.Join(patterns, "|") + ")$") // config has tried them
	return func(schema, name string) bool {
		return named.MatchString(name) || schema != "" && named.MatchString(schema+"."+name)
	}
}

// healthSettings has nodes asked if there is a user to ask as. Where failover goes by what is seen,
// the health check is in effect.
func (p *Proxy) healthSettings(c *config.Config) *health.Settings {
	decides := p.supervisor != nil
	s := &health.Settings{Period: c.Streaming.Period, Retry: time.Second, Timeout: probeTimeout}
	for i := range c.Nodes {
		n := &c.Nodes[i]
		s.Nodes = append(s.Nodes, health.Node{
			Node:            nodes.Node{Index: n.Index, Host: n.Host, Port: n.Port, Weight: n.Weight},
			ApplicationName: n.ApplicationName, AlwaysPrimary: n.Flags.AlwaysPrimary,
		})
		if mayFailOver(c) {
			own := &s.Nodes[i]
			own.Period, own.Retry, own.Timeout = checkPeriod(c, n), n.Health.RetryDelay, cmp.Or(n.Health.Timeout, noLimit)
		}
	}
	if asksNodes(c) {
		asks := health.NewSQL(func(node int) []health.Access {
			access, user := p.checkAccess(c, node, decides)
			if user == srCheckUser {
				return []health.Access{access}
			}
			return []health.Access{access, p.accessOf(c)}
		})
		s.Probe, s.HangUp, s.Call = asks.Probe, asks.Close, health.SQLLine(p.accessOf(c))
	}
	return s
}

// The parameters that name users who look at nodes.
const (
	srCheckUser     = "sr_check_user"
	healthCheckUser = "health_check_user"
)

// checkAccess is how a node is checked, and the parameter that names the user. As with Pgpool-II
// health_check_user counts only with a health_check_period.
func (p *Proxy) checkAccess(c *config.Config, node int, decides bool) (a nodesql.Access, user string) {
	a = p.accessOf(c)
	for i := range c.Nodes {
		h := &c.Nodes[i].Health
		if c.Nodes[i].Index != node || !decides || h.User == "" || h.Period == 0 {
			continue
		}
		if h.User != a.User || h.Password != "" {
			a.Password = p.password(h.User, h.Password)
		}
		a.User, a.Database = h.User, h.Database
		return a, healthCheckUser
	}
	return a, srCheckUser
}

func asksNodes(c *config.Config) bool { return c.Streaming.User != "" && c.Streaming.Period > 0 }

// noLimit is a health_check_timeout of 0.
const noLimit = 24 * time.Hour

// probeTimeout bounds one probe of a node, where nothing else does.
const probeTimeout = 5 * time.Second

// environment is what the workers need of the world around them.
func (p *Proxy) environment() *worker.Environment {
	return &worker.Environment{
		Connect: p.connect, Log: p.log, Now: time.Now, BootTime: boottime,
		Go:            func(f func()) { go f() },
		Key:           cancelKey,
		Jitter:        jitter,
		Chance:        mathrand.Float64,
		Ended:         p.gate.Left,
		Failed:        p.fail,
		PollPositions: func() { p.chaser.Want() },
		Suspect:       p.suspect,
		Doubted:       p.gate.Doubt,
	}
}

// Lengths of cancel keys in bytes. Protocol 3.0 has four; 3.2 allows up to 256.
const (
	shortKey = 4
	longKey  = 32
)

func cancelKey(protocol uint32) []byte {
	key := make([]byte, shortKey)
	if protocol >= wire.Protocol32 {
		key = make([]byte, longKey)
	}
	rand.Read(key)
	return key
}

// jitter spreads life times over their last tenth, so that servers which were opened
// together are not closed together.
func jitter(d time.Duration) time.Duration {
	return d - time.Duration(mathrand.Int64N(int64(d)/10+1))
}

// tellsOf says what is logged of statements.
func tellsOf(c *config.ClientLog) (tells querylog.Tells) {
	for _, t := range []struct {
		on   bool
		what querylog.Tells
	}{
		{c.Statements, querylog.Statements}, {c.NodeStatements, querylog.Nodes},
		{c.NodeNotices, querylog.NodeNotices}, {c.Messages, querylog.Messages},
	} {
		if t.on {
			tells |= t.what
		}
	}
	return tells
}

// keepAlive configures how the kernel finds out that a client or a node is gone.
func keepAlive(c *config.Config) net.KeepAliveConfig {
	return net.KeepAliveConfig{Enable: true, Idle: c.TCP.KeepalivesIdle, Interval: c.TCP.KeepalivesInterval,
		Count: c.TCP.KeepalivesCount}
}

// setUserTimeout makes a Control function that sets TCP_USER_TIMEOUT: how
// long sent data may stay unacknowledged. Accepted connections inherit it.
func setUserTimeout(d time.Duration) func(network, address string, raw syscall.RawConn) error {
	return func(network, _ string, raw syscall.RawConn) error {
		if d <= 0 || !strings.HasPrefix(network, "tcp") {
			return nil
		}
		var err error
		cerr := raw.Control(func(fd uintptr) {
			err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(d.Milliseconds()))
		})
		return errors.Join(cerr, err)
	}
}
