package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// files are configuration files by path.
type files map[string]string

func (f files) open(path string) (io.ReadCloser, error) {
	text, ok := f[path]
	if !ok {
		return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
	}
	return io.NopCloser(strings.NewReader(text)), nil
}

// oneNode is the shortest configuration.
const oneNode = "backend_hostname0 = db0\n"

func parse(t *testing.T, text string) *Config {
	t.Helper()
	c, _, err := Parse(files{"/etc/p/pgpool.conf": text}.open, "/etc/p/pgpool.conf", CommandLine{})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestTypedFields(t *testing.T) {
	c := parse(t, `
listen_addresses = 'localhost, 10.0.0.1'
PORT 5433
unix_socket_permissions = 0770
backend_hostname2 = '/var/run/postgresql'
backend_hostname0 = 'db0'      # comment
backend_port0 = 6432
backend_weight0 = 2.5
backend_flag0 = 'disallow_to_failover | ALWAYS_PRIMARY'
backend_application_name0 = 'it''s fine'
connect_timeout = 2s
connect_timeout2 = 500
ssl = on
ssl_cert = 'tls/server.crt'
ssl_key = '/keys/server.key'
connection_life_time = 0.5h
client_idle_limit = 90
sr_check_password = 'geheim'
reset_query_list = 'ABORT; DISCARD ALL'
max_client_conn = 500
pool_mode = Transaction
pool_mode_list = 'reports:session, */batch:Statement, app / Bob : transaction'
pin_policy = error
harmless_function_list = 'f, s\.g.*'
catalog_check_period = 1min
max_prepared_statements = 7
query_parse_cache_size = 1MB
idle_transaction_timeout = 30
query_timeout = 2min
pid_file_name = 'run/p.pid'
unix_socket_directories = 'run,/tmp'
`)
	checks := []struct{ what, got, want string }{
		{"addresses", fmt.Sprint(c.Listen.Addresses), "[localhost 10.0.0.1]"},
		{"port", fmt.Sprint(c.Listen.Port), "5433"},
		{"mode", fmt.Sprintf("%o", c.Listen.UnixPermissions), "770"},
		{"backlog", fmt.Sprint(c.Listen.Backlog), "1000"},
		{"nodes", fmt.Sprint(len(c.Nodes)), "2"},
		{"node 0", fmt.Sprintf("%+v", c.Nodes[0]), "{Index:0 Host:db0 Port:6432 Weight:2.5 Flags:{DisallowFailover:true AlwaysPrimary:true} DataDirectory: ApplicationName:it's fine ConnectTimeout:2s Health:{Period:0s Timeout:20s Retries:0 RetryDelay:1s User: Password: Database:postgres} Patroni:{URL:http://db0:8008 Member:}}"},
		{"node 2", fmt.Sprintf("%+v", c.Nodes[1]), "{Index:2 Host:/var/run/postgresql Port:5432 Weight:1 Flags:{DisallowFailover:false AlwaysPrimary:false} DataDirectory: ApplicationName: ConnectTimeout:500ms Health:{Period:0s Timeout:20s Retries:0 RetryDelay:1s User: Password: Database:postgres} Patroni:{URL: Member:}}"},
		{"address 0", address(c.Nodes[0]), "tcp db0:6432"},
		{"address 2", address(c.Nodes[1]), "unix /var/run/postgresql/.s.PGSQL.5432"},
		{"cert", c.ClientTLS.CertFile, "/etc/p/tls/server.crt"},
		{"key", c.ClientTLS.KeyFile, "/keys/server.key"},
		{"sslmode follows ssl", c.ServerTLS.Mode, "prefer"},
		{"lifetime", c.Pool.Lifetime.String(), "30m0s"},
		{"idle", c.Timeouts.ClientIdle.String(), "1m30s"},
		{"password", string(c.Streaming.Password), "geheim"},
		{"reset", fmt.Sprintf("%q", c.Pool.ResetQueries), `["ABORT" "DISCARD ALL"]`},
		{"mode of servers", c.Pool.Mode, "transaction"},
		{"modes", fmt.Sprintf("%+v", c.Pool.Modes), "[{Database:reports User: Mode:session} {Database: User:batch Mode:statement} {Database:app User:Bob Mode:transaction}]"},
		{"pins", c.Pool.PinPolicy, "error"},
		{"harmless", fmt.Sprintf("%q", c.Pool.HarmlessFunctions), `["f" "s\\.g.*"]`},
		{"catalog", c.Pool.CatalogCheck.String(), "1m0s"},
		{"prepared", fmt.Sprint(c.Limits.Prepared), "7"},
		{"parsed", fmt.Sprint(c.Limits.ParseCache), "1048576"},
		{"silence", c.Timeouts.IdleTransaction.String(), "30s"},
		{"running", c.Timeouts.Query.String(), "2m0s"},
		{"pid", c.Files.Pid, "/etc/p/run/p.pid"},
		{"sockets", fmt.Sprint(c.Listen.UnixDirectories), "[/etc/p/run /tmp]"},
		{"passwd", c.Files.PoolPasswd, "/etc/p/pool_passwd"},
		{"hba", c.Files.HBA, "/etc/p/pool_hba.conf"},
	}
	for _, check := range checks {
		if check.got != check.want {
			t.Errorf("%s: got %s, want %s", check.what, check.got, check.want)
		}
	}
}

// TestBalance checks that every setting of the routing reaches its field.
func TestBalance(t *testing.T) {
	if got := parse(t, oneNode).Balance; !reflect.DeepEqual(got, Balance{On: true, Policy: "weight", Consistency: "session",
		ConsistencyWait: 50 * time.Millisecond, OnWrite: "transaction"}) {
		t.Errorf("defaults: %+v", got)
	}
	got := parse(t, oneNode+`
load_balance_mode = off
statement_level_load_balance = on
load_balance_policy = Least_Active
balance_expression = 'node.weight, 1'
read_consistency = global
read_consistency_wait = 1s
disable_load_balance_on_write = dml_adaptive
allow_sql_comments = on
read_only_function_list = 'f, app\.g.*'
write_function_list = 'h'
primary_routing_query_pattern_list = 'FROM t1\;;a,b'
primary_routing_query_pattern_list = 'c'
delay_threshold = 10MB
delay_threshold_by_time = 2s
prefer_lower_delay_standby = on
app_name_redirect_preference_list = 'psql:standby'
database_redirect_preference_list = 'web.*:1(0.5),app:primary'
user_redirect_preference_list = 'bob:0'
`).Balance
	want := Balance{PerStatement: true, Policy: "least_active", Expression: "node.weight, 1", Consistency: "global",
		ConsistencyWait: time.Second, OnWrite: "dml_adaptive", Comments: true, ReadFunctions: []string{"f", `app\.g.*`},
		WriteFunctions: []string{"h"}, PrimaryPatterns: []string{`FROM t1;`, "a,b", "c"}, DelayBytes: 10 << 20,
		DelayTime: 2 * time.Second, PreferLower: true, Applications: "psql:standby", Databases: "web.*:1(0.5),app:primary", Users: "bob:0"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func address(n Node) string {
	network, address := n.Address()
	return network + " " + address
}

func TestDefaults(t *testing.T) {
	c := parse(t, oneNode)
	if c.ServerTLS.Mode != "disable" || c.Pool.Mode != "session" || c.Engine.IO != "auto" {
		t.Errorf("modes: %+v %+v %+v", c.ServerTLS, c.Pool, c.Engine)
	}
	if want := (Limits{Clients: 10000, NodeConns: 100, AddressLogins: 200, AddressFailures: 100, FailureWindow: time.Minute,
		ReserveAfter: 5 * time.Second, Prepared: 200, ParseCache: 64 << 20, ClientMemory: 64 << 20, ClientsMemory: 1 << 30}); c.Limits != want {
		t.Errorf("limits: got %+v, want %+v", c.Limits, want)
	}
	want := Timeouts{ClientLogin: time.Minute, QueryWait: 2 * time.Minute, QueryNotify: 5 * time.Second, ServerReset: 10 * time.Second}
	if c.Timeouts != want {
		t.Errorf("timeouts: got %+v, want %+v", c.Timeouts, want)
	}
	if p := c.Pool; p.Modes != nil || p.PinPolicy != "pin" || p.HarmlessFunctions != nil || p.CatalogCheck != 10*time.Second {
		t.Errorf("pool: %+v", p)
	}
	if c.Nodes[0].ConnectTimeout != 10*time.Second || c.Listen.Backlog != 20000 {
		t.Errorf("node %+v, backlog %d", c.Nodes[0], c.Listen.Backlog)
	}
}

func TestServerConnectTimeoutCountsUnlessTheNodeHasOne(t *testing.T) {
	c := parse(t, oneNode+"backend_hostname1 = db1\nserver_connect_timeout = 3\nconnect_timeout1 = 700ms")
	if c.Nodes[0].ConnectTimeout != 3*time.Second || c.Nodes[1].ConnectTimeout != 700*time.Millisecond {
		t.Errorf("got %v and %v", c.Nodes[0].ConnectTimeout, c.Nodes[1].ConnectTimeout)
	}
}

func TestCommandLineWins(t *testing.T) {
	cl := CommandLine{HBA: "/x/hba", PCP: "/x/pcp", Key: "/x/key", DiscardStatus: true, Debug: true}
	c, _, err := Parse(files{"/c": oneNode}.open, "/c", cl)
	if err != nil {
		t.Fatal(err)
	}
	f := c.Files
	if f.HBA != "/x/hba" || f.PCP != "/x/pcp" || f.Key != "/x/key" || !f.DiscardStatus || c.Log.MinMessages != "debug1" {
		t.Errorf("got %+v, log %+v", f, c.Log)
	}
}

func TestInclude(t *testing.T) {
	f := files{
		"/etc/p/main":      "include 'conf.d/a'\nport = 1003\n" + oneNode,
		"/etc/p/conf.d/a":  "port = 1001\nmax_client_conn = 7\ninclude b\nInclude = '/abs'",
		"/etc/p/conf.d/b":  "port = 1002\nprimary_routing_query_pattern_list = 'a;b'",
		"/abs":             "pcp_port = 5\nprimary_routing_query_pattern_list = 'c'",
		"/etc/p/not-named": "rubbish",
	}
	c, _, err := Parse(f.open, "/etc/p/main", CommandLine{})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]Setting{
		"port":                               {Value: "1003", Source: "/etc/p/main:2"},
		"MAX_client_conn":                    {Value: "7", Source: "/etc/p/conf.d/a:2"},
		"pcp_port":                           {Value: "5", Source: "/abs:1"},
		"primary_routing_query_pattern_list": {Value: "a;b;c", Source: "/abs:2"},
		"min_pool_size":                      {Value: "0", Source: "default"},
	} {
		got, ok := c.Show(name)
		if !ok || got.Value != want.Value || got.Source != want.Source {
			t.Errorf("%s: got %v %v, want %v", name, ok, got, want)
		}
	}
}

func TestIncludeLimits(t *testing.T) {
	wide := oneNode + strings.Repeat("include w\n", MaxFiles+5)
	for name, test := range map[string]struct {
		files files
		want  string
	}{
		"itself":  {files{"/c": oneNode + "include 'c'"}, "/c:2: read /c: included more than 10 deep; does a file include itself?"},
		"twice":   {files{"/c": oneNode + "include 'c'\ninclude 'c'"}, "/c:2: read /c: more than 64 files included"},
		"wide":    {files{"/c": wide, "/w": ""}, "/c:65: read /w: more than 64 files included"},
		"missing": {files{"/c": oneNode + "include 'nope'"}, "/c:2: read /nope: file does not exist"},
		"no file": {files{}, "/c: file does not exist"},
		"large":   {files{"/c": oneNode + "include 'l'", "/l": strings.Repeat("#\n", MaxFileSize/2) + "#"}, "/c:2: read /l: larger than 1048576 bytes"},
		"line":    {files{"/c": oneNode + "#" + strings.Repeat("x", MaxLineLength)}, "/c:2: line longer than 65536 bytes"},
	} {
		_, _, err := Parse(test.files.open, "/c", CommandLine{})
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want %s", name, err, test.want)
		}
		if n := strings.Count(fmt.Sprint(err), "\n"); n > MaxProblems+1 {
			t.Errorf("%s: %d lines of errors", name, n)
		}
	}
}

func TestWarnings(t *testing.T) {
	_, warnings, err := Parse(files{"/c": oneNode + "num_init_children = 10\nwd_priority = 2\nreplication_mode = off\nuse_watchdog = off\nhealth_check_period0 = 5\nbackend_port3 = 5\nconnect_timeout = 5\nhealth_check_period0 = 6\nbackend_hostname1 = db0\n"}.open, "/c", CommandLine{})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"/c:4: replication_mode is an old name of backend_clustering_mode, which does not change by it",
		"/c: accepted, but not in effect in this version: num_init_children, wd_priority",
		"/c: no backend_hostname with that number, ignored: backend_port3",
		"/c: nodes 0 and 1 have the same address db0:5432",
	}
	var got []string
	for _, w := range warnings {
		got = append(got, w.Error())
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestErrorsCanBeTakenApart(t *testing.T) {
	_, _, err := Parse(files{"/c": "prot = 1\n" + oneNode}.open, "/c", CommandLine{})
	p, ok := errors.AsType[Problem](err)
	if !ok || p.File != "/c" || p.Line != 1 {
		t.Errorf("got %v %+v", ok, p)
	}
}

func TestDiff(t *testing.T) {
	old := parse(t, oneNode+"port = 1000\nlog_connections = on\nserver_idle_timeout = 60\nsr_check_password = a\nworkers = 2")
	now := parse(t, oneNode+"backend_hostname1 = db1\nport = 1001\nserver_idle_timeout = 1min\nsr_check_password = b\nserver_lifetime = 5\nio_engine = epoll")
	ch := now.Diff(old)
	if got := fmt.Sprint(ch.Reload); got != "[backend_hostname1 log_connections server_lifetime sr_check_password]" {
		t.Errorf("reload: %s", got)
	}
	if got := fmt.Sprint(ch.Restart); got != "[io_engine port workers]" {
		t.Errorf("restart: %s", got)
	}
	kept := now.KeepStartup(old)
	if kept.Listen.Port != 1000 || kept.Engine.IO != "auto" || kept.Engine.Workers != 2 || len(kept.Nodes) != 2 || kept.Log.Connections || kept.Pool.Lifetime != 5*time.Second {
		t.Errorf("kept: %+v", kept)
	}
	if ch := kept.Diff(old); len(ch.Restart) != 0 {
		t.Errorf("kept still differs in %v", ch.Restart)
	}
}
