package peers

import (
	"context"
	"fmt"
	"strings"
	"syscall"

	"pgherd/bench/herd"
)

// pgpool runs one process for each client that it can have at a time, each with one
// cached server. Everything else that it does by default (parsing, load balancing)
// stays on.
func pgpool(binary string) *Peer {
	return &Peer{Name: "pgpool", Version: firstLine(binary, "--version"), cannot: oneServerEach,
		Notes: []string{"pools sessions: a process and a server per client"},
		start: func(ctx context.Context, place Place) (running, error) {
			return program(ctx, herd.ProgramSettings{Binary: binary, Stop: syscall.SIGQUIT, Configure: func(dir string, port int) (map[string]string, []string) {
				return pgpoolFiles(place, dir, port), []string{"-n", "-f", dir + "/pgpool.conf", "-a", dir + "/pool_hba.conf", "-F", dir + "/pcp.conf"}
			}})
		}}
}

func pgpoolFiles(place Place, dir string, port int) map[string]string {
	node := place.Node
	var conf strings.Builder
	fmt.Fprintf(&conf, `listen_addresses = '127.0.0.1'
port = %d
socket_dir = '%[2]s'
unix_socket_directories = '%[2]s'
pcp_listen_addresses = ''
pcp_port = %[1]d
pcp_socket_dir = '%[2]s'
pid_file_name = '%[2]s/pgpool.pid'
logdir = '%[2]s'
work_dir = '%[2]s'
backend_clustering_mode = 'streaming_replication'
backend_hostname0 = '%[3]s'
backend_port0 = %[4]d
backend_weight0 = 1
backend_flag0 = 'ALWAYS_PRIMARY|DISALLOW_TO_FAILOVER'
sr_check_period = 0
health_check_period = 0
num_init_children = %[5]d
max_pool = 1
enable_pool_hba = on
pool_passwd = 'pool_passwd'
use_watchdog = off
`, port, dir, node.Host, node.Port, PoolSize+8)
	if place.Mode.TLS {
		fmt.Fprintf(&conf, "ssl = on\nssl_cert = '%s'\nssl_key = '%s'\n", place.Certs.Cert, place.Certs.Key)
	}
	return map[string]string{
		"pgpool.conf":   conf.String(),
		"pool_hba.conf": "host all all 127.0.0.1/32 scram-sha-256\n",
		"pool_passwd":   fmt.Sprintf("%s:TEXT%s\n", herd.User, herd.User),
		"pcp.conf":      "",
	}
}
