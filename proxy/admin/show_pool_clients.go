package admin

import (
	"strconv"
	"time"

	"pgherd/proxy/status"
)

var showPoolClients = command{
	name: "pool_clients",
	doc:  "Every client: what it waits for, which server it holds, and why it keeps the server (pinned).",
	columns: []string{"client_pid", "worker", "database", "username", "application_name", "client_host", "client_port",
		"tls", "login_time", "state", "state_time", "node_id", "server_pid", "pool_mode", "pinned", "wait_time", "me", "memory"},
	rows: func(s *status.State, asker uint32) (rows [][]string) {
		for i := range s.Clients {
			c := &s.Clients[i]
			node, pid := "", ""
			if c.Server != nil {
				node, pid = strconv.Itoa(c.Server.Node), strconv.FormatUint(uint64(c.Server.PID), 10)
			}
			rows = append(rows, []string{
				strconv.FormatUint(uint64(c.PID), 10), strconv.Itoa(c.Worker), c.Database, c.User, c.Application,
				c.Host, c.Port, c.TLS, clock(c.LoggedIn), c.State, s.Now.Sub(c.Since).Round(time.Millisecond).String(),
				node, pid, c.Mode, c.Pinned, waited(s.Now, c).Round(time.Millisecond).String(), strconv.FormatBool(c.PID == asker),
				strconv.Itoa(c.Memory),
			})
		}
		return rows
	},
}

// waited is how long a client has waited for servers, including the present wait.
func waited(now time.Time, c *status.Client) time.Duration {
	if c.State == "wait_server" {
		return c.Waited + now.Sub(c.Since)
	}
	return c.Waited
}
