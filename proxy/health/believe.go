package health

import (
	"net"
	"time"

	"pgherd/proxy/failover"
	"pgherd/proxy/nodes"
)

// Believe makes a View of the probes' findings; it is a pure function. A node that the
// configuration says is always the primary is the primary; otherwise choosePrimary
// finds it. A node is put in quarantine if it belongs to another system than the
// primary's, or if it says that it is a primary and is not the one.
func Believe(asked []Node, found map[int]Finding, before *nodes.View, now time.Time) *nodes.View {
	view := &nodes.View{}
	primary := choosePrimary(asked, found, before)
	all, lead := make([]Seen, len(asked)), (*Seen)(nil)
	for i, a := range asked {
		f, probed := found[a.Index]
		all[i] = Seen{Node: a, Finding: f, Asked: probed}
		if a.Index == primary {
			lead = &all[i]
		}
	}
	for i := range all {
		why := quarantine(all[i].Index, primary, found)
		n := all[i].View(lead)
		if why != "" {
			n = all[i].View(nil)
			n.Status = nodes.Quarantine
		} else {
			n.Status = nodes.Up
		}
		if n.Role = nodes.Standby; n.Index == primary {
			n.Role = nodes.Primary
		}
		n.Why, n.Since = why, now
		if before != nil {
			if old := before.Node(n.Index); old != nil && old.Status == n.Status {
				n.Since = old.Since
			}
		}
		view.Nodes = append(view.Nodes, n)
	}
	return view
}

// View is what was seen of a node as a View has it: all but what is decided of it. lead is
// the primary, which it is compared with; nil: there is none.
func (s *Seen) View(lead *Seen) nodes.Node {
	n := s.Node.Node
	n.Probed, n.Reachable, n.Found, n.Checks = s.Asked, s.Reachable, s.Role, s.Checks
	n.ReplayedAt, n.System, n.Timeline = s.At, s.Last.System, s.Last.Timeline
	n.Connected = s.Connected
	n.Rejected = !s.Reachable && (s.Course.Verdict == failover.Full || s.Course.Verdict == failover.WrongPassword)
	role := nodes.Standby
	switch {
	case lead == nil:
	case lead.Index == s.Index:
		role = nodes.Primary
	case lead.Asked && lead.Reachable:
		describeStandby(&n, s, lead)
	}
	if s.Role == role {
		n.Replayed = s.LSN
	}
	return n
}

// describeStandby fills in how far a standby is behind, and what its primary
// says of it.
func describeStandby(n *nodes.Node, s, primary *Seen) {
	if s.Reachable && s.Role == nodes.Standby && primary.LSN > s.LSN {
		n.DelayBytes = int64(primary.LSN - s.LSN)
	}
	for _, name := range standbyNames(&s.Node) {
		if row, ok := primary.Standbys[name]; ok {
			n.ReplicationState, n.SyncState, n.Delay = row.State, row.SyncState, row.Delay
			return
		}
	}
}

// standbyNames are the names by which a standby may be found in pg_stat_replication.
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
