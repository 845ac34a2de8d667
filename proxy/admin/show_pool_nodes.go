package admin

import (
	"fmt"
	"strconv"
	"time"

	"pgherd/proxy/metrics"
	"pgherd/proxy/nodes"
	"pgherd/proxy/status"
)

// Fourteen columns are Pgpool-II's. Two are pgherd's own: sessions is how many clients hold a
// server of the node, or have chosen it for their reads; at 0 the node can be stopped. reason
// is why the node is not up.
var showPoolNodes = command{
	name: "pool_nodes",
	doc:  "The state of each node as pgherd sees it, and how many clients use it.",
	columns: []string{"node_id", "hostname", "port", "status", "pg_status", "lb_weight", "role", "pg_role", "select_cnt",
		"load_balance_node", "replication_delay", "replication_state", "replication_sync_state", "last_status_change", "sessions", "reason"},
	rows: func(s *status.State, asker uint32) (rows [][]string) {
		total := 0.0
		for _, n := range s.Nodes.Nodes {
			total += n.Weight
		}
		reads := s.ReadNode(asker)
		for i := range s.Nodes.Nodes {
			n := &s.Nodes.Nodes[i]
			share := 0.0
			if total > 0 {
				share = n.Weight / total
			}
			rows = append(rows, []string{
				strconv.Itoa(n.Index), n.Host, strconv.Itoa(n.Port), n.Status.String(), pgStatus(n),
				fmt.Sprintf("%f", share), n.Role.String(), n.Found.String(), strconv.FormatUint(s.SentTo(n.Index)[metrics.Select], 10),
				strconv.FormatBool(reads == n.Index), delay(s, n), n.ReplicationState, n.SyncState, clock(n.Since),
				strconv.Itoa(s.Sessions(n.Index)), n.Why,
			})
		}
		return rows
	},
}

// pgStatus says whether PostgreSQL was there at the last probe.
func pgStatus(n *nodes.Node) string {
	switch {
	case !n.Probed:
		return "unknown"
	case n.Reachable, n.Rejected:
		return "up"
	default:
		return "down"
	}
}

// delay formats how far a node is behind as Pgpool-II does: in bytes, or in time if the
// threshold is a time.
func delay(s *status.State, n *nodes.Node) string {
	if !s.DelayByTime {
		return strconv.FormatInt(n.DelayBytes, 10)
	}
	unit := "second"
	if n.Delay >= 2*time.Second {
		unit = "seconds"
	}
	return fmt.Sprintf("%.6f %s", n.Delay.Seconds(), unit)
}
