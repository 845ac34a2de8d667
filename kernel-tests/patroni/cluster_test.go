package patroni

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"pgherd/bench/herd"
	"pgherd/bench/herd/herdtest"
	"pgherd/proxy/certs/certstest"
)

// members is how many nodes a cluster has.
const members = 3

// cluster is etcd, and the nodes that Patroni runs with it.
type cluster struct {
	etcd     *herd.Program // in its folder are the nodes' data, so that they outlast a node's Patroni
	all      [members]*member
	https    bool   // the REST APIs are, and ask everybody for a certificate
	patroni  string // the program
	programs string // the folder of PostgreSQL's
	certs    *certstest.Authority
	files    map[string]string // certificates and keys, by name
}

// member is a node, and its Patroni.
type member struct {
	index   int
	port    int // of PostgreSQL
	api     int // of the REST API; 0: it has not been started yet
	data    string
	program *herd.Program
	of      *cluster
}

func (m *member) name() string { return name(m.index) }

func name(node int) string { return fmt.Sprint("node", node) }

// url is where the member's REST API is.
func (m *member) url() string {
	scheme := "http"
	if m.of.https {
		scheme = "https"
	}
	return fmt.Sprintf("%s://127.0.0.1:%d", scheme, m.api)
}

// startCluster returns when Patroni has a leader and two standbys that stream.
func startCluster(t *testing.T, https bool) *cluster {
	t.Helper()
	c := &cluster{https: https, certs: certstest.NewAuthority(t, "patroni")}
	t.Cleanup(func() { c.stop(t) })
	if err := errors.Join(c.find(), c.issue(), c.startEtcd(t.Context())); err != nil {
		t.Fatal(err)
	}
	for i := range c.all {
		port, err := herd.FreePort()
		if err != nil {
			t.Fatal(err)
		}
		c.all[i] = &member{index: i, port: port, of: c, data: filepath.Join(c.etcd.Dir, name(i))}
		if err := c.all[i].start(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	c.whole(t)
	c.fill(t)
	return c
}

// fill makes the user, the database and the table of the scenarios.
func (c *cluster) fill(t *testing.T) {
	t.Helper()
	leader, err := c.leader()
	if err != nil {
		t.Fatal(err)
	}
	for _, sql := range [][2]string{{"postgres", "CREATE ROLE alice LOGIN PASSWORD 'alice'"}, {"postgres", "CREATE DATABASE app OWNER alice"},
		{herd.Database, "CREATE TABLE ledger (id bigint PRIMARY KEY); ALTER TABLE ledger OWNER TO alice"}} {
		if _, err := c.all[leader].in(sql[0], sql[1]); err != nil {
			t.Fatal(err)
		}
	}
}

func (c *cluster) find() (err error) {
	if c.patroni, err = exec.LookPath("patroni"); err != nil {
		return err
	}
	c.programs, err = herd.Programs()
	return err
}

// issue makes the certificates of a REST API and of those who ask it.
func (c *cluster) issue() error {
	c.certs.Issue("api", x509.ExtKeyUsageServerAuth, "127.0.0.1")
	c.certs.Issue("pgherd", x509.ExtKeyUsageClientAuth)
	c.files = map[string]string{}
	for _, file := range []string{"ca.crt", "api.crt", "api.key", "pgherd.crt", "pgherd.key"} {
		text, err := os.ReadFile(c.certs.Path(file))
		if err != nil {
			return err
		}
		c.files[file] = string(text)
	}
	return nil
}

func (c *cluster) startEtcd(ctx context.Context) error {
	binary, err := exec.LookPath("etcd")
	if err != nil {
		return err
	}
	peer, err := herd.FreePort()
	if err != nil {
		return err
	}
	c.etcd, err = herd.StartProgram(ctx, herd.ProgramSettings{Binary: binary, Stop: syscall.SIGTERM, Configure: func(dir string, port int) (map[string]string, []string) {
		client, peers := fmt.Sprintf("http://127.0.0.1:%d", port), fmt.Sprintf("http://127.0.0.1:%d", peer)
		return nil, []string{"--data-dir", filepath.Join(dir, "etcd"), "--unsafe-no-fsync", "--log-level", "warn",
			"--listen-client-urls", client, "--advertise-client-urls", client,
			"--listen-peer-urls", peers, "--initial-advertise-peer-urls", peers, "--initial-cluster", "default=" + peers}
	}})
	return err
}

// stop ends all at once. A PostgreSQL whose Patroni did not live to stop it ends by itself when its
// folder is removed.
func (c *cluster) stop(t *testing.T) {
	for _, m := range c.all {
		if m == nil || m.program == nil {
			continue
		}
		if t.Failed() {
			t.Logf("Patroni of %s: %s", m.name(), m.program.Log())
		}
		if err := m.slay(); err != nil {
			t.Error(err)
		}
	}
	if c.etcd == nil {
		return
	}
	_ = syscall.Kill(c.etcd.PID(), syscall.SIGCONT) // a test that has failed may have left it frozen
	if err := c.etcd.Stop(); err != nil {
		t.Error(err)
	}
}

// start starts the member's Patroni, which starts PostgreSQL.
func (m *member) start(ctx context.Context) (err error) {
	m.program, err = herd.StartProgram(ctx, herd.ProgramSettings{Binary: m.of.patroni, Port: m.api, Stop: syscall.SIGTERM, Configure: func(dir string, port int) (map[string]string, []string) {
		m.api = port
		files := map[string]string{"patroni.yml": m.config(dir)}
		for name, text := range m.of.files {
			files[name] = text
		}
		return files, []string{filepath.Join(dir, "patroni.yml")}
	}})
	return err
}

// config is the member's patroni.yml. A ttl this short is for tests alone.
func (m *member) config(dir string) string {
	rest := fmt.Sprintf("restapi:\n  listen: 127.0.0.1:%[1]d\n  connect_address: 127.0.0.1:%[1]d\n", m.api)
	if m.of.https {
		rest += fmt.Sprintf("  certfile: %[1]s/api.crt\n  keyfile: %[1]s/api.key\n  cafile: %[1]s/ca.crt\n  verify_client: required\n", dir) +
			fmt.Sprintf("ctl:\n  cacert: %[1]s/ca.crt\n  certfile: %[1]s/pgherd.crt\n  keyfile: %[1]s/pgherd.key\n", dir)
	}
	return fmt.Sprintf(`scope: herd
name: %[1]s
%[2]setcd3:
  host: 127.0.0.1:%[3]d
bootstrap:
  dcs:
    ttl: 8
    loop_wait: 1
    retry_timeout: 3
    synchronous_mode: true
    postgresql:
      use_pg_rewind: true
      parameters:
        wal_log_hints: on
        fsync: off
        shared_buffers: 32MB
        max_connections: 100
        wal_keep_size: 512MB
        wal_retrieve_retry_interval: 200ms
  initdb:
    - encoding: UTF8
    - locale: C
    - no-sync
postgresql:
  listen: 127.0.0.1:%[4]d
  connect_address: 127.0.0.1:%[4]d
  data_dir: %[5]s
  bin_dir: %[6]s
  pgpass: %[7]s/pgpass
  basebackup:
    - checkpoint: fast
    - no-sync
  authentication:
    superuser: {username: postgres, password: postgres}
    replication: {username: replicator, password: replicator}
  parameters:
    unix_socket_directories: %[7]s
  pg_hba:
    - local all all trust
    - host all all 127.0.0.1/32 scram-sha-256
    - host replication all 127.0.0.1/32 scram-sha-256
`, m.name(), rest, m.of.etcd.Port, m.port, m.data, m.of.programs, dir)
}

// postmaster is the process of the node's PostgreSQL; 0: there is none.
func (m *member) postmaster() int {
	text, err := os.ReadFile(filepath.Join(m.data, "postmaster.pid"))
	first, _, _ := strings.Cut(string(text), "\n")
	pid, wrong := strconv.Atoi(first)
	if err != nil || wrong != nil || pid <= 1 {
		return 0
	}
	return pid
}

// slay ends Patroni and PostgreSQL by SIGKILL. The children of a postmaster notice that it is gone.
func (m *member) slay() error {
	_ = syscall.Kill(m.program.PID(), syscall.SIGKILL)
	if pid := m.postmaster(); pid != 0 {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	p := m.program
	m.program = nil
	return p.Stop()
}

// signal sends a signal to the member's Patroni, and not to PostgreSQL.
func (m *member) signal(s syscall.Signal) error { return syscall.Kill(m.program.PID(), s) }

// logs returns no error if the end of Patroni's log has this text.
func (m *member) logs(text string) error {
	if log := m.program.Log(); !strings.Contains(log, text) {
		return fmt.Errorf("it has not: %s", log)
	}
	return nil
}

// ask runs SQL on the node itself.
func (m *member) ask(sql string) (string, error) { return m.in("postgres", sql) }

func (m *member) in(database, sql string) (string, error) {
	conn, err := herdtest.Connect(fmt.Sprintf("host=127.0.0.1 port=%d user=postgres password=postgres dbname=%s sslmode=disable", m.port, database))
	if err != nil {
		return "", err
	}
	defer herdtest.Close(conn)
	return herdtest.Ask(conn, sql)
}

// ctl runs patronictl.
func (c *cluster) ctl(args ...string) (string, error) {
	ctx, cancel := herdtest.Limited(herdtest.AnswerLimit)
	defer cancel()
	for _, m := range c.all {
		if m.program != nil {
			return herd.Run(ctx, "patronictl", append([]string{"-c", filepath.Join(m.program.Dir, "patroni.yml")}, args...)...)
		}
	}
	return "", errors.New("no Patroni runs")
}

// listed is a row of patronictl list.
type listed struct {
	Member, Role, State string
	TL                  any
}

func (c *cluster) list() (all []listed, err error) {
	text, err := c.ctl("list", "-f", "json")
	if err != nil {
		return nil, err
	}
	return all, json.Unmarshal([]byte(text), &all)
}

// leader is the number of the leader by patronictl; -1: there is none.
func (c *cluster) leader() (int, error) {
	all, err := c.list()
	for _, l := range all {
		if l.Role == "Leader" {
			return strconv.Atoi(strings.TrimPrefix(l.Member, "node"))
		}
	}
	return -1, err
}

// whole waits until one member leads and each other streams from it, one of them synchronously.
func (c *cluster) whole(t *testing.T) {
	t.Helper()
	herdtest.Eventually(t, "Patroni has a leader and two standbys", func() error {
		all, err := c.list()
		count := map[string]int{}
		for _, l := range all {
			count[l.Role]++ // after a reinit Patroni 3.0.2 may go on to say "start failed" of a node that streams
		}
		if err != nil || count["Leader"] != 1 || count["Sync Standby"] != 1 || count["Replica"] != 1 {
			return fmt.Errorf("%+v, %w", all, err)
		}
		return c.streaming()
	})
}

// streaming returns no error if two standbys stream from the leader.
func (c *cluster) streaming() error {
	leader, err := c.leader()
	if err != nil || leader < 0 {
		return fmt.Errorf("no leader, %w", err)
	}
	got, err := c.all[leader].ask("SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'")
	if err != nil || got != fmt.Sprint(members-1) {
		return fmt.Errorf("streaming standbys: %s, %w", got, err)
	}
	return nil
}
