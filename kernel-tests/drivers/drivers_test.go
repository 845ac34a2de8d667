// Package drivers runs real clients, first against PostgreSQL, which proves the checks themselves, and then
// through pgherd, where they must see the same.
//
// A client that is not installed is a failure; `make test` installs them all.
package drivers

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgherd/bench/herd"
	"pgherd/bench/herd/herdtest"
)

const programLimit = 3 * time.Minute // the deadline of one client program

// target is a server to which clients connect.
type target struct {
	herd   *herd.Herd
	host   string
	port   int
	direct bool
	saw    map[string]string // by program, what it has seen without pgherd
}

// env tells clients by libpq's environment variables where the server is; every client here reads
// them.
func (to target) env() []string {
	return append(os.Environ(), "PGHOST="+to.host, "PGPORT="+strconv.Itoa(to.port), "PGUSER="+herd.User,
		"PGPASSWORD="+herd.User, "PGDATABASE="+herd.Database, "PGSSLMODE=disable", "LC_ALL=C.UTF-8", "PGTZ=UTC")
}

func (to target) dsn() string {
	return fmt.Sprintf("host=%s port=%d user=%s password=%s dbname=%s sslmode=disable", to.host, to.port, herd.User, herd.User, herd.Database)
}

var clients = []struct {
	name string
	run  func(*testing.T, target)
}{
	{"psql", runPsql},
	{"pgbench", runPgbench},
	{"pgx", runPgx},
	{"psycopg", runPsycopg},
	{"DBD::Pg", runPerl},
	{"django", runDjango},
	{"node-postgres", runNode},
	{"jdbc", runJDBC},
}

// proxies are the ways in which pgherd is run in front of the same nodes: the primary, and in some of them a
// standby that gets every read that it may.
var proxies = []struct {
	name, config string
	nodes        int
}{
	{"session, epoll", "pool_mode = session\nio_engine = epoll", 1},
	{"session, io_uring", "pool_mode = session\nio_engine = io_uring", 1},
	{"transaction, io_uring", "pool_mode = transaction\nio_engine = io_uring", 1},
	{"session, io_uring, balanced", "pool_mode = session\nio_engine = io_uring\nbackend_weight0 = 0", 2},
	{"transaction, epoll, balanced", "pool_mode = transaction\nio_engine = epoll\nbackend_weight0 = 0", 2},
}

func TestDrivers(t *testing.T) {
	h := herdtest.Start(t, herd.Settings{Standbys: 1})
	node := h.Nodes()[0]
	saw := map[string]string{}
	t.Run("direct", func(t *testing.T) {
		runClients(t, target{h, node.Host, node.Port, true, saw})
	})
	if t.Failed() {
		return // a check that fails against PostgreSQL is wrong itself
	}
	binary, err := herd.Build(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range proxies {
		t.Run(p.name, func(t *testing.T) {
			proxy := startProxy(t, binary, h.Nodes()[:p.nodes], p.config)
			runClients(t, target{h, proxy.Host, proxy.Port, false, saw})
		})
	}
}

func runClients(t *testing.T, to target) {
	for _, c := range clients {
		t.Run(c.name, func(t *testing.T) { c.run(t, to) })
	}
}

func startProxy(t *testing.T, binary string, nodes []herd.Node, config string) *herd.Proxy {
	t.Helper()
	return herdtest.StartProxy(t, herd.ProxySettings{Binary: binary, Nodes: nodes, Config: "workers = 2\n" + config})
}

// program runs a client and returns its output; standard input is the file stdin, if any.
func program(t *testing.T, to target, stdin, dir, name string, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Fatalf("%v: make test installs it", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), programLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env, cmd.Dir = to.env(), dir
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	if stdin != "" {
		file, err := os.Open(stdin)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		cmd.Stdin = file
	}
	err = cmd.Run()
	return out.String(), errs.String(), err
}

// alike requires that a program has seen through pgherd what it has seen directly, if it was run
// directly.
func (to target) alike(t *testing.T, saw string) {
	t.Helper()
	_, name, _ := strings.Cut(strings.TrimPrefix(t.Name(), "TestDrivers/"), "/")
	if to.direct {
		to.saw[name] = saw
	} else if want, ok := to.saw[name]; ok && saw != want {
		t.Errorf("the output differs from that without pgherd: %s", firstLine(want, saw))
	}
}

// script runs a program that prints "ok NAME" for each of its checks, and requires n of them.
func script(t *testing.T, to target, n int, dir, name string, args ...string) (stdout string) {
	t.Helper()
	stdout, stderr, err := program(t, to, "", dir, name, args...)
	if err != nil {
		t.Fatalf("%v\n%s%s", err, stdout, stderr)
	}
	if ok := len(regexp.MustCompile(`(?m)^ok `).FindAllString(stdout, -1)); ok != n {
		t.Errorf("%d checks passed, want %d:\n%s%s", ok, n, stdout, stderr)
	}
	return stdout
}

// absolute is the absolute path of a file of this folder, for a program that runs in another one.
func absolute(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs(name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Fatal(err)
	}
	return path
}
