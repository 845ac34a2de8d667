package switchover

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"

	"pgherd/proxy/failover"
	"pgherd/proxy/nodes"
)

// script notes what is done, and fails where a test wants it to.
type script struct {
	lock  sync.Mutex
	done  []string
	fails string
	herd  failover.Herd
}

func (s *script) does(format string, args ...any) error {
	s.lock.Lock()
	defer s.lock.Unlock()
	what := fmt.Sprintf(format, args...)
	s.done = append(s.done, what)
	if what == s.fails {
		return errors.New("broken")
	}
	return nil
}

func (s *script) Checkpoint(_ context.Context, n *nodes.Node) error {
	return s.does("checkpoint %d", n.Index)
}

func (s *script) InRecovery(_ context.Context, n *nodes.Node) (bool, error) {
	err := s.does("is %d a standby", n.Index)
	return err == nil, err
}

func (s *script) ComeOver(_ context.Context, n, upstream *nodes.Node) (string, error) {
	slot := map[int]string{1: "made"}[upstream.Index] // the primary has one
	return slot, s.does("%d follows %d", n.Index, upstream.Index)
}

func (s *script) DropSlot(_ context.Context, n *nodes.Node, slot string) error {
	return s.does("drop slot %s on %d", slot, n.Index)
}

func (s *script) Herd(context.Context) (failover.Herd, error) { return s.herd, nil }

func (s *script) Switchover(_ context.Context, node int, _ string) error {
	return s.does("switch over to %d", node)
}

// TestSwitchover switches from node 0 to node 1, which node 2 is to receive from before.
func TestSwitchover(t *testing.T) {
	standby := func(n int) nodes.Node {
		return nodes.Node{Index: n, Status: nodes.Up, Role: nodes.Standby, ReplicationState: "streaming"}
	}
	catching := standby(2)
	catching.ReplicationState = "catchup"
	ready := []string{"checkpoint 0", "is 1 a standby", "2 follows 1", "switch over to 1"}
	for name, c := range map[string]struct {
		sync  failover.SyncSet
		third nodes.Node
		alone bool
		fails string
		want  []string
		err   bool
	}{
		"the other standby comes over first":              {third: standby(2), want: ready},
		"it does not come over":                           {third: standby(2), fails: "2 follows 1", want: ready},
		"it does not stream":                              {third: catching, want: []string{"checkpoint 0", "is 1 a standby", "switch over to 1"}},
		"one of two has to acknowledge":                   {third: standby(2), sync: failover.SyncSet{K: 1, Nodes: []int{1, 2}}, want: ready},
		"both have to acknowledge":                        {third: standby(2), sync: failover.SyncSet{K: 2, Nodes: []int{1, 2}}, want: []string{"checkpoint 0", "switch over to 1"}},
		"there is a follow_primary_command":               {third: standby(2), alone: true, want: []string{"checkpoint 0", "switch over to 1"}},
		"the one that takes over does not answer":         {third: standby(2), fails: "is 1 a standby", want: []string{"checkpoint 0", "is 1 a standby", "switch over to 1"}},
		"the checkpoint fails":                            {third: standby(2), fails: "checkpoint 0", want: ready[:1], err: true},
		"the switchover fails, and the standby goes back": {third: standby(2), fails: "switch over to 1", want: append(slices.Clone(ready), "2 follows 0", "drop slot made on 1"), err: true},
	} {
		t.Run(name, func(t *testing.T) {
			s := &script{fails: c.fails, herd: failover.Herd{Phase: failover.Steady, Primary: 0, Sync: c.sync}}
			view := nodes.View{Nodes: []nodes.Node{{Index: 0, Status: nodes.Up, Role: nodes.Primary}, standby(1), c.third}}
			err := Switchover{slog.New(slog.DiscardHandler), s, s, c.alone}.Run(t.Context(), &view, &view.Nodes[0], &view.Nodes[1], "ann")
			if !slices.Equal(s.done, c.want) || (err != nil) != c.err {
				t.Errorf("got %q, error %v, want %q", s.done, err, c.want)
			}
		})
	}
}
