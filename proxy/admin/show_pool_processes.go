package admin

import (
	"strconv"

	"pgherd/proxy/status"
)

// showPoolProcesses has a row per worker: pgherd has no process per client.
var showPoolProcesses = command{
	name: "pool_processes",
	doc:  "Every worker. It serves many clients, so database and user are empty.",
	columns: []string{"pool_pid", "start_time", "client_connection_count", "database", "username",
		"backend_connection_time", "pool_counter", "status"},
	rows: func(s *status.State, _ uint32) (rows [][]string) {
		for _, w := range s.Workers {
			status := "Wait for connection"
			if w.Clients > 0 {
				status = "Command execution"
			}
			rows = append(rows, []string{strconv.Itoa(w.Thread), clock(s.Started), strconv.FormatUint(w.Logins, 10),
				"", "", "", strconv.Itoa(w.Servers), status})
		}
		return rows
	},
}
