package admin

import (
	"strconv"
	"time"

	"pgherd/proxy/status"
)

// showPoolPools has a row for each server connection. A worker's thread takes the place
// of Pgpool-II's process.
var showPoolPools = command{
	name: "pool_pools",
	doc:  "Every server connection, idle or in use.",
	columns: []string{"pool_pid", "start_time", "client_connection_count", "pool_id", "backend_id", "database", "username",
		"backend_connection_time", "client_connection_time", "client_disconnection_time", "client_idle_duration",
		"majorversion", "minorversion", "pool_counter", "pool_backendpid", "pool_connected", "status",
		"load_balance_node", "client_host", "client_port", "statement"},
	rows: func(s *status.State, _ uint32) (rows [][]string) {
		for _, v := range s.Servers {
			c := v.Client
			doing := "Wait for connection"
			if c == nil {
				c = &status.Client{}
			} else {
				doing = poolStatus(c.State)
			}
			rows = append(rows, []string{
				strconv.Itoa(s.Worker(v.Worker).Thread), clock(s.Started), strconv.FormatUint(s.Worker(v.Worker).Logins, 10), strconv.Itoa(v.Worker), strconv.Itoa(v.Node),
				v.Database, v.User, clock(v.Opened), clock(c.LoggedIn), clock(v.Idle), idleFor(s.Now, c),
				"3", "0", strconv.FormatUint(v.Uses, 10), strconv.FormatUint(uint64(v.PID), 10), flag(v.Client != nil),
				doing, flag(true), c.Host, c.Port, "",
			})
		}
		return rows
	},
}

// poolStatus translates a session's state to Pgpool-II's words.
func poolStatus(state string) string {
	switch state {
	case "active":
		return "Command execution"
	case "in_transaction":
		return "Idle in transaction"
	case "wait_server":
		return "Connecting"
	default:
		return "Idle"
	}
}

func idleFor(now time.Time, c *status.Client) string {
	if c.State != "idle" && c.State != "in_transaction" {
		return "0"
	}
	return seconds(now, c.Since)
}
