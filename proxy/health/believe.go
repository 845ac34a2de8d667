package health

import (
	"net"
	"time"

	"pgherd/proxy/nodes"
)

// Believe makes a View of what the probes found. Pure. A node that is always
// the primary by configuration is it; else the one that choosePrimary finds. A node
// of another system than the primary's, and one that says it is a primary and is
// not ours, is in quarantine.
func Believe(asked []Node, found map[int]Finding, before *nodes.View, now time.Time) *nodes.View {
	view := &nodes.View{}
	primary := choosePrimary(asked, found, before)
	for _, a := range asked {
		n := a.Node
		f, probed := found[n.Index]
		n.Probed, n.Reachable, n.Found = probed, f.Reachable, f.Role
		n.ReplayedAt, n.System, n.Timeline = f.At, f.Last.System, f.Last.Timeline
		n.Status, n.Role = nodes.Up, nodes.Standby
		n.Why = quarantine(n.Index, primary, found)
		if n.Index == primary {
			n.Role = nodes.Primary
		} else if n.Why != "" {
			n.Status = nodes.Quarantine
		} else if lead, ok := found[primary]; ok {
			describeStandby(&n, &a, &f, &lead)
		}
		n.Since = now
		if f.Role == n.Role {
			n.Replayed = f.LSN
		}
		if before != nil {
			if old := before.Node(n.Index); old != nil && old.Status == n.Status {
				n.Since = old.Since
			}
		}
		view.Nodes = append(view.Nodes, n)
	}
	return view
}

// describeStandby fills in how far a standby is behind, and what its primary
// says of it.
func describeStandby(n *nodes.Node, a *Node, f, primary *Finding) {
	if f.Reachable && f.Role == nodes.Standby && primary.LSN > f.LSN {
		n.DelayBytes = int64(primary.LSN - f.LSN)
	}
	for _, name := range standbyNames(a) {
		if row, ok := primary.Standbys[name]; ok {
			n.ReplicationState, n.SyncState, n.Delay = row.State, row.SyncState, row.Delay
			return
		}
	}
}

// standbyNames are by what a standby may be found in pg_stat_replication.
func standbyNames(a *Node) []string {
	names := []string{}
	if a.ApplicationName != "" {
		names = append(names, a.ApplicationName)
	}
	if net.ParseIP(a.Host) != nil {
		names = append(names, a.Host)
	}
	return names
}
