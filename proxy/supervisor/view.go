package supervisor

import (
	"pgherd/proxy/failover"
	"pgherd/proxy/health"
	"pgherd/proxy/nodes"
)

// statuses are the decided ones as a View has them.
var statuses = map[failover.Status]nodes.Status{
	failover.Up: nodes.Up, failover.Suspect: nodes.Up, failover.Down: nodes.Down, failover.Recovering: nodes.Down,
	failover.Detached: nodes.Down, failover.Quarantined: nodes.Quarantine,
}

// viewOf is the herd as sessions see it: what was decided of each node, and what was seen.
func viewOf(h *failover.Herd, decided []failover.Node, seen []health.Seen) *nodes.View {
	view := &nodes.View{Epoch: h.Epoch, Draining: h.Phase == failover.Draining}
	var lead *health.Seen
	for i := range seen {
		if seen[i].Index == h.Primary {
			lead = &seen[i]
		}
	}
	for i := range seen {
		n := seen[i].View(lead)
		n.Status, n.Role = nodes.Down, nodes.Standby
		if h.Epoch == 0 {
			n.Status = nodes.Waiting // nothing was decided yet
		}
		for _, d := range decided {
			if d.Index == n.Index {
				n.Status, n.Why = statuses[d.Status], d.Reason
			}
		}
		if n.Index == h.Primary || n.Index == h.Former {
			n.Role = nodes.Primary
		}
		if n.Status == nodes.Up {
			n.Why = ""
		}
		view.Nodes = append(view.Nodes, n)
	}
	return view
}
