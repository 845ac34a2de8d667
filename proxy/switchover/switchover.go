// Package switchover has a standby take over from a primary that is well, and prepares what would keep clients waiting
// otherwise, before their transactions wait. The supervisor decides, and carries the switchover itself out.
package switchover

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"pgherd/proxy/failover"
	"pgherd/proxy/nodes"
)

// Limits.
const (
	switchLimit = 5 * time.Minute // for the switchover, apart from what is done before it
	backLimit   = 2 * time.Minute // for one that has failed to be undone
	backLook    = 100 * time.Millisecond
	gatherLimit = 3 * time.Second // for the other standbys to come over to the one that takes over, or to go back
)

// Acts are what is done on nodes, by SQL.
type Acts interface {
	Checkpoint(ctx context.Context, n *nodes.Node) error
	InRecovery(ctx context.Context, n *nodes.Node) (bool, error)
	// ComeOver has a standby receive from another node, and tells the name of the slot that was made for it; "": none was.
	ComeOver(ctx context.Context, n, upstream *nodes.Node) (slot string, err error)
	DropSlot(ctx context.Context, n *nodes.Node, slot string) error
}

// Supervisor decides, and hands over.
type Supervisor interface {
	Herd(ctx context.Context) (failover.Herd, error)
	Switchover(ctx context.Context, node int, by string) error
}

// Switchover makes a standby the primary.
type Switchover struct {
	Log        *slog.Logger
	Acts       Acts
	Supervisor Supervisor
	LeaveAlone bool // there is a command that has standbys follow, so nothing else has them
}

// Run makes heir the primary, as the operator wants it. If it fails, all is as it was.
func (s Switchover) Run(ctx context.Context, view *nodes.View, primary, heir *nodes.Node, by string) error {
	if err := s.Acts.Checkpoint(ctx, primary); err != nil { // or everybody waits for it later
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, switchLimit)
	defer cancel()
	var moved []*nodes.Node
	var slots []string
	if s.mayGather(ctx, heir) {
		moved = followers(view, primary, heir)
		slots = s.gather(ctx, heir, moved)
	}
	err := s.Supervisor.Switchover(ctx, heir.Index, by)
	if err != nil && len(moved) > 0 {
		s.sendBack(ctx, primary, heir, moved, slots)
	}
	return err
}

// mayGather says that the other standbys may receive from the one that takes over before it does: it answers, and it can
// acknowledge every commit alone.
func (s Switchover) mayGather(ctx context.Context, heir *nodes.Node) bool {
	h, err := s.Supervisor.Herd(ctx)
	if err != nil || s.LeaveAlone || !h.Suffices(heir.Index) {
		return false
	}
	standby, err := s.Acts.InRecovery(ctx, heir)
	return err == nil && standby
}

// followers are the standbys in use, but for the one that takes over, that receive from the primary itself.
func followers(view *nodes.View, primary, heir *nodes.Node) (all []*nodes.Node) {
	for i := range view.Nodes {
		n := &view.Nodes[i]
		if n.Status == nodes.Up && n.ReplicationState == "streaming" && n.Index != primary.Index && n.Index != heir.Index {
			all = append(all, n)
		}
	}
	return all
}

// gather has standbys receive from another node. Those that receive from the one that takes over go on with it once it is
// promoted, so that the first synchronous commit waits for none of them. One that does not come over in time is left to go
// on trying: the node will be its primary. slots are those that were made for them.
func (s Switchover) gather(ctx context.Context, upstream *nodes.Node, standbys []*nodes.Node) (slots []string) {
	ctx, cancel := context.WithTimeout(ctx, gatherLimit)
	defer cancel()
	var all sync.WaitGroup
	made := make([]string, len(standbys))
	for i, n := range standbys {
		all.Go(func() {
			var err error
			if made[i], err = s.Acts.ComeOver(ctx, n, upstream); err != nil {
				s.Log.Warn("switchover: a standby does not come over", "node", n.Index, "upstream", upstream.Index, "error", err)
			}
		})
	}
	all.Wait()
	return slices.DeleteFunc(made, func(slot string) bool { return slot == "" })
}

// sendBack has standbys receive from the primary again, if that is the primary still, and drops the slots that were made for
// them. Whoever else is primary by now is followed as after any failover.
func (s Switchover) sendBack(ctx context.Context, primary, heir *nodes.Node, moved []*nodes.Node, slots []string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), backLimit)
	defer cancel()
	if !s.goesOn(ctx, primary) {
		return
	}
	s.gather(ctx, primary, moved)
	for _, slot := range slots {
		if err := s.Acts.DropSlot(ctx, heir, slot); err != nil {
			s.Log.Error("switchover: a replication slot is left over, which keeps WAL for ever", "node", heir.Index, "slot", slot, "error", err, "hint", "Drop it with pg_drop_replication_slot.")
		}
	}
}

// goesOn waits until the switchover is over, also where the operator has not, and says whether the primary is the primary still.
func (s Switchover) goesOn(ctx context.Context, primary *nodes.Node) bool {
	for {
		h, err := s.Supervisor.Herd(ctx)
		if err != nil || h.Phase == failover.Steady {
			return err == nil && h.Primary == primary.Index
		}
		select {
		case <-time.After(backLook):
		case <-ctx.Done():
			return false
		}
	}
}
