package config

import (
	"fmt"
	"strings"
	"testing"
)

// badLines are lines that are added to a good file, each with the whole error.
var badLines = []struct{ line, want string }{
	{"prot = 1", `/c:2: unknown parameter "prot"; did you mean "port"?`},
	{"backend_hostnam1 = 'x'", `/c:2: unknown parameter "backend_hostnam1"; did you mean "backend_hostname1"?`},
	{"backend_hostname01 = 'x'", `/c:2: unknown parameter "backend_hostname01"; did you mean "backend_hostname1"?`},
	{"xyzzy_plugh = 1", `/c:2: unknown parameter "xyzzy_plugh"`},
	{"port0 = 1", `/c:2: unknown parameter "port0"; did you mean "port"?`},
	{"backend_weight = 1", `/c:2: backend_weight needs a number: backend_weight0`},
	{"backend_hostname128 = x", `/c:2: backend_hostname128: number is above 127`},
	{"port = 70000", `/c:2: port: value "70000" is out of range; accepted is 1 to 65535`},
	{"port = -1", `/c:2: port: value "-1" is out of range; accepted is 1 to 65535`},
	{"port = 99999999999999999999", `/c:2: port: value "99999999999999999999" is out of range; accepted is 1 to 65535`},
	{"port = 5s", `/c:2: port: value "5s" has a unit; accepted is a plain integer, 1 to 65535`},
	{"port = 54.3", `/c:2: port: value "54.3" is not an integer; accepted is 1 to 65535`},
	{"port = ''", `/c:2: port: value "" is not an integer; accepted is 1 to 65535`},
	{"workers = many", `/c:2: workers: value "many" is not an integer; accepted is 0 to 1024`},
	{"unix_socket_permissions = 01777", `/c:2: unix_socket_permissions: value "01777" is out of range; accepted is 00 to 0777`},
	{"server_idle_timeout = 5sec", `/c:2: server_idle_timeout: value "5sec" has a wrong unit; accepted are us, ms, s, min, h, d`},
	{"server_idle_timeout = 5MB", `/c:2: server_idle_timeout: value "5MB" has a wrong unit; accepted are us, ms, s, min, h, d`},
	{"server_idle_timeout = 100ms", `/c:2: server_idle_timeout: value "100ms" is less than the smallest step of 1 s`},
	{"health_check_timeout = 100us", `/c:2: health_check_timeout: value "100us" is less than the smallest step of 1 ms`},
	{"health_check_timeout = 2147483648", `/c:2: health_check_timeout: value "2147483648" is out of range; accepted is 0 s or more`},
	{"health_check_timeout = 9223372036854775807", `/c:2: health_check_timeout: value "9223372036854775807" is out of range; accepted is 0 s or more`},
	{"health_check_timeout = -1ms", `/c:2: health_check_timeout: value "-1ms" is out of range; accepted is 0 s or more`},
	{"server_idle_timeout = -5", `/c:2: server_idle_timeout: value "-5" is out of range; accepted is 0 s or more`},
	{"server_idle_timeout = 999999999999999999999d", `/c:2: server_idle_timeout: value "999999999999999999999d" is out of range; accepted is 0 s or more`},
	{"memqcache_total_size = 1mb", `/c:2: memqcache_total_size: value "1mb" has a wrong unit; accepted are B, kB, MB, GB, TB`},
	{"backend_weight0 = heavy", `/c:2: backend_weight0: value "heavy" is not a number; accepted is 0 to 100000000`},
	{"backend_weight0 = NaN", `/c:2: backend_weight0: value "NaN" is not a number; accepted is 0 to 100000000`},
	{"backend_weight0 = -0.1", `/c:2: backend_weight0: value "-0.1" is out of range; accepted is 0 to 100000000`},
	{"ssl = maybe", `/c:2: ssl: value "maybe" is not a boolean; accepted are on, off, true, false, yes, no, 1, 0`},
	{"io_engine = kqueue", `/c:2: io_engine: value "kqueue" is not accepted; accepted: auto, io_uring, epoll`},
	{"pool_mode = transactional", `/c:2: pool_mode: value "transactional" is not accepted; accepted: session, transaction, statement`},
	{"pool_mode_list = reports", `/c:2: pool_mode_list: entry "reports": there is no mode; write database:mode or database/user:mode`},
	{"pool_mode_list = 'a:session, reports:sesion'", `/c:2: pool_mode_list: entry "reports:sesion": mode "sesion" is not accepted; accepted: session, transaction, statement`},
	{"pool_mode_list = 'reports:'", `/c:2: pool_mode_list: entry "reports:": mode "" is not accepted; accepted: session, transaction, statement`},
	{"pool_mode_list = ':session'", `/c:2: pool_mode_list: entry ":session": no database; * is any`},
	{"pool_mode_list = '/batch:session'", `/c:2: pool_mode_list: entry "/batch:session": no database; * is any`},
	{"pool_mode_list = 'reports/:session'", `/c:2: pool_mode_list: entry "reports/:session": no user after the /; * is any`},
	{"pool_mode_list = 'a/b/c:session'", `/c:2: pool_mode_list: entry "a/b/c:session": more than one /`},
	{"pool_mode_list = 'a:session;b:statement'", `/c:2: pool_mode_list: entry "a:session;b:statement": mode "session;b:statement" is not accepted; accepted: session, transaction, statement`},
	{"pin_policy = keep", `/c:2: pin_policy: value "keep" is not accepted; accepted: pin, error`},
	{"harmless_function_list = 'f, g('", `/c:2: harmless_function_list: entry "g(": error parsing regexp: missing closing ): ` + "`g(`"},
	{"read_only_function_list = 'f, g('", `/c:2: read_only_function_list: entry "g(": error parsing regexp: missing closing ): ` + "`g(`"},
	{"write_function_list = '[a'", `/c:2: write_function_list: entry "[a": error parsing regexp: missing closing ]: ` + "`[a`"},
	{"primary_routing_query_pattern_list = 'a,b;*'", `/c:2: primary_routing_query_pattern_list: entry "*": error parsing regexp: missing argument to repetition operator: ` + "`*`"},
	{"load_balance_policy = random", `/c:2: load_balance_policy: value "random" is not accepted; accepted: weight, least_active, lowest_latency`},
	{"read_consistency = strict", `/c:2: read_consistency: value "strict" is not accepted; accepted: eventual, session, global`},
	{"read_consistency_wait = 2min", `/c:2: read_consistency_wait: value "2min" is out of range; accepted is 0 to 60000 ms`},
	{"max_prepared_statements = 0", `/c:2: max_prepared_statements: value "0" is out of range; accepted is 1 to 100000`},
	{"catalog_check_period = 0", `/c:2: catalog_check_period: value "0" is out of range; accepted is 1 to 3600 s`},
	{"query_parse_cache_size = 1kB", `/c:2: query_parse_cache_size: value "1kB" is out of range; accepted is 1048576 B or more`},
	{"log_destination = 'stderr,csvlog'", `/c:2: log_destination: value "csvlog" is not accepted; accepted: stderr, syslog`},
	{"backend_flag0 = NEVER", `/c:2: backend_flag0: value "NEVER" is not accepted; accepted: ALLOW_TO_FAILOVER, DISALLOW_TO_FAILOVER, ALWAYS_PRIMARY`},
	{"port", `/c:2: "port" has no value`},
	{"port = # none", `/c:2: "port" has no value`},
	{"port:5", `/c:2: expected = or a space after "port"`},
	{"port = 'x", `/c:2: value of "port" has no closing quote`},
	{`port = 'x\'`, `/c:2: port: value "x\\" is not an integer; accepted is 1 to 65535`},
	{`port = 'x\' # isn't`, `/c:2: unexpected text after the value of "port"; a value with spaces needs 'quotes'`},
	{"port = 5'6'", `/c:2: value of "port" has a quote in the middle`},
	{"listen_addresses = a, b", `/c:2: unexpected text after the value of "listen_addresses"; a value with spaces needs 'quotes'`},
	{"= 5", `/c:2: line does not begin with a parameter's name`},
	{"5 = 5", `/c:2: line does not begin with a parameter's name`},
	// Rules about several parameters.
	{"backend_hostname0 = ''", `/c:2: backend_hostname0 is empty`},
	{"backend_flag0 = 'ALLOW_TO_FAILOVER|DISALLOW_TO_FAILOVER'", `/c:2: backend_flag0 has both ALLOW_TO_FAILOVER and DISALLOW_TO_FAILOVER`},
	{"listen_addresses = ''\nunix_socket_directories = ''", `/c:2: nothing to listen on: listen_addresses and unix_socket_directories are both empty`},
	{"unix_socket_directories = '/" + strings.Repeat("d", 100) + "'", `/c:2: unix_socket_directories: a socket's path in "/` + strings.Repeat("d", 63) + `"... would be longer than 107 bytes`},
	{"backend_clustering_mode = native_replication", `/c:2: backend_clustering_mode native_replication is not supported: give the nodes streaming replication, and set backend_clustering_mode to streaming_replication`},
	{"backend_clustering_mode = slony", `/c:2: backend_clustering_mode slony is not supported: give the nodes streaming replication, and set backend_clustering_mode to streaming_replication`},
	{"backend_hostname3 = b\nbackend_clustering_mode = raw", `/c:3: backend_clustering_mode raw is not supported: raw is there for a single node, and 2 are given; set backend_clustering_mode to streaming_replication if they replicate`},
	{"replication_mode = on", `/c:2: replication_mode on, the old name of backend_clustering_mode native_replication, is not supported: give the nodes streaming replication, and remove it`},
	{"failover_mode = zookeeper", `/c:2: failover_mode: value "zookeeper" is not accepted; accepted: internal, script, patroni, off`},
	{"failover_mode = patroni", `/c:2: failover_mode patroni needs sr_check_user, and an sr_check_period other than 0`},
	{"failover_mode = patroni\nsr_check_user = u\nsr_check_period = 0", `/c:2: failover_mode patroni needs sr_check_user, and an sr_check_period other than 0`},
	{"failover_mode = script\nsr_check_user = u\nfailover_command = c", `/c:2: failover_mode script needs two nodes or more`},
	{"failover_mode = patroni\nsr_check_user = u\nbackend_hostname1 = b\nbackend_flag1 = ALWAYS_PRIMARY", `/c:2: failover_mode patroni and ALWAYS_PRIMARY in backend_flag1 contradict each other`},
	{"failover_mode = script\nsr_check_user = u\nbackend_hostname1 = b", `/c:2: failover_mode script needs failover_command, which promotes a standby`},
	{"failover_mode = patroni\nsr_check_user = u\nbackend_hostname1 = /run", `/c:2: patroni_url1 has to be set, as backend_hostname1 is a folder`},
	{"patroni_cert_file = c", `/c:2: patroni_cert_file and patroni_key_file must be set together`},
	{"patroni_key_file = k", `/c:2: patroni_cert_file and patroni_key_file must be set together`},
	{"patroni_url0 = db0:8008", `/c:2: patroni_url of node 0 is no address like https://db0.example.com:8008`},
	{"patroni_url = 'http://ann:secret@db0:8008'", `/c:2: patroni_url of node 0 is no address like https://db0.example.com:8008`},
	{"pcp_port = 9999", `/c:2: port and pcp_port are both 9999`},
	{"ssl = on\nssl_key = k", `/c:2: ssl is on, but ssl_cert or ssl_key is not set`},
	{"server_tls_key_file = k", `/c:2: server_tls_cert_file and server_tls_key_file must be set together`},
	{"server_tls_sslmode = verify-full", `/c:2: server_tls_sslmode verify-full needs server_tls_ca_file`},
	{"min_pool_size = 101", `/c:2: min_pool_size (101) is above max_node_connections (100)`},
	{"min_pool_size = 9\nmax_db_connections = 8", `/c:2: min_pool_size (9) is above max_db_connections (8)`},
	{"min_pool_size = 9\nmax_user_connections = 8", `/c:2: min_pool_size (9) is above max_user_connections (8)`},
	{"min_spare_children = 11\nprocess_management_mode = dynamic", `/c:2: min_spare_children (11) is above max_spare_children (10)`},
	{"use_watchdog = on", `/c:2: use_watchdog is on and there are no peers: set hostname0, hostname1 and so on, this pgherd among them`},
	{"use_watchdog = on\nhostname1 = a", `/c:2: this pgherd is number 0 (file pgpool_node_id), and hostname0 is not set`},
	{"use_watchdog = on\nhostname0 = a\nwd_authkey = 1234567", `/c:2: use_watchdog is on: wd_authkey has to have 8 characters or more, and to be the same on all peers`},
	{onePeer + "wd_lease = 200ms\nwd_election_timeout = 201", `/c:2: wd_lease is 200ms, and wd_election_timeout 201ms: a leader would lose the virtual addresses before another one can be elected`},
	{onePeer + "wd_witnesses = '1'", `/c:2: wd_witnesses has "1", and there is no hostname1`},
	{onePeer + "wd_witnesses = 'x'", `/c:2: wd_witnesses has "x", and there is no hostnamex`},
	{onePeer + "wd_witnesses = '0'", `/c:2: wd_witnesses has all peers: none is left to serve clients`},
	{onePeer + "wd_heartbeat_deadtime = 1", `/c:5: wd_heartbeat_keepalive (2) is above wd_heartbeat_deadtime (1)`},
	{"memqcache_maxcache = 2MB\nmemory_cache_enabled = on", `/c:2: memqcache_maxcache (2097152) is above memqcache_cache_block_size (1048576)`},
}

// onePeer is what a pgherd needs that is alone in a cluster.
const onePeer = "use_watchdog = on\nhostname0 = a\nwd_authkey = 12345678\n"

func TestErrors(t *testing.T) {
	for _, test := range badLines {
		_, _, err := Parse(files{"/c": oneNode + test.line, "/pgpool_node_id": "0\n"}.open, "/c", CommandLine{})
		if err == nil || err.Error() != test.want {
			t.Errorf("%s\n got: %v\nwant: %s", test.line, err, test.want)
		}
	}
}

// TestRulesOfWhatIsOff checks that a value of a feature that is off does not make a configuration invalid.
func TestRulesOfWhatIsOff(t *testing.T) {
	parse(t, oneNode+"min_spare_children = 11\nwd_heartbeat_deadtime = 1\nmemqcache_maxcache = 2MB")
}

// TestFailoverModes: each mode is taken where it has what it needs; Patroni answers at the node's host
// where nothing else is said.
func TestFailoverModes(t *testing.T) {
	text := oneNode + "backend_hostname1 = 'fe80::1'\nbackend_hostname2 = c\npatroni_url2 = 'https://p:99/x'\nsr_check_user = u\nfailover_command = c\nfailover_mode = "
	for _, mode := range []string{ModeInternal, ModeScript, ModePatroni, ModeOff} {
		c := parse(t, text+mode)
		if c.Failover.Mode != mode || c.Nodes[1].Patroni.URL != "http://[fe80::1]:8008" || c.Nodes[2].Patroni.URL != "https://p:99/x" {
			t.Errorf("%s: %+v, %+v", mode, c.Failover.Mode, c.Nodes)
		}
	}
}

// TestClusteringModes checks that only the modes that pgherd has are accepted, and that one node
// needs no others to replicate to.
func TestClusteringModes(t *testing.T) {
	param, _ := Find("backend_clustering_mode")
	for _, mode := range param.Options {
		for nodes, text := range map[int]string{1: oneNode, 2: oneNode + "backend_hostname1 = b\n"} {
			_, warnings, err := Parse(files{"/c": text + "backend_clustering_mode = " + mode}.open, "/c", CommandLine{})
			if runs := mode == streamingMode || mode == "raw" && nodes == 1; runs != (err == nil) || len(warnings) > 0 {
				t.Errorf("%s with %d nodes: got error %v, warnings %v", mode, nodes, err, warnings)
			}
		}
	}
	parse(t, oneNode+"replication_mode = off")
}

func TestTwoPrimaries(t *testing.T) {
	text := "backend_hostname0=a\nbackend_hostname1=b\nbackend_flag0=ALWAYS_PRIMARY\nbackend_flag1=ALWAYS_PRIMARY"
	_, _, err := Parse(files{"/c": text}.open, "/c", CommandLine{})
	if want := "/c:3: backend_flag0 and backend_flag1 both have ALWAYS_PRIMARY"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestAllErrorsAtOnce(t *testing.T) {
	text := "prot = 1\nport = x\npcp_port = 9999\nssl = on\nio_engine = 'x\n"
	_, _, err := Parse(files{"/c": text}.open, "/c", CommandLine{})
	want := strings.Join([]string{
		`/c:1: unknown parameter "prot"; did you mean "port"?`,
		`/c:2: port: value "x" is not an integer; accepted is 1 to 65535`,
		`/c:5: value of "io_engine" has no closing quote`,
		`/c: no node given: set backend_hostname0`,
		`/c:4: ssl is on, but ssl_cert or ssl_key is not set`,
	}, "\n")
	if err == nil || !sameLines(err.Error(), want) {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
}

// sameLines compares the lines in any order.
func sameLines(a, b string) bool {
	count := map[string]int{}
	for line := range strings.SplitSeq(a, "\n") {
		count[line]++
	}
	for line := range strings.SplitSeq(b, "\n") {
		count[line]--
	}
	for _, n := range count {
		if n != 0 {
			return false
		}
	}
	return true
}

func TestManyErrorsAreCounted(t *testing.T) {
	_, _, err := Parse(files{"/c": oneNode + strings.Repeat("nonsense_zzz = 1\n", MaxProblems+7)}.open, "/c", CommandLine{})
	lines := strings.Split(fmt.Sprint(err), "\n")
	if len(lines) != MaxProblems+1 || lines[MaxProblems] != "and 7 more errors" {
		t.Errorf("%d lines, last %q", len(lines), lines[len(lines)-1])
	}
}

// TestSecretsStaySecret checks that neither errors nor prints of a Config show a password (I9).
func TestSecretsStaySecret(t *testing.T) {
	const secret = "hunter2"
	bad := []string{"sr_check_password = 'x' hunter2", "sr_check_password = 'hunter2", "sr_check_password:hunter2",
		"sr_check_password = x'hunter2'", "recovery_password '", "health_check_password0 = a hunter2"}
	for _, line := range bad {
		_, _, err := Parse(files{"/c": oneNode + line}.open, "/c", CommandLine{})
		if err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("%s: got error %v", line, err)
		}
	}
	c := parse(t, oneNode+"sr_check_password = hunter2\nrecovery_password = hunter2\nwd_authkey = hunter2\nhealth_check_password = hunter2\nhealth_check_password0 = hunter2")
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
		if text := fmt.Sprintf(verb, *c); strings.Contains(text, secret) || strings.Contains(text, fmt.Sprintf("%x", secret)) {
			t.Errorf("%s shows the password: %s", verb, text)
		}
	}
	for _, s := range c.Settings() {
		if s.Value == secret {
			t.Errorf("the secret %s is shown", s.Name)
		}
	}
}
