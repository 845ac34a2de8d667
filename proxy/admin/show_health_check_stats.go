package admin

import (
	"strconv"
	"time"

	"pgherd/proxy/nodes"
	"pgherd/proxy/status"
)

// showHealthCheckStats has Pgpool-II's columns: durations in milliseconds. A probe that fails is
// not repeated before the next is due, so that nothing is retried or skipped.
var showHealthCheckStats = command{
	name: "pool_health_check_stats",
	doc:  "The probes of each node: how many, how long, when.",
	columns: []string{"node_id", "hostname", "port", "status", "role", "last_status_change", "total_count", "success_count", "fail_count",
		"skip_count", "retry_count", "average_retry_count", "max_retry_count", "max_duration", "min_duration", "average_duration",
		"last_health_check", "last_successful_health_check", "last_skip_health_check", "last_failed_health_check"},
	rows: func(s *status.State, _ uint32) (rows [][]string) {
		for i := range s.Nodes.Nodes {
			rows = append(rows, healthCheckRow(&s.Nodes.Nodes[i]))
		}
		return rows
	},
}

func healthCheckRow(n *nodes.Node) []string {
	c := &n.Checks
	count := func(n uint64) string { return strconv.FormatUint(n, 10) }
	ms := func(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }
	return append(nodeColumns(n), clock(n.Since),
		count(c.Succeeded+c.Failed), count(c.Succeeded), count(c.Failed), "0", "0", "0.000000", "0", ms(c.Longest), ms(c.Shortest),
		strconv.FormatFloat(c.Mean().Seconds()*1000, 'f', 6, 64), clock(c.Last()), clock(c.LastSucceeded), "", clock(c.LastFailed))
}
