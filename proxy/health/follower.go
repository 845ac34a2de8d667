package health

import (
	"log/slog"
	"time"

	"pgherd/proxy/nodes"
)

// Follower believes what nodes say of themselves, and decides nothing beyond that.
type Follower struct {
	log     *slog.Logger
	now     func() time.Time
	publish func(*nodes.View)
	before  *nodes.View
}

// NewFollower makes one that publishes Views.
func NewFollower(log *slog.Logger, now func() time.Time, publish func(*nodes.View)) *Follower {
	return &Follower{log: log, now: now, publish: publish}
}

// Saw publishes what is believed of the nodes now. One goroutine at a time calls it.
func (f *Follower) Saw(all []Seen) {
	asked, found := []Node{}, map[int]Finding{}
	for _, s := range all {
		asked = append(asked, s.Node)
		if s.Asked {
			found[s.Index] = s.Finding
		}
	}
	view := Believe(asked, found, f.before, f.now())
	for i := range view.Nodes {
		view.Nodes[i].Checks = all[i].Checks // Believe is told of findings only
	}
	f.logChanges(view)
	f.before = view
	f.publish(view)
}

// logChanges tells what is new in a view: another role, and each quarantine once.
func (f *Follower) logChanges(view *nodes.View) {
	for i := range view.Nodes {
		n := &view.Nodes[i]
		old := &nodes.Node{Role: n.Role}
		if f.before != nil && f.before.Node(n.Index) != nil {
			old = f.before.Node(n.Index)
		}
		if old.Role != n.Role {
			f.log.Info("node has another role", "node", n.Index, "role", n.Role.String(), "before", old.Role.String())
		}
		switch {
		case n.Status == nodes.Quarantine && n.Why != old.Why:
			f.log.Error("node is in quarantine, and is not used: "+n.Why, "node", n.Index, "hint", quarantineHint)
		case n.Status != nodes.Quarantine && old.Status == nodes.Quarantine:
			f.log.Info("node is not in quarantine any more", "node", n.Index)
		}
	}
	had := f.before == nil || f.before.Primary() != nil
	if had && view.Primary() == nil && len(view.Nodes) > 0 {
		f.log.Error("no node is known to be the primary, so no client is served", "hint", noPrimaryHint)
	}
}

const (
	quarantineHint = "Make it a standby of the primary (pg_rewind, pg_basebackup), or take it out of the configuration."
	noPrimaryHint  = "Make all but the right one its standbys, or take them out of the configuration, and reload; " +
		"or name the right one by backend_flagN = 'ALWAYS_PRIMARY'."
)
