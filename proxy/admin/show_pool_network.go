package admin

import (
	"strconv"
	"time"

	"pgherd/proxy/status"
)

// clientsShown limits the rows of clients' addresses to those with the most traffic.
const clientsShown = 100

var showPoolNetwork = command{
	name: "pool_network",
	doc:  "The TCP connections with each node and with the clients' addresses, as the kernel sees them, where it may be asked.",
	columns: []string{"peer", "node_id", "hostname", "port", "connections", "opened", "closed", "failed", "aborted",
		"bytes_received", "bytes_sent", "rtt_ms", "retransmits", "timeouts"},
	network: true,
	rows: func(s *status.State, _ uint32) (rows [][]string) {
		if s.Network == nil {
			return nil
		}
		for _, n := range s.Network.Nodes {
			rows = append(rows, networkRow(&n, "node", strconv.Itoa(n.Node), strconv.Itoa(n.Port)))
		}
		for _, c := range s.Network.Clients[:min(clientsShown, len(s.Network.Clients))] {
			rows = append(rows, networkRow(&c, "client", "", ""))
		}
		return rows
	},
}

func networkRow(c *status.Connections, peer, node, port string) []string {
	row := []string{peer, node, c.Host, port}
	for _, n := range []uint64{c.Live, c.Opened, c.Closed, c.Failed, c.Aborted, c.Received, c.Sent} {
		row = append(row, strconv.FormatUint(n, 10))
	}
	ms := float64(c.RTT) / float64(time.Millisecond)
	return append(row, strconv.FormatFloat(ms, 'f', 3, 64), strconv.FormatUint(c.Retransmits, 10), strconv.FormatUint(c.Timeouts, 10))
}
