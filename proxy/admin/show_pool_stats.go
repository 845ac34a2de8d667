package admin

import (
	"strconv"
	"time"

	"pgherd/proxy/status"
)

var showPoolStats = command{
	name: "pool_stats",
	doc:  "Every pool: how many clients wait, how often clients were pinned to a server, and how long they have waited for one.",
	columns: []string{"node_id", "database", "username", "clients_waiting", "servers_active", "servers_idle", "paused",
		"checkouts", "pins", "wait_total", "wait_p50", "wait_p90", "wait_p99", "wait_max"},
	rows: func(s *status.State, _ uint32) (rows [][]string) {
		for i := range s.Pools {
			p := &s.Pools[i]
			rows = append(rows, []string{
				strconv.Itoa(p.Node), p.Database, p.User, strconv.Itoa(p.ClientsWaiting), strconv.Itoa(p.ServersActive),
				strconv.Itoa(p.ServersIdle), strconv.FormatBool(p.Paused), strconv.FormatUint(p.Waits.Count(), 10),
				strconv.FormatUint(p.Pins, 10), brief(p.Waits.Sum()), brief(p.Waits.Percentile(50)), brief(p.Waits.Percentile(90)),
				brief(p.Waits.Percentile(99)), brief(p.Waits.Max()),
			})
		}
		return rows
	},
}

func brief(d time.Duration) string { return d.Round(time.Microsecond).String() }
