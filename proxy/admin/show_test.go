package admin

import (
	"context"
	"errors"
	commandline "flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"pgherd/proxy/config"
	"pgherd/proxy/events"
	"pgherd/proxy/metrics"
	"pgherd/proxy/nodes"
	"pgherd/proxy/status"
	"pgherd/proxy/wire"
)

var update = commandline.Bool("update", false, "write the golden files anew")

// at is that time of the day of fixed.
func at(s string) time.Time {
	t, err := time.Parse(time.DateTime, "2026-03-01 "+s)
	if err != nil {
		panic(err)
	}
	return t
}

// fixed is the state of a pgherd at one moment, with a case of everything.
func fixed() *status.State {
	s := &status.State{Version: "1.2.3", Now: at("12:00:00"), Started: at("08:00:00"), PID: 100}
	s.Nodes = &nodes.View{Nodes: []nodes.Node{
		{Index: 0, Host: "10.0.0.1", Port: 5432, Weight: 1, Status: nodes.Up, Role: nodes.Primary, Since: at("08:00:01"),
			Reachable: true, Probed: true, Found: nodes.Primary, Checks: nodes.Checks{Succeeded: 3, Failed: 1, Shortest: 400 * time.Microsecond,
				Longest: 12 * time.Millisecond, Together: 15 * time.Millisecond, LastSucceeded: at("11:59:59"), LastFailed: at("09:00:00")}},
		{Index: 1, Host: "/run/postgresql", Port: 5433, Weight: 2, Status: nodes.Up, Role: nodes.Standby, Since: at("08:00:02"),
			Reachable: true, Probed: true, Found: nodes.Standby, DelayBytes: 4096, Delay: 628 * time.Microsecond, ReplicationState: "streaming", SyncState: "async"},
		{Index: 2, Host: "::1", Port: 5434, Status: nodes.Down, Role: nodes.Standby, Probed: true},
		{Index: 3, Host: "db3", Port: 5435, Weight: 1, Status: nodes.Quarantine, Why: "its timeline 3 is older than the herd's 4", Role: nodes.Unknown},
		{Index: 4, Host: "db4", Port: 5436, Status: nodes.Waiting},
	}}
	s.Network = fixedNetwork()
	s.Recovery = &status.Recovery{Node: 2, By: "alice", Step: "failed", Percent: 37, Began: at("10:00:00"), Ended: at("10:01:02"),
		FailedStep: "1st stage", Why: "no space left on device"}
	s.Patroni = []status.Patroni{
		{Node: 0, URL: "http://10.0.0.1:8008", Since: at("11:00:00"), Last: at("11:59:59"), Leader: "pg1", Member: "pg1", Role: "leader", State: "running", Timeline: 4},
		{Node: 1, URL: "https://db1:8008", Since: at("11:00:00"), Last: at("11:59:58"), Leader: "pg1", Paused: true, Member: "pg2", Role: "sync_standby",
			State: "streaming", Timeline: 4, Lag: "unknown"},
		{Node: 2, URL: "http://[::1]:8008", Since: at("11:58:00"), Last: at("11:57:59"), Why: "connection refused"},
		{Node: 3, URL: "http://db3:8008", Since: at("11:58:00"), Why: "it answers 503 Service Unavailable"},
	}
	s.Watchdog = &status.Watchdog{Self: 0, Leader: 1, Term: 7, Licence: 812 * time.Millisecond,
		Peers:     []status.Peer{{Number: 0, Name: "10.0.1.1:9000"}, {Number: 1, Name: "10.0.1.2:9000", Heard: 23 * time.Millisecond}, {Number: 2, Name: "10.0.1.3:9000", Heard: -1}},
		Addresses: []status.Address{{Name: "10.0.1.100/24@eth0", Promised: 1, PromisedFor: 340 * time.Millisecond}, {Name: "fd77::100/128@eth0", Left: 280 * time.Millisecond, Promised: -1}}}
	s.Events = []events.Event{{Time: at("08:00:01"), Text: "ready"},
		{Time: at("11:00:00"), Level: slog.LevelWarn, Text: "probe node", Details: "node=2 error=refused"},
		{Time: at("11:30:00"), Level: slog.LevelError, Text: "no node is known to be the primary, so no client is served"}}
	s.Workers = []status.Worker{
		{Index: 0, Thread: 101, Logins: 7, Clients: 3, Servers: 2},
		{Index: 1, Thread: 102},
	}
	held := &status.Server{Worker: 0, Node: 0, User: "alice", Database: "app", PID: 5001, Opened: at("11:00:00"), Uses: 3}
	begun := &status.Server{Worker: 0, Node: 0, User: "bob", Database: "app", PID: 5002, Opened: at("11:30:00"), Uses: 1}
	s.Clients = []status.Client{
		{PID: 11, Worker: 0, User: "alice", Database: "app", Application: "psql", Host: "[local]", State: "active",
			Since: at("11:59:58"), LoggedIn: at("11:58:00"), Waited: 1500 * time.Microsecond, Server: held, Mode: "session", ReadNode: -1},
		{PID: 12, Worker: 0, User: "bob", Database: "app", Host: "10.1.2.3", Port: "40000", TLS: "TLSv1.3 TLS_AES_128_GCM_SHA256",
			State: "in_transaction", Since: at("11:59:00"), LoggedIn: at("11:57:00"), Server: begun,
			Mode: "transaction", Pinned: "LISTEN", ReadNode: 1},
		{PID: 13, Worker: 1, User: "alice", Database: "app", Application: "it's | \"quoted\"\n", Host: "::1", Port: "1",
			State: "wait_server", Since: at("11:59:59"), LoggedIn: at("11:59:59"), Waited: time.Second, Mode: "statement", ReadNode: 1},
		{PID: 14, Worker: 1, State: "idle", Since: at("10:00:00"), LoggedIn: at("09:00:00"), ReadNode: 0},
	}
	held.Client, begun.Client = &s.Clients[0], &s.Clients[1]
	s.Servers = []status.Server{*held, *begun,
		{Worker: 1, Node: 1, User: "alice", Database: "web", PID: 5003, Opened: at("11:45:00"), Idle: at("11:50:00"), Uses: 9},
		{Worker: 9, Node: 1, User: "alice", Database: "web", PID: 5004, Opened: at("11:45:00"), Idle: at("11:50:00")},
	}
	s.Pools = []status.Pool{
		{Node: 0, Database: "app", User: "alice", ClientsWaiting: 1, ServersActive: 1, Paused: true, Pins: 18446744073709551615},
		{Node: 1, Database: "web", User: "alice", ServersIdle: 2},
	}
	for ms := range 100 {
		s.Pools[0].Waits.Add(time.Duration(ms) * time.Millisecond)
	}
	s.Sent = []metrics.Statements{
		{metrics.Select: 18446744073709551615, metrics.Insert: 1, metrics.Update: 2, metrics.Delete: 3, metrics.DDL: 4,
			metrics.Other: 5, metrics.Panic: 6, metrics.Fatal: 7, metrics.Error: 8},
		{metrics.Select: 70},
	}
	s.Features = []status.Feature{
		{Name: "io_uring", Used: true, MinVersion: "6.1"},
		{Name: "XDP", Used: false, Reason: "operation not permitted", MinVersion: "6.1"},
	}
	return s
}

func fixedNetwork() *status.Network {
	n := &status.Network{Nodes: []status.Connections{
		{Node: 0, Host: "10.0.0.1", Port: 5432, Live: 3, Opened: 18446744073709551615, Closed: 4, Failed: 5, Aborted: 6, Received: 7, Sent: 8,
			RTT: 1234567 * time.Nanosecond, Retransmits: 9, Timeouts: 10},
		{Node: 1, Host: "/run/postgresql", Port: 5433},
	}}
	for i := range clientsShown + 1 {
		n.Clients = append(n.Clients, status.Connections{Node: -1, Host: fmt.Sprint("10.1.0.", i), Live: 1, Opened: 1, RTT: 50 * time.Microsecond})
	}
	return n
}

type source struct {
	state *status.State
	err   error
}

func (s source) State(ctx context.Context) (*status.State, error) {
	if _, limited := ctx.Deadline(); !limited {
		return nil, errors.New("the state was collected without a deadline")
	}
	return s.state, s.err
}

func (s source) Network(context.Context) (*status.Network, error) {
	return s.state.Network, s.err
}

// TestShow compares the answer of every command, for a fixed state, with testdata/NAME.golden. That has one
// column a line, so that a difference can be read. -update writes the files.
func TestShow(t *testing.T) {
	commands := &Commands{Source: source{state: fixed()}, Config: defaults(t)}
	for _, row := range shows() {
		if row.name == "pool_status" { // its answer is as long as the manual
			continue
		}
		t.Run(row.name, func(t *testing.T) {
			command, ok := commands.Find([]byte("SHOW " + row.name))
			if !ok {
				t.Fatal("the command is not found")
			}
			rows, err := command.Run(&Asker{PID: 12})
			if err != nil {
				t.Fatal(err)
			}
			golden(t, row.name, written(t, command.Columns(), rows))
		})
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := "testdata/" + name + ".golden"
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

// shows are the commands that show something.
func shows() []*command {
	return slices.DeleteFunc(slices.Clone(table), func(c *command) bool { return c.act != nil })
}

func written(t *testing.T, columns []string, rows [][]string) string {
	var b strings.Builder
	for i, row := range rows {
		if len(row) != len(columns) {
			t.Fatalf("row %d has %d columns, want %d", i, len(row), len(columns))
		}
		if i > 0 {
			b.WriteString("\n")
		}
		for j, value := range row {
			b.WriteString(strings.TrimRight(columns[j]+": "+strings.ReplaceAll(value, "\n", `\n`), " ") + "\n")
		}
	}
	return b.String()
}

// TestShowOfNothing checks that without nodes, workers or clients the result has no rows.
func TestShowOfNothing(t *testing.T) {
	commands := &Commands{Source: source{state: &status.State{Nodes: &nodes.View{}}}, Config: defaults(t)}
	for _, row := range shows() {
		command, _ := commands.Find([]byte("SHOW " + row.name))
		rows, err := command.Run(&Asker{PID: 1})
		if want := map[string]int{"pool_version": 1, "pool_memory": 2, "pool_cache": 1, "help": len(table) + len(elsewhere),
			"pool_status": len(defaults(t)().Settings())}[row.name]; err != nil || len(rows) != want {
			t.Errorf("%s: got %d rows, error %v", row.name, len(rows), err)
		}
	}
}

func TestShowFails(t *testing.T) {
	lost := errors.New("workers do not answer")
	command, _ := (&Commands{Source: source{err: lost}, Config: defaults(t)}).Find([]byte("show pool_nodes"))
	if _, err := command.Run(&Asker{PID: 1}); !errors.Is(err, lost) {
		t.Error(err)
	}
}

// TestPoolNodesColumns checks that the columns are Pgpool-II's fourteen, in its order, and two of pgherd's.
func TestPoolNodesColumns(t *testing.T) {
	want := []string{"node_id", "hostname", "port", "status", "pg_status", "lb_weight", "role", "pg_role", "select_cnt",
		"load_balance_node", "replication_delay", "replication_state", "replication_sync_state", "last_status_change", "sessions", "reason"}
	if command, _ := (&Commands{}).Find([]byte("show pool_nodes")); !slices.Equal(command.Columns(), want) {
		t.Errorf("columns are %q", command.Columns())
	}
}

// TestHealthCheckStatsColumns checks that the columns are Pgpool-II's, in its order.
func TestHealthCheckStatsColumns(t *testing.T) {
	want := []string{"node_id", "hostname", "port", "status", "role", "last_status_change", "total_count", "success_count", "fail_count", "skip_count",
		"retry_count", "average_retry_count", "max_retry_count", "max_duration", "min_duration", "average_duration", "last_health_check",
		"last_successful_health_check", "last_skip_health_check", "last_failed_health_check"}
	if command, _ := (&Commands{}).Find([]byte("show pool_health_check_stats")); !slices.Equal(command.Columns(), want) {
		t.Errorf("columns are %q", command.Columns())
	}
}

// TestPoolStatusIsTheConfiguration checks that the answer has the configuration without its passwords.
func TestPoolStatusIsTheConfiguration(t *testing.T) {
	commands := &Commands{Source: source{state: fixed()}, Config: defaults(t)}
	command, _ := commands.Find([]byte("SHOW POOL_STATUS"))
	rows, err := command.Run(&Asker{})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range [][]string{{"backend_hostname0", "db0"}, {"sr_check_password", "*****"}, {"query_wait_timeout", "2min"}} {
		if !slices.ContainsFunc(rows, func(row []string) bool { return row[0] == want[0] && row[1] == want[1] && row[2] != "" }) {
			t.Errorf("%q is missing in %q", want, rows)
		}
	}
}

// TestShowOfWhatIsNot checks that SHOW of an unknown name says which names there are.
func TestShowOfWhatIsNot(t *testing.T) {
	command, ok := (&Commands{}).Find([]byte("show pool_foo;"))
	if !ok {
		t.Fatal("the text is not found, so PostgreSQL would be asked")
	}
	_, err := command.Run(&Asker{})
	fault, _ := err.(*wire.Fault)
	if fault == nil || fault.Code != "42704" || fault.Message != "there is no SHOW POOL_FOO" {
		t.Fatal(err)
	}
	for _, row := range shows() {
		if !strings.Contains(fault.Hint, strings.ToUpper(row.name)) {
			t.Errorf("command %s is missing in the hint %q", row.name, fault.Hint)
		}
	}
}

// defaults is a configuration of one node with few settings.
func defaults(t *testing.T) func() *config.Config {
	text := "backend_hostname0 = db0\nsr_check_password = secret\n"
	open := func(string) (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(text)), nil }
	c, _, err := config.Parse(open, "/c", config.CommandLine{})
	if err != nil {
		t.Fatal(err)
	}
	return func() *config.Config { return c }
}

// TestNodeStatsColumns checks that the columns are Pgpool-II's, in its order.
func TestNodeStatsColumns(t *testing.T) {
	want := []string{"node_id", "hostname", "port", "status", "role", "select_cnt", "insert_cnt", "update_cnt", "delete_cnt",
		"ddl_cnt", "other_cnt", "panic_cnt", "fatal_cnt", "error_cnt"}
	if command, _ := (&Commands{}).Find([]byte("show pool_backend_stats")); !slices.Equal(command.Columns(), want) {
		t.Errorf("columns are %q", command.Columns())
	}
}

// TestReplicationDelay checks that the delay is in bytes, or in time if the configuration counts time.
func TestReplicationDelay(t *testing.T) {
	for _, row := range []struct {
		byTime bool
		node   nodes.Node
		want   string
	}{
		{false, nodes.Node{DelayBytes: 628, Delay: time.Hour}, "628"},
		{true, nodes.Node{DelayBytes: 628}, "0.000000 second"},
		{true, nodes.Node{Delay: 628 * time.Microsecond}, "0.000628 second"},
		{true, nodes.Node{Delay: 1999999 * time.Microsecond}, "1.999999 second"},
		{true, nodes.Node{Delay: 2 * time.Second}, "2.000000 seconds"},
	} {
		if got := delay(&status.State{DelayByTime: row.byTime}, &row.node); got != row.want {
			t.Errorf("%+v: the delay is %s", row, got)
		}
	}
}

// TestLoadBalanceNode checks that the load_balance_node is that of the client who asks, if it has one.
func TestLoadBalanceNode(t *testing.T) {
	s := fixed()
	for asker, want := range map[uint32]int{11: -1, 12: 1, 14: 0, 999: -1} {
		if got := s.ReadNode(asker); got != want {
			t.Errorf("client %d: got node %d, want %d", asker, got, want)
		}
	}
}

func TestTableIsInOrder(t *testing.T) {
	seen := map[string]bool{}
	for _, row := range table {
		if row.doc == "" || row.name != strings.ToLower(row.name) || seen[row.name] || (len(row.columns) == 0) == (row.act == nil) {
			t.Errorf("command %q has no doc, no columns, upper-case letters, or a double", row.name)
		}
		seen[row.name] = true
	}
}
