// Package faults_test breaks things under a real pgherd in front of a real PostgreSQL, on both engines: processes are
// killed, clients vanish, stop reading or send nonsense, limits are reached, certificates change, and crowds share a few
// servers from transaction to transaction. Every client checks its own answers (I1), and in the end the servers that
// PostgreSQL has are those that pgherd counts (I2).
//
// All waits have generous deadlines, and none is a measurement.
package faults_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"pgherd/bench/herd"
	"pgherd/bench/herd/herdtest"
)

var large = flag.Bool("faults.large", false, "single messages of 1 GB instead of 256 MB")

// These limits are shared by these tests.
const (
	settleLimit = herdtest.SettleLimit
	answerLimit = herdtest.AnswerLimit
	pollEvery   = herdtest.PollEvery
)

var (
	eventually = herdtest.Eventually
	limited    = herdtest.Limited
	closeConn  = herdtest.Close
	ask        = herdtest.Ask
	mustAsk    = herdtest.MustAsk
	errHung    = herdtest.ErrHung
	hung       = herdtest.Hung
)

// world is what every test of this package uses: one PostgreSQL with a standby, which offers TLS, and the program under
// test.
var world struct {
	herd   *herd.Herd
	binary string
	dir    string
}

func TestMain(m *testing.M) {
	flag.Parse()
	if os.Getenv(childVariable) != "" {
		os.Exit(childMain())
	}
	code, err := runAll(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(code)
}

func runAll(m *testing.M) (code int, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	if world.dir, err = os.MkdirTemp("", "faults-"); err != nil {
		return 1, err
	}
	defer os.RemoveAll(world.dir)
	if world.binary, err = herd.Build(ctx, world.dir); err != nil {
		return 1, err
	}
	world.herd, err = herd.Start(ctx, herd.Settings{TLS: true, Standbys: 1, Config: []string{
		"max_connections = 150", "wal_level = logical", "max_replication_slots = 10", "autovacuum = off",
		"temp_file_limit = -1", "log_min_messages = fatal"}})
	if err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, world.herd.Stop()) }()
	if _, err := world.herd.Exec(ctx, setupSQL); err != nil {
		return 1, err
	}
	return m.Run(), nil
}

// setupSQL makes a table with a row for each write of a client, which the clients count.
const setupSQL = `
CREATE UNLOGGED TABLE log (client text, seq int, PRIMARY KEY (client, seq));
GRANT ALL ON log TO PUBLIC;
CREATE TABLE kept (client text, seq int, PRIMARY KEY (client, seq));
GRANT ALL ON kept TO PUBLIC;`

// engines runs the test on each engine.
func engines(t *testing.T, test func(t *testing.T, engine string)) {
	for _, name := range []string{"epoll", "io_uring"} {
		t.Run(name, func(t *testing.T) { test(t, name) })
	}
}

// proxyConfig is what most tests need. Of two lines for a parameter the later one counts. Servers move between two
// workers whatever the machine has, and clients that only watch have no server.
const proxyConfig = "workers = 2\nserver_at_login = off\nmax_node_connections = 60\nquery_wait_timeout = 60\nlog_min_messages = info\n"

// startProxy runs pgherd in front of the primary.
func startProxy(t *testing.T, settings herd.ProxySettings) *herd.Proxy {
	t.Helper()
	if settings.Binary == "" {
		settings.Binary = world.binary
	}
	if settings.Nodes == nil {
		settings.Nodes = world.herd.Nodes()[:1]
	}
	settings.Config = proxyConfig + settings.Config
	proxy := herdtest.StartProxy(t, settings)
	waitPrimary(t, proxy)
	return proxy
}

func start(t *testing.T, engine, config string) *herd.Proxy {
	t.Helper()
	return startProxy(t, herd.ProxySettings{Config: "io_engine = " + engine + "\n" + config})
}

// waitPrimary waits until pgherd serves the primary, which it does not know before its first probe.
func waitPrimary(t *testing.T, p *herd.Proxy) {
	t.Helper()
	eventually(t, "pgherd finds its primary", func() error {
		conn, err := tryConnect(p, herd.Superuser, "")
		if err == nil {
			closeConn(conn)
		}
		return err
	})
}

// tryConnect logs in. options are further words of the connection string.
func tryConnect(p *herd.Proxy, user, options string) (*pgconn.PgConn, error) {
	return herdtest.Connect(dsn(p.Port, user) + " " + options)
}

func dsn(port int, user string) string {
	return fmt.Sprintf("host=127.0.0.1 port=%d user=%s password=%s dbname=%s sslmode=disable", port, user, user, herd.Database)
}

// connect logs in as alice, and closes the connection at the end of the test.
func connect(t *testing.T, p *herd.Proxy) *pgconn.PgConn {
	t.Helper()
	return connectAs(t, p, herd.User, "")
}

func connectAs(t *testing.T, p *herd.Proxy, user, options string) *pgconn.PgConn {
	t.Helper()
	conn, err := tryConnect(p, user, options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeConn(conn) })
	return conn
}

// direct runs sql on the primary itself, as superuser.
func direct(t *testing.T, sql string) string {
	t.Helper()
	out, err := world.herd.Exec(t.Context(), sql)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// sqlstate is the code of a server's error, or "" if err is none.
func sqlstate(err error) string {
	var fault *pgconn.PgError
	if errors.As(err, &fault) {
		return fault.Code
	}
	return ""
}

// lost says that err is the end of a connection, with or without an error from the server.
func lost(err error) bool {
	return err != nil && !errors.Is(err, errHung) && sqlstate(err) == ""
}

func wantState(t *testing.T, err error, code string) {
	t.Helper()
	if sqlstate(err) != code {
		t.Errorf("got %v, want SQLSTATE %s", err, code)
	}
}

func address(p *herd.Proxy) string { return net.JoinHostPort(p.Host, strconv.Itoa(p.Port)) }

// signal sends sig to pgherd.
func signal(t *testing.T, p *herd.Proxy, sig syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(p.PID(), sig); err != nil {
		t.Fatal(err)
	}
}

// ended waits until pgherd has ended.
func ended(t *testing.T, p *herd.Proxy) {
	t.Helper()
	select {
	case <-p.Done():
	case <-time.After(settleLimit):
		t.Fatalf("pgherd still runs after %v", settleLimit)
	}
}

// program runs a client program to its end.
func program(t *testing.T, name string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := limited(2 * time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C", "PGPASSWORD="+herd.Superuser)
	out, err := cmd.CombinedOutput()
	return string(out), err
}
