package admin

import (
	"fmt"
	"strconv"

	"pgherd/proxy/nodes"
)

var showPoolNodes = command{
	name: "pool_nodes",
	doc:  "What is believed of each node.",
	columns: []string{"node_id", "hostname", "port", "status", "pg_status", "lb_weight", "role", "pg_role", "select_cnt",
		"load_balance_node", "replication_delay", "replication_state", "replication_sync_state", "last_status_change"},
	rows: func(s *State, _ uint32) (rows [][]string) {
		total := 0.0
		for _, n := range s.Nodes.Nodes {
			total += n.Weight
		}
		reads := s.Nodes.Primary()
		for i := range s.Nodes.Nodes {
			n := &s.Nodes.Nodes[i]
			share := 0.0
			if total > 0 {
				share = n.Weight / total
			}
			rows = append(rows, []string{
				strconv.Itoa(n.Index), n.Host, strconv.Itoa(n.Port), n.Status.String(), pgStatus(n),
				fmt.Sprintf("%f", share), n.Role.String(), n.Found.String(), strconv.FormatUint(n.Selects, 10),
				strconv.FormatBool(reads != nil && reads.Index == n.Index),
				strconv.FormatInt(n.DelayBytes, 10), n.ReplicationState, n.SyncState, clock(n.Since),
			})
		}
		return rows
	},
}

// pgStatus is whether PostgreSQL answered the last probe.
func pgStatus(n *nodes.Node) string {
	switch {
	case !n.Probed:
		return "unknown"
	case n.Reachable:
		return "up"
	default:
		return "down"
	}
}
