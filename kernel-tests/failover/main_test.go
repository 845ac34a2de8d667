// Package failover loses real nodes behind a running pgherd, and checks what its clients
// see meanwhile and what is in the database afterwards.
package failover

import (
	"context"
	"errors"
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

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	ctx, cancel := herdtest.Limited(herdtest.SetupLimit)
	defer cancel()
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

// world is a herd of a primary and two standbys, of which one has to acknowledge each commit,
// and pgherd in front of it.
type world struct {
	*testing.T
	ctx   context.Context
	herd  *herd.Herd
	proxy *herd.Proxy
}

// worldLimit bounds one test.
const worldLimit = 4 * time.Minute

func start(t *testing.T, config string) *world {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), worldLimit)
	t.Cleanup(cancel)
	h := herdtest.Start(t, herd.Settings{Standbys: 2})
	w := &world{T: t, ctx: ctx, herd: h}
	w.on(0, "CREATE TABLE ledger (id bigint PRIMARY KEY); GRANT ALL ON ledger TO PUBLIC")
	w.on(0, "ALTER SYSTEM SET synchronous_standby_names = 'ANY 1 (node0, node1, node2)'")
	for i := range h.Nodes() {
		if i > 0 { // who is promoted wants acknowledgements, too
			w.on(i, "ALTER SYSTEM SET synchronous_standby_names = 'ANY 1 (node0, node1, node2)'")
		}
		w.on(i, "ALTER SYSTEM SET synchronous_commit = on")
		w.on(i, "SELECT pg_reload_conf()")
	}
	work := t.TempDir()
	w.proxy = herdtest.StartProxy(t, herd.ProxySettings{Binary: binary, Nodes: h.Nodes(), Config: strings.Join([]string{
		"sr_check_user = 'postgres'", "sr_check_password = 'postgres'", "sr_check_database = 'postgres'",
		"work_dir = '" + work + "'", "load_balance_mode = off", config}, "\n")})
	return w
}

func (w *world) on(node int, sql string) string {
	w.Helper()
	out, err := w.herd.ExecOn(w.ctx, node, sql)
	if err != nil {
		w.Fatalf("node %d: %s: %v", node, sql, err)
	}
	return out
}

func (w *world) connect() *pgconn.PgConn {
	w.Helper()
	conn, err := herdtest.Connect(fmt.Sprintf("host=%s port=%d user=%s password=%s dbname=%s sslmode=disable", w.proxy.Host, w.proxy.Port, herd.User, herd.User, herd.Database))
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { herdtest.Close(conn) })
	return conn
}

// code is the SQLSTATE of an error; "" if there is none; "lost" if the connection was.
func code(conn *pgconn.PgConn, err error) string {
	f, told := errors.AsType[*pgconn.PgError](err)
	switch {
	case err == nil:
		return ""
	case !told || conn.IsClosed():
		return "lost: " + err.Error()
	}
	return f.Code
}

func (w *world) log() string {
	text, _ := os.ReadFile(w.proxy.Log())
	return string(text)
}
