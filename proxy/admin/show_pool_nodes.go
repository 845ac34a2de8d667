package admin

import (
	"fmt"
	"strconv"
	"time"

	"pgherd/proxy/metrics"
	"pgherd/proxy/nodes"
)

// Fourteen columns are Pgpool-II's. sessions is our own: how many clients hold a
// server of the node, or have it for their reads; at 0 it is free to be stopped.
var showPoolNodes = command{
	name: "pool_nodes",
	doc:  "What is believed of each node, and how many clients use it.",
	columns: []string{"node_id", "hostname", "port", "status", "pg_status", "lb_weight", "role", "pg_role", "select_cnt",
		"load_balance_node", "replication_delay", "replication_state", "replication_sync_state", "last_status_change", "sessions"},
	rows: func(s *State, asker uint32) (rows [][]string) {
		total := 0.0
		for _, n := range s.Nodes.Nodes {
			total += n.Weight
		}
		reads := s.readNode(asker)
		for i := range s.Nodes.Nodes {
			n := &s.Nodes.Nodes[i]
			share := 0.0
			if total > 0 {
				share = n.Weight / total
			}
			rows = append(rows, []string{
				strconv.Itoa(n.Index), n.Host, strconv.Itoa(n.Port), n.Status.String(), pgStatus(n),
				fmt.Sprintf("%f", share), n.Role.String(), n.Found.String(), strconv.FormatUint(s.sent(n.Index)[metrics.Select], 10),
				strconv.FormatBool(reads == n.Index), s.delay(n), n.ReplicationState, n.SyncState, clock(n.Since),
				strconv.Itoa(s.sessions(n.Index)),
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

// readNode is the node that the asking client reads from; -1: none.
func (s *State) readNode(asker uint32) int {
	for i := range s.Clients {
		if s.Clients[i].PID == asker {
			return s.Clients[i].ReadNode
		}
	}
	return -1
}

// delay writes how far a node is behind as Pgpool-II does: in bytes, or in time if
// that is what its threshold is in.
func (s *State) delay(n *nodes.Node) string {
	if !s.DelayByTime {
		return strconv.FormatInt(n.DelayBytes, 10)
	}
	unit := "second"
	if n.Delay >= 2*time.Second {
		unit = "seconds"
	}
	return fmt.Sprintf("%.6f %s", n.Delay.Seconds(), unit)
}

// sessions counts the clients that use a node.
func (s *State) sessions(node int) (n int) {
	for i := range s.Clients {
		if c := &s.Clients[i]; c.ReadNode == node || c.Server != nil && c.Server.Node == node {
			n++
		}
	}
	return n
}

// sent is what a node was sent.
func (s *State) sent(node int) metrics.Statements {
	if node >= len(s.Sent) {
		return metrics.Statements{}
	}
	return s.Sent[node]
}
