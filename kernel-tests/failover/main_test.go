// Package failover loses real nodes behind a running pgherd, and checks what its clients see meanwhile and what is in
// the database afterwards. Each test is a scenario with a primary, two standbys, one of which must acknowledge each
// commit, and pgherd.
//
// Waits have generous deadlines, and none is a measurement.
package failover

import (
	"context"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"pgherd/bench/herd"
	"pgherd/bench/herd/herdtest"
)

var binary string

var bpf = flag.String("bpf", "", "run pgherd of all tests with bpf = `this`, without which nothing may fail, and all be slower")

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	ctx, cancel := herdtest.Limited(herdtest.SetupLimit)
	defer cancel()
	if binary = *program; binary != "" {
		return m.Run()
	}
	dir, err := os.MkdirTemp("", "failover-")
	if err == nil {
		defer os.RemoveAll(dir)
		binary, err = herd.Build(ctx, dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// worldLimit is the deadline of one test.
const worldLimit = 4 * time.Minute

// These are the rules of synchronous replication. Each node has the same ones, so any may be promoted.
const (
	anyOne   = "ANY 1 (node0, node1, node2)"
	firstOne = "FIRST 1 (node1, node2, node0)"
	none     = ""
)

// scene is what a test begins with.
type scene struct {
	herd   herd.Settings
	sync   string // synchronous_standby_names
	sql    string // run before pgherd starts
	hba    string // pool_hba.conf
	config []string
}

// world is a scene that runs.
type world struct {
	*testing.T
	ctx   context.Context
	herd  *herd.Herd
	proxy *herd.Proxy
	set   herd.ProxySettings
	eye   *pgconn.PgConn // sends commands to pgherd; a new log-in would wait for a primary
}

// start makes a world with synchronous replication and these lines of configuration.
func start(t *testing.T, config ...string) *world {
	t.Helper()
	return scene{sync: anyOne, config: config}.start(t)
}

func (s scene) start(t *testing.T) *world {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), worldLimit)
	t.Cleanup(cancel)
	s.herd.Standbys = 2
	w := &world{T: t, ctx: ctx, herd: herdtest.Start(t, s.herd)}
	w.on(0, "CREATE TABLE ledger (id bigint PRIMARY KEY); GRANT ALL ON ledger TO PUBLIC;"+s.sql)
	for i := range w.herd.Nodes() {
		w.on(i, "ALTER SYSTEM SET synchronous_standby_names = '"+s.sync+"'")
		w.on(i, "ALTER SYSTEM SET synchronous_commit = on")
		w.on(i, "SELECT pg_reload_conf()")
	}
	w.eventually("the standbys have the tables", func() error { return w.herd.WaitStreaming(ctx) })
	lines := []string{"sr_check_user = 'postgres'", "sr_check_password = 'postgres'", "sr_check_database = 'postgres'",
		"work_dir = '" + t.TempDir() + "'", "load_balance_mode = off", "log_min_messages = info"}
	lines = append(lines, s.config...)
	if *bpf != "" {
		lines = append(lines, "bpf = "+*bpf)
	}
	w.set = herd.ProxySettings{Binary: binary, Nodes: w.herd.Nodes(), HBA: s.hba, Config: strings.Join(lines, "\n")}
	w.proxy = herdtest.StartProxy(t, w.set)
	w.eye = w.connect()
	t.Cleanup(func() {
		for i := range w.herd.Nodes() {
			if text, err := os.ReadFile(w.herd.Log(i)); t.Failed() && err == nil {
				t.Logf("node %d's log ends:\n%s", i, text[max(0, len(text)-1500):])
			}
		}
	})
	return w
}

// restartProxy stops pgherd, calls between, and starts pgherd again at the same port.
func (w *world) restartProxy(between func()) {
	w.Helper()
	if err := w.proxy.Stop(); err != nil {
		w.Fatal(err)
	}
	between()
	w.set.Port = w.proxy.Port
	w.proxy = herdtest.StartProxy(w.T, w.set)
	w.eye = w.connect()
}

// must fails the test if something could not be done to the nodes.
func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func (w *world) eventually(what string, check func() error) {
	w.Helper()
	herdtest.Eventually(w.T, what, check)
}

// on runs SQL on a node itself.
func (w *world) on(node int, sql string) string {
	w.Helper()
	out, err := w.herd.ExecOn(w.ctx, node, sql)
	if err != nil {
		w.Fatalf("node %d: %s: %v", node, sql, err)
	}
	return out
}

func (w *world) dsn() string {
	return fmt.Sprintf("host=%s port=%d user=%s password=%s dbname=%s sslmode=disable", w.proxy.Host, w.proxy.Port, herd.User, herd.User, herd.Database)
}

func (w *world) connect() *pgconn.PgConn {
	w.Helper()
	conn, err := herdtest.Connect(w.dsn())
	w.must(err)
	w.Cleanup(func() { herdtest.Close(conn) })
	return conn
}

// ask sends a query that must not fail.
func (w *world) ask(conn *pgconn.PgConn, sql string) string {
	w.Helper()
	return herdtest.MustAsk(w.T, conn, sql)
}

// log is what pgherd has logged.
func (w *world) log() string {
	text, err := os.ReadFile(w.proxy.Log())
	w.must(err)
	return string(text)
}

// logs waits until pgherd has logged this text.
func (w *world) logs(text string) {
	w.Helper()
	w.eventually("pgherd's log tells "+text, func() error {
		if strings.Contains(w.log(), text) {
			return nil
		}
		return fmt.Errorf("the log does not have this text yet")
	})
}
