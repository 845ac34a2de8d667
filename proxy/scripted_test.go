package proxy

import (
	"testing"

	"pgherd/proxy/failover"
	"pgherd/proxy/scripts"
)

// TestCommandsOfTheLeader: a command for a node that is taken out is run by the pgherd that leads; all know the former primary.
func TestCommandsOfTheLeader(t *testing.T) {
	before := failover.New()
	before.Epoch, before.Primary = 1, 0
	before.Nodes = []failover.Node{{Index: 0, Status: failover.Up}, {Index: 1, Status: failover.Up}}
	next, err := failover.Apply(before, failover.Command{Kind: failover.DetachNode, Epoch: 1, Node: 1, By: "me"})
	if err != nil {
		t.Fatal(err)
	}
	next.Former = 7
	for leads, want := range map[bool]int{true: 1, false: 0} {
		s := &scripted{queue: make(chan scripts.Change, mostCommands)}
		s.changed(before, next, leads)
		if len(s.queue) != want || s.former.Load() != 7 {
			t.Errorf("leads: %v: %d commands are run, and the former primary is node %d", leads, len(s.queue), s.former.Load())
		}
	}
}
