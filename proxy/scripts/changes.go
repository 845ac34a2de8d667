package scripts

import "pgherd/proxy/failover"

// Change is a node that is taken out or taken back.
type Change struct {
	Node int
	Back bool
}

// Changes are those between two states of the herd that the commands are run for. The primary is
// not among them: failover_command is run for it when another node is to be promoted, and it
// may come back before. Nor is a
// standby that is only not streaming for a while: scripts drop its replication slot.
func Changes(before, next failover.Herd) (list []Change) {
	for _, n := range next.Nodes {
		was, known := before.Node(n.Index)
		out := n.Status == failover.Down && !n.NotStreaming || n.Status == failover.Detached
		wasOut := known && (was.Status == failover.Down && !was.NotStreaming || was.Status == failover.Detached || was.Status == failover.Recovering)
		switch {
		case out && was.Status == failover.Up && n.Index != before.Primary:
			list = append(list, Change{Node: n.Index})
		case n.Status == failover.Up && wasOut && n.Index != before.Former:
			list = append(list, Change{Node: n.Index, Back: true})
		}
	}
	return list
}
