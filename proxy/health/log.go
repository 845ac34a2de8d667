package health

import "pgherd/proxy/nodes"

// logChanges tells what is new in a view: another role, and each quarantine once.
func (p *Prober) logChanges(view *nodes.View) {
	for i := range view.Nodes {
		n := &view.Nodes[i]
		old := &nodes.Node{Role: n.Role}
		if p.before != nil && p.before.Node(n.Index) != nil {
			old = p.before.Node(n.Index)
		}
		if old.Role != n.Role {
			p.log.Info("node has another role", "node", n.Index, "role", n.Role.String(), "before", old.Role.String())
		}
		switch {
		case n.Status == nodes.Quarantine && n.Why != old.Why:
			p.log.Error("node is in quarantine, and is not used: "+n.Why, "node", n.Index, "hint", quarantineHint)
		case n.Status != nodes.Quarantine && old.Status == nodes.Quarantine:
			p.log.Info("node is not in quarantine any more", "node", n.Index)
		}
	}
	had := p.before == nil || p.before.Primary() != nil
	if had && view.Primary() == nil && len(view.Nodes) > 0 {
		p.log.Error("no node can be told to be the primary: nobody is served", "hint", noPrimaryHint)
	}
}

const (
	quarantineHint = "Make it a standby of the primary (pg_rewind, pg_basebackup), or take it out of the configuration."
	noPrimaryHint  = "Make all but the right one its standbys, or take them out of the configuration, and reload; " +
		"or name the right one by backend_flagN = 'ALWAYS_PRIMARY'."
)
