package config

import (
	"errors"
	"strconv"
	"strings"
)

// former is a name from an older version of Pgpool-II, which pgherd still reads.
type former struct {
	name  string
	now   string                            // the present name, which gets its value; "" if there is none
	shift bool                              // both have a number, and the present one is the next: since 4.2 number 0 is this host's own
	with  string                            // shift applies only to files that have this name too, because the present name is spelt the same
	value func(text string) (string, error) // translates the value; nil: it stays the same
	gone  string                            // for a name without successor, what one should know
}

// clusteringMode collects the names of former modes; see former_mode.go.
const clusteringMode = "backend_clustering_mode"

var formerNames = []former{
	{name: "white_function_list", now: "read_only_function_list"},
	{name: "black_function_list", now: "write_function_list"},
	{name: "black_query_pattern_list", now: "primary_routing_query_pattern_list"},
	{name: "white_memqcache_table_list", now: "cache_safe_memqcache_table_list"},
	{name: "black_memqcache_table_list", now: "cache_unsafe_memqcache_table_list"},
	{name: "socket_dir", now: "unix_socket_directories"},
	{name: "allow_inet_domain_socket", now: "listen_addresses", value: allOrNone},
	{name: "backend_use_ssl", now: "server_tls_sslmode", value: preferOrDisable},
	{name: "follow_master_command", now: "follow_primary_command"},
	{name: "fail_over_on_backend_error", now: "failover_on_backend_error"},
	{name: "enable_multiple_failover_requests_from_node", now: "allow_multiple_failover_requests_from_node"},
	{name: "logdir", now: "work_dir"},
	{name: "debug_level", now: "log_min_messages", value: debugLevel, gone: "without effect, see log_min_messages"},

	{name: "ifconfig_path", now: "if_cmd_path"},
	{name: "wd_hostname", now: "hostname0"},
	{name: "wd_port", now: "wd_port0"},
	{name: "wd_heartbeat_port", now: "heartbeat_port0"},
	{name: "other_pgpool_hostname", now: "hostname", shift: true},
	{name: "other_pgpool_port", now: "pgpool_port", shift: true},
	{name: "other_wd_port", now: "wd_port", shift: true},
	{name: "heartbeat_destination", now: "heartbeat_hostname", shift: true},
	{name: "heartbeat_destination_port", now: "heartbeat_port", shift: true},
	{name: "heartbeat_device", now: "heartbeat_device", shift: true, with: "heartbeat_destination"},

	{name: "master_slave_mode", now: clusteringMode},
	{name: "master_slave_sub_mode", now: clusteringMode},
	{name: "replication_mode", now: clusteringMode},
	{name: "parallel_mode", now: clusteringMode},

	{name: "backend_socket_dir", gone: "it is where an empty backend_hostnameN is; give the folder there"},
	{name: "pcp_timeout", gone: "without effect, see authentication_timeout"},
	{name: "print_timestamp", gone: "without effect, see log_line_prefix, %m and %t"},
	{name: "print_user", gone: "without effect, see log_line_prefix, %u"},
	{name: "enable_query_cache", gone: "without effect, see memory_cache_enabled"},
	{name: "pgpool2_hostname", gone: "without effect, as it belonged to parallel_mode"},
	{name: "system_db_hostname", gone: "without effect, as it belonged to parallel_mode"},
	{name: "system_db_port", gone: "without effect, as it belonged to parallel_mode"},
	{name: "system_db_dbname", gone: "without effect, as it belonged to parallel_mode"},
	{name: "system_db_schema", gone: "without effect, as it belonged to parallel_mode"},
	{name: "system_db_user", gone: "without effect, as it belonged to parallel_mode"},
	{name: "system_db_password", gone: "without effect, as it belonged to parallel_mode"},
}

// isFormer reports a name of an older version, as a file has it.
func isFormer(name string) bool {
	_, _, ok := findFormer(name, nil)
	return ok
}

// findFormer finds a name as a file has it, and the present name. has says which names the
// file gives.
func findFormer(name string, has map[string]bool) (f *former, now string, ok bool) {
	base, digits := splitIndex(name)
	number, err := strconv.Atoi(digits)
	numbered := err == nil && strconv.Itoa(number) == digits
	for i := range formerNames {
		f := &formerNames[i]
		switch {
		case !f.shift && strings.EqualFold(f.name, name):
			return f, f.now, true
		case f.shift && numbered && strings.EqualFold(f.name, base) && (f.with == "" || has[f.with]):
			return f, f.now + strconv.Itoa(number+1), true
		}
	}
	return nil, "", false
}

// errNoEffect says that the value asks for nothing that the present parameter has.
var errNoEffect = errors.New("no effect")

func allOrNone(text string) (string, error) { return ifOn(text, "*", "") }

func preferOrDisable(text string) (string, error) { return ifOn(text, "prefer", "disable") }

func ifOn(text, on, off string) (string, error) {
	v, err := (&Param{Kind: Bool}).parse(text)
	if v.on {
		return on, err
	}
	return off, err
}

// debugLevel logs more for higher numbers; 0 leaves it to log_min_messages.
func debugLevel(text string) (string, error) {
	v, err := (&Param{Kind: Integer, Max: maxInt}).parse(text)
	if err == nil && v.num == 0 {
		err = errNoEffect
	}
	return "debug" + strconv.FormatInt(min(v.num, 5), 10), err
}
