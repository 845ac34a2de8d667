package observe

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"pgherd/bench/herd"
	"pgherd/bench/herd/herdtest"
)

// What the tests of pgherd share: the program, and a node.
var (
	binary string
	nodes  []herd.Node
)

var withPostgres = flag.Bool("observe.postgres", true, "start PostgreSQL; without it, only tests of the kernel alone can pass")

func TestMain(m *testing.M) {
	flag.Parse()
	if !*withPostgres {
		os.Exit(m.Run())
	}
	os.Exit(run(m))
}

func run(m *testing.M) int {
	ctx, cancel := herdtest.Limited(herdtest.SetupLimit)
	defer cancel()
	dir, err := os.MkdirTemp("", "observe-")
	if err == nil {
		defer os.RemoveAll(dir)
		binary, err = herd.Build(ctx, dir)
	}
	var h *herd.Herd
	if err == nil {
		h, err = herd.Start(ctx, herd.Settings{})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	nodes = h.Nodes()
	code := m.Run()
	if err := h.Stop(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// table is the answer to a SHOW, each row by its columns.
func table(t testing.TB, conn *pgconn.PgConn, show string) (rows []map[string]string) {
	t.Helper()
	ctx, cancel := herdtest.Limited(herdtest.AnswerLimit)
	defer cancel()
	results, err := conn.Exec(ctx, show).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range results[0].Rows {
		row := map[string]string{}
		for i, f := range results[0].FieldDescriptions {
			row[f.Name] = string(r[i])
		}
		rows = append(rows, row)
	}
	return rows
}

// feature is the row of SHOW FEATURES that is about us.
func feature(t testing.TB, conn *pgconn.PgConn) map[string]string {
	t.Helper()
	for _, row := range table(t, conn, "SHOW FEATURES") {
		if row["feature"] == "observe (sockops)" {
			return row
		}
	}
	t.Fatal("SHOW FEATURES does not have it")
	return nil
}

func connect(t testing.TB, p *herd.Proxy) *pgconn.PgConn {
	t.Helper()
	conn, err := herdtest.Connect(fmt.Sprintf("host=%s port=%d user=%[3]s password=%[3]s dbname=postgres sslmode=disable", p.Host, p.Port, herd.Superuser))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { herdtest.Close(conn) })
	return conn
}

// unwatched checks that pgherd serves clients, watches nothing, and says why.
func unwatched(t *testing.T, p *herd.Proxy, reason string) {
	t.Helper()
	conn := connect(t, p)
	if got := herdtest.MustAsk(t, conn, "SELECT 42"); got != "42" {
		t.Errorf("SELECT 42 is %s", got)
	}
	if f := feature(t, conn); f["used"] != "false" || !strings.Contains(f["reason"], reason) || f["min_version"] == "" {
		t.Errorf("%v, want the reason %q", f, reason)
	}
	if rows := table(t, conn, "SHOW POOL_NETWORK"); len(rows) != 0 {
		t.Errorf("nothing is watched, and it shows %v", rows)
	}
}

// TestShowPoolNetwork has what clients and nodes were sent.
func TestShowPoolNetwork(t *testing.T) {
	p := herdtest.StartProxy(t, herd.ProxySettings{Binary: binary, Nodes: nodes})
	if !permitted(t) {
		unwatched(t, p, "")
		return
	}
	conn := connect(t, p)
	if f := feature(t, conn); f["used"] != "true" || f["reason"] != "" {
		t.Errorf("%v", f)
	}
	const bytes = 1 << 20
	herdtest.MustAsk(t, conn, fmt.Sprintf("SELECT repeat('x', %d)", bytes))
	rows := table(t, conn, "SHOW POOL_NETWORK")
	if len(rows) != 2 {
		t.Fatalf("%d rows: %v", len(rows), rows)
	}
	for i, want := range []map[string]string{
		{"peer": "node", "node_id": "0", "hostname": nodes[0].Host, "port": strconv.Itoa(nodes[0].Port), "failed": "0", "aborted": "0"},
		{"peer": "client", "node_id": "", "hostname": "127.0.0.1", "port": "", "failed": "0"},
	} {
		for column, value := range want {
			if rows[i][column] != value {
				t.Errorf("%s of %v, want %q", column, rows[i], value)
			}
		}
		for column, least := range map[string]int{"connections": 1, "opened": 1, []string{"bytes_received", "bytes_sent"}[i]: bytes} {
			if n, err := strconv.Atoi(rows[i][column]); err != nil || n < least {
				t.Errorf("%s of %v, want %d or more", column, rows[i], least)
			}
		}
		if rtt, err := strconv.ParseFloat(rows[i]["rtt_ms"], 64); err != nil || rtt <= 0 {
			t.Errorf("rtt_ms of %v", rows[i])
		}
	}
}

// TestOff as the configuration says.
func TestOff(t *testing.T) {
	unwatched(t, herdtest.StartProxy(t, herd.ProxySettings{Binary: binary, Nodes: nodes, Config: "bpf = off"}), "bpf = off")
}

// deprived is pgherd without the capabilities for BPF, as another name for it.
func deprived(t *testing.T) string {
	t.Helper()
	if os.Geteuid() != 0 {
		return binary // it has none to lose
	}
	name := filepath.Join(t.TempDir(), "pgherd")
	script := "#!/bin/sh\nexec setpriv --bounding-set=-bpf,-perfmon,-sys_admin " + binary + " \"$@\"\n"
	if err := os.WriteFile(name, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	return name
}

// TestWithoutPermission pgherd runs all the same, unless it is told that it must not.
func TestWithoutPermission(t *testing.T) {
	settings := herd.ProxySettings{Binary: deprived(t), Nodes: nodes}
	unwatched(t, herdtest.StartProxy(t, settings), "no CAP_BPF, no CAP_PERFMON")
	settings.Config = "bpf = on"
	p, err := herd.StartProxy(t.Context(), settings)
	if err == nil {
		t.Fatal(errors.Join(errors.New("bpf is on, and it starts without"), p.Stop()))
	}
	for _, want := range []string{"bpf: bpf is on: use BPF (Linux 5.8): pgherd's process has no CAP_BPF, no CAP_PERFMON", "With bpf = auto it does without"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%v; want %q", err, want)
		}
	}
}

// relay makes a node reachable at the far end of a cable.
func relay(t testing.TB, c *cable, node herd.Node) herd.Node {
	t.Helper()
	l, near := c.listen(t), net.JoinHostPort(node.Host, strconv.Itoa(node.Port))
	go func() {
		for {
			from, err := l.Accept()
			if err != nil {
				return
			}
			to, err := net.Dial("tcp", near)
			if err != nil {
				from.Close()
				continue
			}
			go pass(from, to)
			go pass(to, from)
		}
	}()
	node.Host, node.Port = c.address, l.Addr().(*net.TCPAddr).Port
	return node
}

func pass(from, to net.Conn) {
	_, _ = io.Copy(to, from)
	to.Close()
	from.Close()
}
