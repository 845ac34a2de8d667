package peers

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"syscall"

	"pgherd/bench/herd"
)

// pgbouncer runs with a pool per transaction; where its version does not know
// clients' prepared statements (before 1.21), such a workload gets a pool per session.
func pgbouncer(name, binary string) *Peer {
	version := firstLine(binary, "--version")
	knows := followsPrepared(version)
	peer := &Peer{Name: name, Version: version}
	if !knows {
		peer.Notes = []string{"pool_mode = session for prepared statements, which it cannot follow from server to server"}
	}
	peer.start = func(ctx context.Context, place Place) (running, error) {
		return program(ctx, herd.ProgramSettings{Binary: binary, Stop: syscall.SIGTERM, Configure: func(dir string, port int) (map[string]string, []string) {
			return pgbouncerFiles(place, port, knows), []string{dir + "/pgbouncer.ini"}
		}})
	}
	return peer
}

func pgbouncerFiles(place Place, port int, knows bool) map[string]string {
	node := place.Node
	config := fmt.Sprintf(`[databases]
%s = host=%s port=%d
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = %d
unix_socket_dir =
auth_type = scram-sha-256
auth_file = users.txt
default_pool_size = %d
max_client_conn = %d
log_connections = 0
log_disconnections = 0
ignore_startup_parameters = extra_float_digits
`, herd.Database, node.Host, node.Port, port, PoolSize, MaxClients)
	mode := "transaction"
	if place.Mode.Prepared && !knows {
		mode = "session"
	}
	config += "pool_mode = " + mode + "\n"
	if knows {
		config += "max_prepared_statements = 200\n"
	}
	if place.Mode.TLS {
		config += fmt.Sprintf("client_tls_sslmode = require\nclient_tls_cert_file = %s\nclient_tls_key_file = %s\nserver_tls_sslmode = require\n",
			place.Certs.Cert, place.Certs.Key)
	}
	return map[string]string{"pgbouncer.ini": config, "users.txt": fmt.Sprintf("%q %q\n", herd.User, herd.User)}
}

var versionPattern = regexp.MustCompile(`(\d+)\.(\d+)`)

func followsPrepared(version string) bool {
	found := versionPattern.FindStringSubmatch(version)
	if found == nil {
		return false
	}
	major, _ := strconv.Atoi(found[1]) // digits, by the pattern
	minor, _ := strconv.Atoi(found[2])
	return major > 1 || minor >= 21
}
