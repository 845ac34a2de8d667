package health

import (
	"net"
	"time"

	"pgherd/proxy/nodes"
)

// Believe makes a View of what the probes found. Pure. A node that is always
// the primary by configuration is it; else the one that says it is not in
// recovery, the one believed so before if there are several; if none says so,
// the one believed before; and before any probe, the first.
func Believe(asked []Node, found map[int]Finding, before *nodes.View, now time.Time) *nodes.View {
	view := &nodes.View{}
	primary := choosePrimary(asked, found, before)
	for _, a := range asked {
		n := a.Node
		f, probed := found[n.Index]
		n.Probed, n.Reachable, n.Found = probed, f.Reachable, f.Role
		n.ReplayedAt = f.At
		n.Status, n.Role = nodes.Up, nodes.Standby
		if n.Index == primary {
			n.Role = nodes.Primary
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

// choosePrimary is the index of the node that takes writes; -1 if there are none.
func choosePrimary(asked []Node, found map[int]Finding, before *nodes.View) int {
	last := -1
	if before != nil {
		if p := before.Primary(); p != nil {
			last = p.Index
		}
	}
	claims := -1
	for _, a := range asked {
		if a.AlwaysPrimary {
			return a.Index
		}
		if found[a.Index].Role == nodes.Primary && (claims < 0 || a.Index == last) {
			claims = a.Index
		}
	}
	switch {
	case claims >= 0:
		return claims
	case last >= 0 && present(asked, last):
		return last
	case len(asked) > 0:
		return asked[0].Index
	}
	return -1
}

func present(asked []Node, index int) bool {
	for _, a := range asked {
		if a.Index == index {
			return true
		}
	}
	return false
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
