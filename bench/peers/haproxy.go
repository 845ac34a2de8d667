package peers

import (
	"context"
	"fmt"
	"syscall"

	"pgherd/bench/herd"
)

// haproxy forwards bytes: it neither pools nor understands, which makes it the
// measure of what forwarding costs. TLS passes through it.
func haproxy(binary string) *Peer {
	return &Peer{Name: "haproxy", Version: firstLine(binary, "-v"), cannot: oneServerEach,
		Notes: []string{"forwards TCP and does not pool; TLS passes through, it does not end there"},
		start: func(ctx context.Context, place Place) (running, error) {
			return program(ctx, herd.ProgramSettings{Binary: binary, Stop: syscall.SIGTERM, Configure: func(dir string, port int) (map[string]string, []string) {
				return map[string]string{"haproxy.cfg": haproxyConfig(place, port)}, []string{"-db", "-f", dir + "/haproxy.cfg"}
			}})
		}}
}

func haproxyConfig(place Place, port int) string {
	node := place.Node
	return fmt.Sprintf(`global
    maxconn %[1]d
defaults
    mode tcp
    timeout connect 10s
    timeout client 1h
    timeout server 1h
listen postgres
    bind 127.0.0.1:%[2]d
    server node0 %[3]s:%[4]d
`, MaxClients, port, node.Host, node.Port)
}
