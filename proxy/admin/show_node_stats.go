package admin

import (
	"strconv"

	"pgherd/proxy/nodes"
	"pgherd/proxy/status"
)

// nodeColumns are node_id, hostname, port, status and role.
func nodeColumns(n *nodes.Node) []string {
	return []string{strconv.Itoa(n.Index), n.Host, strconv.Itoa(n.Port), n.Status.String(), n.Role.String()}
}

// showNodeStats has the name that Pgpool-II gives it.
var showNodeStats = command{
	name: "pool_backend_stats",
	doc:  "How many statements each node was sent since the start, and how many errors it answered.",
	columns: []string{"node_id", "hostname", "port", "status", "role", "select_cnt", "insert_cnt", "update_cnt", "delete_cnt",
		"ddl_cnt", "other_cnt", "panic_cnt", "fatal_cnt", "error_cnt"},
	rows: func(s *status.State, _ uint32) (rows [][]string) {
		for i := range s.Nodes.Nodes {
			n := &s.Nodes.Nodes[i]
			row := nodeColumns(n)
			for _, count := range s.SentTo(n.Index) {
				row = append(row, strconv.FormatUint(count, 10))
			}
			rows = append(rows, row)
		}
		return rows
	},
}
