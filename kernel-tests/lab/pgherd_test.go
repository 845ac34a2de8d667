package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"pgherd/bench/herd"
	"pgherd/bench/herd/herdtest"
)

// site is three hosts with a pgherd each in front of three PostgreSQL nodes on a fourth host, and clients on a fifth. One of two
// standbys has to acknowledge each commit.
type site struct {
	*lan
	ctx    context.Context
	dir    string
	binary string
	nodes  *herd.Herd
	hosts  map[int]*host
	up     map[int]*exec.Cmd
	client *host
	// witness is the host of a witness; 0: there is none. more are lines of the configuration.
	witness int
	more    string
}

// Numbers of hosts.
const (
	database = 20
	clients  = 9
)

const sitePort = 9999

// siteLimit is for a whole scenario.
const siteLimit = 4 * time.Minute

func newSite(t *testing.T) *site { t.Helper(); return newSiteWith(t, 0, "") }

func newSiteWith(t *testing.T, witness int, more string) *site {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), siteLimit)
	t.Cleanup(cancel)
	s := &site{lan: newLAN(t), ctx: ctx, dir: shortDir(t), binary: pgherd(t), hosts: map[int]*host{}, up: map[int]*exec.Cmd{}, witness: witness, more: more}
	s.startNodes()
	for i := 1; i <= 3; i++ {
		s.hosts[i] = s.host(i)
	}
	s.client = s.host(clients)
	for i := range s.hosts {
		s.start(i)
	}
	s.eventually("clients write through the address", func() error { return s.writes() })
	return s
}

// shortDir is a folder for sockets, whose paths may not be long.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "site")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

var building sync.Once
var built string

// pgherd is the program, which is built once.
func pgherd(t *testing.T) string {
	t.Helper()
	building.Do(func() {
		dir, err := os.MkdirTemp("", "lab-")
		if err == nil {
			built, err = herd.Build(t.Context(), dir)
		}
		if err != nil {
			t.Error(err)
		}
	})
	if built == "" {
		t.Fatal("pgherd is not built")
	}
	return built
}

func (s *site) startNodes() {
	s.Helper()
	nodes, err := herd.Start(s.ctx, herd.Settings{Standbys: 2, Namespace: "/run/netns/" + s.host(database).name, Config: []string{"listen_addresses = '*'"},
		HBA: []string{"host all all 127.0.0.1/32 scram-sha-256", "host replication all 127.0.0.1/32 scram-sha-256",
			"host all all 10.77.0.0/24 scram-sha-256", "host replication all 10.77.0.0/24 scram-sha-256", "local all all scram-sha-256"}})
	s.must(err)
	s.nodes = nodes
	s.Cleanup(func() {
		if err := s.nodes.Stop(); err != nil {
			s.Error(err)
		}
		for i := range s.nodes.Nodes() {
			if text, err := os.ReadFile(s.nodes.Log(i)); err == nil && s.Failed() {
				s.Logf("node %d's log ends:\n%s", i, text[max(0, len(text)-1500):])
			}
		}
	})
	s.on(0, "CREATE TABLE ledger (id bigint PRIMARY KEY); GRANT ALL ON ledger TO PUBLIC")
	for i := range s.nodes.Nodes() {
		s.on(i, "ALTER SYSTEM SET synchronous_standby_names = 'ANY 1 (node0, node1, node2)'")
		s.on(i, "ALTER SYSTEM SET synchronous_commit = on")
		s.on(i, "SELECT pg_reload_conf()")
	}
	s.eventually("the standbys stream", func() error { return s.nodes.WaitStreaming(s.ctx) })
}

// on runs SQL on a node.
func (s *site) on(node int, sql string) string {
	s.Helper()
	out, err := s.nodes.ExecOn(s.ctx, node, sql)
	s.must(err)
	return out
}

// start starts the pgherd of a host. It is no test's business when it is ready.
func (s *site) start(i int) {
	s.Helper()
	dir := filepath.Join(s.dir, fmt.Sprint(i))
	s.must(os.MkdirAll(dir, 0o700))
	s.must(errors.Join(
		os.WriteFile(filepath.Join(dir, "pgpool.conf"), []byte(s.config(dir)), 0o600),
		os.WriteFile(filepath.Join(dir, "pgpool_node_id"), []byte(fmt.Sprint(i-1)), 0o600),
		os.WriteFile(filepath.Join(dir, "pool_hba.conf"), []byte("host all all 10.77.0.0/24 scram-sha-256\nlocal all all scram-sha-256\n"), 0o600),
		os.WriteFile(filepath.Join(dir, "pool_passwd"), []byte("alice:TEXTalice\npostgres:TEXTpostgres\n"), 0o600),
		os.WriteFile(filepath.Join(dir, "pcp.conf"), nil, 0o600)))
	log, err := os.OpenFile(filepath.Join(dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	s.must(err)
	p := exec.Command("nsenter", "--mount="+s.mounts(i), s.binary, "-f", filepath.Join(dir, "pgpool.conf"))
	if i == s.witness {
		p.Args = append(p.Args, "witness")
	}
	p.Stdout, p.Stderr = log, log
	s.hosts[i].inside(p.Start)
	s.up[i] = p
	s.Cleanup(func() {
		_ = p.Process.Kill()
		_ = p.Wait()
		log.Close()
		if text, err := os.ReadFile(log.Name()); err == nil && s.Failed() {
			s.Logf("pgherd on host %d:\n%s", i, text[max(0, len(text)-6000):])
		}
	})
}

// mounts is a mount namespace of the host's own, which outlives its pgherd: programs are pinned under /run there.
func (s *site) mounts(i int) string {
	s.Helper()
	folder := filepath.Join("/run/pgherd-test", s.hosts[i].name)
	file := filepath.Join(folder, "mounts")
	if _, err := os.Stat(file); err == nil {
		return file
	}
	s.must(errors.Join(os.MkdirAll(folder, 0o755), os.MkdirAll("/run/pgherd", 0o755)))
	s.run("mount", "--bind", folder, folder)
	s.run("mount", "--make-private", folder)
	s.must(os.WriteFile(file, nil, 0o600))
	s.run("unshare", "--mount="+file, "mount", "-t", "tmpfs", "tmpfs", "/run/pgherd")
	s.Cleanup(func() {
		s.run("umount", file)
		s.run("umount", folder)
		s.must(os.RemoveAll(folder))
	})
	return file
}

func (s *site) config(dir string) string {
	var c strings.Builder
	fmt.Fprintf(&c, `listen_addresses = '*'
port = %d
unix_socket_directories = '%[2]s'
pcp_listen_addresses = ''
pid_file_name = '%[2]s/pgherd.pid'
work_dir = '%[2]s'
wd_data_directory = '%[2]s/watchdog'
enable_pool_hba = on
pool_passwd = 'pool_passwd'
admin_users = 'alice'
sr_check_user = 'postgres'
sr_check_password = 'postgres'
sr_check_database = 'postgres'
health_check_timeout = 1
pool_mode = transaction
load_balance_mode = off
log_min_messages = info
use_watchdog = on
wd_authkey = 'correct horse'
delegate_ip = '%[3]s/24@eth0'
`, sitePort, dir, four)
	for i := range 3 {
		fmt.Fprintf(&c, "hostname%d = '10.77.0.%d'\n", i, i+1)
	}
	for _, n := range s.nodes.Nodes() {
		fmt.Fprintf(&c, "backend_hostname%d = '10.77.0.%d'\nbackend_port%[1]d = %[3]d\nbackend_application_name%[1]d = 'node%[1]d'\n", n.Index, database, n.Port)
	}
	return c.String() + s.more
}

// connect connects a client through the virtual address.
func (s *site) connect() (*pgconn.PgConn, error) {
	ctx, cancel := herdtest.Limited(askLimit)
	defer cancel()
	c, err := pgconn.ParseConfig(fmt.Sprintf("host=%s port=%d user=alice password=alice dbname=app sslmode=disable", four, sitePort))
	if err != nil {
		return nil, err
	}
	c.DialFunc = func(ctx context.Context, network, address string) (conn net.Conn, err error) {
		s.client.inside(func() error {
			d := net.Dialer{Timeout: dialLimit, KeepAlive: -1} // or a SYN that was lost would be sent again after a second
			conn, err = d.DialContext(ctx, network, address)
			return nil
		})
		return conn, err
	}
	return pgconn.ConnectConfig(ctx, c)
}

// askLimit is for one answer while all is well: a client that gets none by then connects anew.
const (
	askLimit  = 5 * time.Second
	dialLimit = 200 * time.Millisecond
	// answerLimit is the client's own: nobody tells it that a host is gone that it waits for.
	answerLimit = time.Second
)

var lastRow int64 = 1

// writes inserts a row on a connection of its own.
func (s *site) writes() error {
	conn, err := s.connect()
	if err != nil {
		return err
	}
	defer conn.Close(context.Background())
	lastRow++
	ctx, cancel := herdtest.Limited(askLimit)
	defer cancel()
	return conn.Exec(ctx, fmt.Sprintf("INSERT INTO ledger VALUES (%d)", lastRow)).Close()
}

// leader is the host of the pgherd that leads, by its own word.
func (s *site) leader() (leader int) {
	s.Helper()
	s.eventually("one leads", func() error {
		for i := range s.up {
			if rows := s.ctl(i, "watchdog"); strings.Contains(rows, fmt.Sprintf("peer     %d     10.77.0.%d:9000       leader     yes", i-1, i)) {
				leader = i
				return nil
			}
		}
		return errors.New("nobody says so")
	})
	return leader
}

// ctl runs pgherdctl on a host.
func (s *site) ctl(i int, args ...string) string {
	p := exec.Command(s.binary, append([]string{"ctl", "-f", filepath.Join(s.dir, fmt.Sprint(i), "pgpool.conf")}, args...)...)
	out, _ := p.CombinedOutput()
	return string(out)
}

// ledger is a client that inserts one row after another, and connects anew when it has to.
type ledger struct {
	s     *site
	told  map[int64]string // by id, the SQLSTATE; "" if the row was acknowledged; "lost" if the connection was
	gaps  []time.Duration  // between two rows that were acknowledged
	rows  atomic.Int64     // that were acknowledged
	stop  chan struct{}
	ended chan struct{}
}

func (s *site) keepsWriting() *ledger {
	l := &ledger{s: s, told: map[int64]string{}, stop: make(chan struct{}), ended: make(chan struct{})}
	go l.run()
	return l
}

func (l *ledger) run() {
	defer close(l.ended)
	var conn *pgconn.PgConn
	last := boottime()
	for id := int64(1_000_000); ; id++ {
		select {
		case <-l.stop:
			if conn != nil {
				conn.Close(context.Background())
			}
			return
		case <-time.After(2 * time.Millisecond):
		}
		if conn == nil || conn.IsClosed() {
			var err error
			if conn, err = l.s.connect(); err != nil {
				continue
			}
		}
		ctx, cancel := herdtest.Limited(answerLimit)
		err := conn.Exec(ctx, fmt.Sprintf("INSERT INTO ledger VALUES (%d)", id)).Close()
		cancel()
		var fault *pgconn.PgError
		switch {
		case err == nil:
			l.told[id] = ""
			l.gaps = append(l.gaps, boottime()-last)
			l.rows.Add(1)
			last = boottime()
		case errors.As(err, &fault):
			l.told[id] = fault.Code
		default:
			l.told[id] = "lost"
		}
	}
}

// writesOn waits until so many more rows were acknowledged.
func (l *ledger) writesOn(more int64) {
	l.s.Helper()
	before := l.rows.Load()
	l.s.eventually("a client writes on", func() error {
		if n := l.rows.Load() - before; n < more {
			return fmt.Errorf("%d rows more were acknowledged", n)
		}
		return nil
	})
}

// end stops it, and checks that each row that was acknowledged is there, and none that was reported as not done. It returns the
// longest time between two rows.
func (l *ledger) end() (longest time.Duration) {
	l.s.Helper()
	close(l.stop)
	<-l.ended
	there := map[string]bool{}
	for _, n := range l.s.nodes.Nodes() {
		out, err := l.s.nodes.ExecOn(l.s.ctx, n.Index, "SELECT CASE WHEN pg_is_in_recovery() THEN NULL ELSE id END FROM ledger")
		if err != nil {
			continue // it is not there any more
		}
		for id := range strings.SplitSeq(out, "\n") {
			there[id] = true
		}
	}
	count := map[string]int{}
	for id, told := range l.told {
		is := there[fmt.Sprint(id)]
		if told == "" && !is {
			l.s.Errorf("row %d was acknowledged, and is not there", id)
		}
		if told == "40001" && is {
			l.s.Errorf("row %d was reported as not done, and is there", id)
		}
		count[told]++
	}
	for _, gap := range l.gaps {
		longest = max(longest, gap)
	}
	l.s.Logf("rows by SQLSTATE: %v; longest time between two rows %v", count, longest.Round(time.Millisecond))
	return longest
}

// slay kills a pgherd.
func (s *site) slay(i int) { s.Helper(); s.must(s.up[i].Process.Kill()); delete(s.up, i) }

// cutFromPeers has a host reach no other pgherd, nor be reached by one, but the database and the clients.
func (s *site) cutFromPeers(i int) {
	s.Helper()
	for other := range s.hosts {
		if other != i {
			s.hosts[i].ip("route", "add", "blackhole", fmt.Sprintf("10.77.0.%d/32", other))
			s.hosts[other].ip("route", "add", "blackhole", fmt.Sprintf("10.77.0.%d/32", i))
		}
	}
}

// TestWaitingClientIsTold kills the pgherd that holds the address while a client waits for an answer. The client hears that its
// connection has ended: the host is silent otherwise, and the client would wait for as long as its own kernel does.
func TestWaitingClientIsTold(t *testing.T) {
	s := newSite(t)
	conn, err := s.connect()
	s.must(err)
	told := make(chan error, 1)
	ctx, cancel := herdtest.Limited(patience)
	defer cancel()
	go func() { told <- conn.Exec(ctx, "SELECT pg_sleep(600)").Close() }()
	s.eventually("the client's statement runs", func() error {
		if s.on(0, "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%'") != "1" {
			return errors.New("it does not yet")
		}
		return nil
	})
	s.slay(s.leader())
	if err := <-told; err == nil || errors.Is(err, context.DeadlineExceeded) || ctx.Err() != nil {
		t.Errorf("the client got error %v", err)
	}
	s.eventually("clients write through the address", s.writes)
}

// TestBadDays has clients write through the virtual address while the pgherd that leads, the primary, or both are lost. Writes go
// on, and nothing that was acknowledged is lost.
func TestBadDays(t *testing.T) {
	for _, day := range []struct {
		name string
		does func(s *site, leader int)
	}{
		{"the leader is killed", func(s *site, leader int) { s.slay(leader) }},
		{"the leader is frozen", func(s *site, leader int) {
			s.must(s.up[leader].Process.Signal(syscall.SIGSTOP))
			delete(s.up, leader)
		}},
		{"the leader is told to stop, while a client is idle", func(s *site, leader int) {
			idle, err := s.connect()
			s.must(err)
			s.Cleanup(func() { idle.Close(context.Background()) })
			s.must(s.up[leader].Process.Signal(syscall.SIGTERM))
			delete(s.up, leader)
		}},
		{"the primary is killed", func(s *site, _ int) { s.must(s.nodes.Slay(0)) }},
		{"the primary and the leader die together", func(s *site, leader int) {
			s.slay(leader)
			s.must(s.nodes.Slay(0))
		}},
		{"the leader is cut off from its peers, and then the primary is killed", func(s *site, leader int) {
			s.cutFromPeers(leader)
			s.must(s.nodes.Slay(0))
		}},
		{"another one is told to lead", func(s *site, leader int) {
			if out := s.ctl(leader, "leader", fmt.Sprint(leader%3)); !strings.Contains(out, "done") {
				s.Errorf("pgherdctl leader says %q", out)
			}
		}},
	} {
		t.Run(day.name, func(t *testing.T) {
			s := newSite(t)
			leader := s.leader()
			writing := s.keepsWriting()
			writing.writesOn(50)
			day.does(s, leader)
			writing.writesOn(50) // some of them may have been on their way
			writing.writesOn(50)
			s.eventually("new clients write through the address", s.writes)
			writing.end()
		})
	}
}
