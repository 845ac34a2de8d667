package config

import (
	"fmt"
	"slices"
	"strconv"
)

// maxSocketPath is the longest path of a Unix socket, sun_path less its final zero byte.
const maxSocketPath = 107

// check is a rule about several parameters. It is skipped if one of them has an error of its own,
// and blames the line of the first one that is given.
type check struct {
	uses []string
	bad  func(*Config) string // what is wrong, "" if nothing
}

var checks = []check{
	{[]string{"backend_hostname"}, noNodes},
	{[]string{"backend_flag"}, clashingFlags},
	{[]string{"backend_clustering_mode"}, missingMode},
	{[]string{"failover_mode", "sr_check_user", "sr_check_period", "backend_hostname", "backend_flag"}, withoutNodes},
	{[]string{"failover_mode", "failover_command"}, withoutCommand},
	{[]string{"patroni_url", "failover_mode", "backend_hostname"}, badPatroniURL},
	{[]string{"patroni_cert_file", "patroni_key_file"}, halfPatroniCertificate},
	{[]string{"listen_addresses", "unix_socket_directories"}, listensNowhere},
	{[]string{"unix_socket_directories", "port"}, longSocketPath},
	{[]string{"pcp_port", "port"}, samePorts},
	{[]string{"ssl", "ssl_cert", "ssl_key"}, missingCertificate},
	{[]string{"server_tls_cert_file", "server_tls_key_file"}, halfServerCertificate},
	{[]string{"server_tls_sslmode", "server_tls_ca_file"}, missingServerCA},
	{[]string{"min_pool_size", "max_node_connections"}, minAbove("min_pool_size", "max_node_connections")},
	{[]string{"min_pool_size", "max_db_connections"}, minAbove("min_pool_size", "max_db_connections")},
	{[]string{"min_pool_size", "max_user_connections"}, minAbove("min_pool_size", "max_user_connections")},
	{[]string{"min_spare_children", "max_spare_children"}, when("process_management_mode", "dynamic", minAbove("min_spare_children", "max_spare_children"))},
	{[]string{"use_watchdog", "hostname", "wd_authkey", "wd_lease", "wd_election_timeout", "wd_witnesses"}, badWatchdog},
	{[]string{"wd_heartbeat_keepalive", "wd_heartbeat_deadtime"}, when("use_watchdog", "on", minAbove("wd_heartbeat_keepalive", "wd_heartbeat_deadtime"))},
	{[]string{"memqcache_maxcache", "memqcache_cache_block_size"}, when("memory_cache_enabled", "on", minAbove("memqcache_maxcache", "memqcache_cache_block_size"))},
}

func (ch check) run(c *Config, ps *problems) {
	if slices.ContainsFunc(ch.uses, func(name string) bool { return c.settings().bad[byName[name]] }) {
		return
	}
	if text := ch.bad(c); text != "" {
		file, line := c.settings().source(ch.uses)
		if file == "" {
			file = c.File
		}
		ps.add(file, line, text)
	}
}

// source finds the line of the first of these names that is given.
func (s *settings) source(names []string) (file string, line int) {
	for _, name := range names {
		p := byName[name]
		for _, index := range append(s.indexes(func(q *Param) bool { return q == p }), noIndex) {
			if e, ok := s.set[key{p, index}]; ok {
				return e.file, e.line
			}
		}
	}
	return "", 0
}

// number is the value of an integer that may have no field of its own.
func (c *Config) number(name string) int64 { return c.settings().get(byName[name], noIndex).value.num }

func noNodes(c *Config) string {
	if len(c.Nodes) == 0 {
		return "no node given: set backend_hostname0"
	}
	for _, n := range c.Nodes {
		if n.Host == "" {
			return fmt.Sprintf("backend_hostname%d is empty", n.Index)
		}
	}
	return ""
}

func clashingFlags(c *Config) string {
	primary, flag := -1, byName["backend_flag"]
	for _, n := range c.Nodes {
		words := c.settings().get(flag, n.Index).value.list
		if slices.Contains(words, "ALLOW_TO_FAILOVER") && n.Flags.DisallowFailover {
			return fmt.Sprintf("backend_flag%d has both ALLOW_TO_FAILOVER and DISALLOW_TO_FAILOVER", n.Index)
		}
		if n.Flags.AlwaysPrimary && primary >= 0 {
			return fmt.Sprintf("backend_flag%d and backend_flag%d both have ALWAYS_PRIMARY", primary, n.Index)
		}
		if n.Flags.AlwaysPrimary {
			primary = n.Index
		}
	}
	return ""
}

func listensNowhere(c *Config) string {
	if len(c.Listen.Addresses) == 0 && len(c.Listen.UnixDirectories) == 0 {
		return "nothing to listen on: listen_addresses and unix_socket_directories are both empty"
	}
	return ""
}

func longSocketPath(c *Config) string {
	for _, dir := range c.Listen.UnixDirectories {
		if len(dir)+len("/.s.PGSQL.")+len(strconv.Itoa(c.Listen.Port)) > maxSocketPath {
			return fmt.Sprintf("unix_socket_directories: a socket's path in %s would be longer than %d bytes", excerpt(dir), maxSocketPath)
		}
	}
	return ""
}

func samePorts(c *Config) string {
	if c.number("pcp_port") == int64(c.Listen.Port) {
		return fmt.Sprintf("port and pcp_port are both %d", c.Listen.Port)
	}
	return ""
}

func missingCertificate(c *Config) string {
	if c.ClientTLS.On && (c.ClientTLS.CertFile == "" || c.ClientTLS.KeyFile == "") {
		return "ssl is on, but ssl_cert or ssl_key is not set"
	}
	return ""
}

func halfServerCertificate(c *Config) string {
	if (c.ServerTLS.CertFile == "") != (c.ServerTLS.KeyFile == "") {
		return "server_tls_cert_file and server_tls_key_file must be set together"
	}
	return ""
}

func missingServerCA(c *Config) string {
	verifies := c.ServerTLS.Mode == "verify-ca" || c.ServerTLS.Mode == "verify-full"
	if verifies && c.ServerTLS.CAFile == "" {
		return "server_tls_sslmode " + c.ServerTLS.Mode + " needs server_tls_ca_file"
	}
	return ""
}

// minAbove compares two integers in the same unit; an upper one of 0 is no limit.
func minAbove(lower, upper string) func(*Config) string {
	return func(c *Config) string {
		low, high := c.number(lower), c.number(upper)
		if high == 0 || low <= high {
			return ""
		}
		return fmt.Sprintf("%s (%d) is above %s (%d)", lower, low, upper, high)
	}
}

// when applies a rule only while another parameter has a certain value.
func when(name, text string, rule func(*Config) string) func(*Config) string {
	return func(c *Config) string {
		if c.settings().get(byName[name], noIndex).value.text != text {
			return ""
		}
		return rule(c)
	}
}
