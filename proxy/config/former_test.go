package config

import (
	"slices"
	"strings"
	"testing"
)

// formerLines are lines of an older version in a file with one node, with the parameters that SHOW
// has then, and the warnings. A value of - is the default.
var formerLines = []struct{ lines, shown, warnings string }{
	{"white_function_list = 'f,g\\.h'", `read_only_function_list=f,g\.h`, "2: white_function_list is the old name of read_only_function_list, which gets its value"},
	{"black_function_list = 'nextval,setval'", "write_function_list=nextval,setval read_only_function_list=-", "2: black_function_list is the old name of write_function_list, which gets its value"},
	{"White_Function_List = 'f'", "read_only_function_list=f", "2: White_Function_List is the old name of read_only_function_list, which gets its value"},
	{"black_query_pattern_list = 'a\\;;b'\nblack_query_pattern_list = 'c'", `primary_routing_query_pattern_list=a\;;b;c`,
		"2: black_query_pattern_list is the old name of primary_routing_query_pattern_list, which gets its value\n3: black_query_pattern_list is the old name of primary_routing_query_pattern_list, which gets its value"},
	{"white_memqcache_table_list = 'v'", "cache_safe_memqcache_table_list=v", "2: white_memqcache_table_list is the old name of cache_safe_memqcache_table_list, which gets its value"},
	{"black_memqcache_table_list = 't'", "cache_unsafe_memqcache_table_list=t cache_safe_memqcache_table_list=-", "2: black_memqcache_table_list is the old name of cache_unsafe_memqcache_table_list, which gets its value"},
	{"socket_dir = '/run/p'", "unix_socket_directories=/run/p pcp_socket_dir=-", "2: socket_dir is the old name of unix_socket_directories, which gets its value"},
	{"unix_socket_directories = '/a'\nsocket_dir = '/b'", "unix_socket_directories=/a", "3: socket_dir is the old name of unix_socket_directories, which is given too and takes precedence"},
	{"socket_dir = '/b'\nunix_socket_directories = '/a'", "unix_socket_directories=/a", "2: socket_dir is the old name of unix_socket_directories, which is given too and takes precedence"},
	{"socket_dir = '/a'\nsocket_dir = '/b'", "unix_socket_directories=/b", "2: socket_dir is the old name of unix_socket_directories, which gets its value\n3: socket_dir is the old name of unix_socket_directories, which gets its value"},
	{"follow_master_command = '/f\\%m'", `follow_primary_command=/f\%m`, "2: follow_master_command is the old name of follow_primary_command, which gets its value"},
	{"fail_over_on_backend_error = off", "failover_on_backend_error=off", "2: fail_over_on_backend_error is the old name of failover_on_backend_error, which gets its value"},
	{"failover_on_backend_error = on\nfail_over_on_backend_error = off", "failover_on_backend_error=on", "3: fail_over_on_backend_error is the old name of failover_on_backend_error, which is given too and takes precedence"},
	{"logdir = '/l'", "work_dir=/l", "2: logdir is the old name of work_dir, which gets its value"},
	{"allow_inet_domain_socket = true", "listen_addresses=*", "2: allow_inet_domain_socket is the old name of listen_addresses, which gets its value"},
	{"allow_inet_domain_socket = false", "listen_addresses=", "2: allow_inet_domain_socket is the old name of listen_addresses, which gets its value"},
	{"backend_use_ssl = on", "server_tls_sslmode=prefer", "2: backend_use_ssl is the old name of server_tls_sslmode, which gets its value"},
	{"backend_use_ssl = off", "server_tls_sslmode=disable", "2: backend_use_ssl is the old name of server_tls_sslmode, which gets its value"},
	{"debug_level = 3", "log_min_messages=debug3", "2: debug_level is the old name of log_min_messages, which gets its value"},
	{"debug_level = 10", "log_min_messages=debug5", "2: debug_level is the old name of log_min_messages, which gets its value"},
	{"debug_level = 0", "log_min_messages=-", "2: debug_level is a parameter of older versions: without effect, see log_min_messages"},
	{"print_timestamp = on", "log_line_prefix=-", "2: print_timestamp is a parameter of older versions: without effect, see log_line_prefix, %m and %t"},
	{"system_db_password = 'hush'", "", "2: system_db_password is a parameter of older versions: without effect, as it belonged to parallel_mode"},
	// These are the numbers of the watchdog's parameters.
	{"wd_hostname = 'h'\nwd_port = 9001\nwd_heartbeat_port = 9695", "hostname0=h wd_port0=9001 heartbeat_port0=9695",
		"2: wd_hostname is the old name of hostname0, which gets its value\n3: wd_port is the old name of wd_port0, which gets its value\n4: wd_heartbeat_port is the old name of heartbeat_port0, which gets its value"},
	{"other_pgpool_hostname0 = 'h'\nother_pgpool_port0 = 9998\nother_wd_port1 = 9002", "hostname1=h pgpool_port1=9998 wd_port2=9002",
		"2: other_pgpool_hostname0 is the old name of hostname1, which gets its value\n3: other_pgpool_port0 is the old name of pgpool_port1, which gets its value\n4: other_wd_port1 is the old name of wd_port2, which gets its value"},
	{"heartbeat_destination0 = 'h'\nheartbeat_destination_port0 = 9695\nheartbeat_device0 = 'eth0'", "heartbeat_hostname1=h heartbeat_port1=9695 heartbeat_device1=eth0",
		"2: heartbeat_destination0 is the old name of heartbeat_hostname1, which gets its value\n3: heartbeat_destination_port0 is the old name of heartbeat_port1, which gets its value\n4: heartbeat_device0 is the old name of heartbeat_device1, which gets its value"},
	{"heartbeat_hostname0 = 'h'\nheartbeat_device0 = 'eth0'", "heartbeat_hostname0=h heartbeat_device0=eth0", ""},
	{"hostname1 = 'new'\nother_pgpool_hostname0 = 'old'", "hostname1=new", "3: other_pgpool_hostname0 is the old name of hostname1, which is given too and takes precedence"},
	// These are modes.
	{"master_slave_mode = on", "backend_clustering_mode=streaming_replication", "2: master_slave_mode is an old name of backend_clustering_mode, which is streaming_replication"},
	{"master_slave_sub_mode = 'stream'", "backend_clustering_mode=-", "2: master_slave_sub_mode is an old name of backend_clustering_mode, which does not change by it"},
	{"master_slave_mode = true\nmaster_slave_sub_mode = stream\nreplication_mode = false", "backend_clustering_mode=streaming_replication replication_mode=off",
		"2: master_slave_mode is an old name of backend_clustering_mode, which is streaming_replication\n3: master_slave_sub_mode is an old name of backend_clustering_mode, which is streaming_replication\n4: replication_mode is an old name of backend_clustering_mode, which is streaming_replication"},
	{"master_slave_mode = off\nreplication_mode = off", "backend_clustering_mode=raw", "2: master_slave_mode is an old name of backend_clustering_mode, which is raw\n3: replication_mode is an old name of backend_clustering_mode, which is raw"},
	{"replication_mode = off", "backend_clustering_mode=-", "2: replication_mode is an old name of backend_clustering_mode, which does not change by it"},
	{"parallel_mode = off", "backend_clustering_mode=-", "2: parallel_mode is an old name of backend_clustering_mode, which does not change by it"},
	{"backend_clustering_mode = streaming_replication\nreplication_mode = on\nparallel_mode = on", "backend_clustering_mode=streaming_replication",
		"3: replication_mode is an old name of backend_clustering_mode, which is given too and takes precedence\n4: parallel_mode is an old name of backend_clustering_mode, which is given too and takes precedence"},
	// These are old words for values.
	{"relcache_query_target = master", "relcache_query_target=primary", "2: relcache_query_target: master is the old word for primary"},
	{"backend_flag0 = 'DISALLOW_TO_FAILOVER|ALWAYS_MASTER'", "backend_flag0=DISALLOW_TO_FAILOVER|ALWAYS_PRIMARY", "2: backend_flag0: ALWAYS_MASTER is the old word for ALWAYS_PRIMARY"},
	{"log_min_messages = debug", "log_min_messages=debug2", "2: log_min_messages: debug is the old word for debug2"},
	{"check_temp_table = true", "check_temp_table=on", "2: check_temp_table: true is the old word for on"},
	// These are nodes at a Unix socket.
	{"backend_hostname0 = ''\nbackend_port0 = 5432", "backend_hostname0=/tmp", "2: backend_hostname0 is empty, which is the Unix socket in \"/tmp\""},
	{"backend_hostname0 = ''\nbackend_port0 = 5432\nbackend_socket_dir = '/run/pg'", "backend_hostname0=/run/pg",
		"4: backend_socket_dir is a parameter of older versions: it is where an empty backend_hostnameN is; give the folder there\n2: backend_hostname0 is empty, which is the Unix socket in \"/run/pg\""},
}

func TestNamesOfOlderVersions(t *testing.T) {
	for _, row := range formerLines {
		c, warnings, err := Parse(files{"/c": oneNode + row.lines}.open, "/c", CommandLine{})
		if err != nil {
			t.Errorf("%s: got error %v", row.lines, err)
			continue
		}
		for pair := range strings.FieldsSeq(row.shown) {
			name, want, _ := strings.Cut(pair, "=")
			s, ok := c.Show(name)
			if want == "-" {
				want = s.Param.display(defaults[s.Param])
			}
			if !ok || s.Value != want {
				t.Errorf("%s: parameter %s is %q", row.lines, name, s.Value)
			}
		}
		var got []string
		for _, w := range warnings {
			if w.Line > 0 {
				got = append(got, strings.TrimPrefix(w.Error(), "/c:"))
			}
		}
		if all := strings.Join(got, "\n"); all != row.warnings {
			t.Errorf("%s\n got: %s\nwant: %s", row.lines, all, row.warnings)
		}
	}
}

// formerErrors are values under old names that are refused as under the present ones, with errors
// that name the line.
var formerErrors = []struct{ lines, want string }{
	{"master_slave_mode = on\nmaster_slave_sub_mode = 'slony'", "/c:3: master_slave_sub_mode slony, the old name of backend_clustering_mode slony, is not supported: give the nodes streaming replication, and remove it"},
	{"master_slave_mode = on\nmaster_slave_sub_mode = 'logical'", "/c:3: master_slave_sub_mode logical, the old name of backend_clustering_mode logical_replication, is not supported: give the nodes streaming replication, and remove it"},
	{"master_slave_mode = on\nmaster_slave_sub_mode = 'steam'", `/c:3: master_slave_sub_mode: value "steam" is not accepted; accepted: stream, slony, logical`},
	{"master_slave_mode = off\nreplication_mode = off\nbackend_hostname1 = b", "/c:2: master_slave_mode off, the old name of backend_clustering_mode raw, is not supported: raw is there for a single node, and 2 are given; set backend_clustering_mode to streaming_replication if they replicate"},
	{"master_slave_mode = off\nreplication_mode = on", "/c:3: replication_mode on, the old name of backend_clustering_mode native_replication, is not supported: give the nodes streaming replication, and remove it"},
	{"parallel_mode = on\nreplication_mode = on", "/c:2: parallel_mode on is not supported: give every node all rows, and remove it"},
	{"master_slave_mode = maybe", `/c:2: master_slave_mode: value "maybe" is not a boolean; accepted are on, off, true, false, yes, no, 1, 0`},
	{"backend_use_ssl = maybe", `/c:2: backend_use_ssl: value "maybe" is not a boolean; accepted are on, off, true, false, yes, no, 1, 0`},
	{"black_function_list = 'f('", "/c:2: black_function_list: entry \"f(\": error parsing regexp: missing closing ): `f(`"},
	{"socket_dir", `/c:2: "socket_dir" has no value`},
	{"master_slave_mode =", `/c:2: "master_slave_mode" has no value`},
	{"other_wd_port127 = 9000", "/c:2: wd_port128: number is above 127"},
	{"other_wd_port00 = 9000", `/c:2: unknown parameter "other_wd_port00"; did you mean "wd_port1"?`},
}

func TestErrorsOfOlderVersions(t *testing.T) {
	for _, row := range formerErrors {
		_, _, err := Parse(files{"/c": oneNode + row.lines}.open, "/c", CommandLine{})
		if err == nil || err.Error() != row.want {
			t.Errorf("%s\n got: %v\nwant: %s", row.lines, err, row.want)
		}
	}
}

// TestFormerNamesAreWellFormed checks that each old name leads to a parameter, or says what there
// is in its place.
func TestFormerNamesAreWellFormed(t *testing.T) {
	var seen []string
	for _, f := range formerNames {
		now := f.now
		if f.shift {
			now += "1"
		}
		if _, _, ok := Named(now); ok != (f.now != "") || f.now == "" && f.gone == "" || slices.Contains(seen, f.name) {
			t.Errorf("old name %s: leads to %q, and its text is %q", f.name, f.now, f.gone)
		}
		seen = append(seen, f.name)
	}
	for _, p := range table {
		for word, now := range p.Former {
			if !slices.Contains(p.Options, now) || slices.Contains(p.Options, word) || word != strings.ToLower(word) {
				t.Errorf("parameter %s: old word %s leads to %s", p.Name, word, now)
			}
		}
	}
}

// TestWarningsHaveALimit checks that the number of warnings is limited, as that of errors is.
func TestWarningsHaveALimit(t *testing.T) {
	text := oneNode + strings.Repeat("print_timestamp = on\n", MaxProblems+7)
	_, warnings, err := Parse(files{"/c": text}.open, "/c", CommandLine{})
	if err != nil || len(warnings) != MaxProblems+1 || warnings[MaxProblems].Text != "and 7 more warnings" {
		t.Errorf("got %d warnings, error %v", len(warnings), err)
	}
}
