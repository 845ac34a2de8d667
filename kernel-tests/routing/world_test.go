// Package routing_test proves where statements go: a real pgherd is in front of a real primary and two standbys. Reads
// are spread by weight, lag and maintenance, and whatever random sessions do, they get the answers of the primary alone.
//
// A random run depends only on its seed: -routing.seed N repeats it. A script that fails is shrunk. The nodes themselves
// say where a statement ran: node() returns the name of the node on which it runs, and the standbys log every statement.
package routing_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"pgherd/bench/herd"
	"pgherd/bench/herd/herdtest"
)

var (
	seeds = flag.Int("routing.seeds", 20, "how many random scripts are run in each pool mode on each engine, others each time")
	seed  = flag.Uint64("routing.seed", 0, "run this script alone; 0 runs -routing.seeds")
	known = flag.Bool("routing.known", false, "also blocks with one snapshot on a standby, where errors read otherwise and AND CHAIN may differ")
	tries = flag.Int("routing.failures", 1, "how many failing scripts are shrunk before a hunt ends")
	long  = flag.Bool("routing.long", false, "ten times as much of everything")
)

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
)

// world is what every test of this package uses.
var world struct {
	herd   *herd.Herd
	binary string
}

func TestMain(m *testing.M) {
	settings := herd.Settings{Standbys: 2, HBA: []string{trust}, Config: []string{
		"log_statement = all", "log_line_prefix = '%u@%d '", "autovacuum = off", "jit = off", "max_standby_streaming_delay = -1"}}
	herdtest.Main(m, settings, func(ctx context.Context, h *herd.Herd, binary string) error {
		world.herd, world.binary = h, binary
		return setUp(ctx)
	})
}

const trust = "host all all 127.0.0.1/32 trust"

// twins is the database of the sessions without pgherd.
const twins = "twins"

// setUp makes the objects that the tests use, in both databases with the same OIDs.
func setUp(ctx context.Context) error {
	for _, file := range []string{"testdata/setup.sql", "testdata/statements_setup.sql"} {
		sql, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		if _, err := world.herd.Exec(ctx, string(sql)); err != nil {
			return err
		}
	}
	conn, err := pgconn.Connect(ctx, dsn(world.herd.Nodes()[0].Port, herd.Superuser, "postgres"))
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, fmt.Sprintf("CREATE DATABASE %s TEMPLATE %s OWNER %s", twins, herd.Database, herd.User)).ReadAll(); err != nil {
		return err
	}
	return world.herd.WaitStreaming(ctx)
}

func dsn(port int, user, database string) string {
	return fmt.Sprintf("host=127.0.0.1 port=%d user=%s dbname=%s sslmode=disable", port, user, database)
}

// engines runs the test in both pool modes that have transactions, each on one engine.
func engines(t *testing.T, test func(t *testing.T, config string)) {
	for _, kind := range []struct{ mode, engine string }{{"session", "io_uring"}, {"transaction", "epoll"}} {
		t.Run(kind.mode+"/"+kind.engine, func(t *testing.T) {
			test(t, fmt.Sprintf("pool_mode = %s\nio_engine = %s\n", kind.mode, kind.engine))
		})
	}
}

// asksNode allows reads that call node(), a function that pgherd cannot analyze.
const asksNode = "read_only_function_list = node\nharmless_function_list = node\n"

// start runs pgherd in front of all nodes. When it returns, both standbys get reads. Of two lines for a parameter the
// later one counts.
func start(t *testing.T, config string) *herd.Proxy {
	t.Helper()
	proxy := startProxy(t, asksNode+config)
	waitNodes(t, proxy, "node1", "node2")
	return proxy
}

func startProxy(t *testing.T, config string) *herd.Proxy {
	t.Helper()
	return herdtest.StartProxy(t, herd.ProxySettings{Binary: world.binary, Nodes: world.herd.Nodes(), HBA: trust + "\n",
		Config: "workers = 2\nmax_node_connections = 40\nquery_wait_timeout = 15\n" + config})
}

// waitNodes waits until each of these nodes has answered a read.
func waitNodes(t *testing.T, p *herd.Proxy, names ...string) {
	t.Helper()
	for _, name := range names {
		eventually(t, name+" gets reads", func() error {
			conn, err := tryConnect(p)
			if err != nil {
				return err
			}
			defer closeConn(conn)
			got, err := ask(conn, "SELECT node()")
			if err == nil && got != name {
				err = fmt.Errorf("%s answers instead", got)
			}
			return err
		})
	}
}

func tryConnect(p *herd.Proxy) (*pgconn.PgConn, error) {
	return herdtest.Connect(dsn(p.Port, herd.User, herd.Database))
}

// connect logs in as alice, and closes the connection at the end of the test.
func connect(t *testing.T, p *herd.Proxy) *pgconn.PgConn {
	t.Helper()
	conn, err := tryConnect(p)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeConn(conn) })
	return conn
}

// on runs sql on a node itself, as superuser.
func on(t *testing.T, node int, sql string) string {
	t.Helper()
	ctx, cancel := limited(answerLimit)
	defer cancel()
	out, err := world.herd.ExecOn(ctx, node, sql)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// times is the number of repetitions of something, for this length of the test.
func times(n int) int {
	if *long {
		return 10 * n
	}
	return n
}
