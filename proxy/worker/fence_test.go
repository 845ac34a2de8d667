package worker

import (
	"context"
	"errors"
	"testing"

	"pgherd/proxy/nodes"
	"pgherd/proxy/pool"
)

// strict is a connector that opens no server if the opening has been given up, and keeps the reason.
type strict struct {
	*simConnector
	gave []error
}

func (c *strict) Open(ctx context.Context, key pool.Key, secret any) (Opened, error) {
	c.gave = append(c.gave, ctx.Err())
	if ctx.Err() != nil {
		return Opened{}, ctx.Err()
	}
	return c.simConnector.Open(ctx, key, secret)
}

// TestFenceGivesUpOpenings checks that a server that is being opened while its node is fenced is given
// up, because a frozen node may let it wait, or let it in when it is thawed (I8). The node is not
// suspected for that, and servers that are opened afterwards are not given up.
func TestFenceGivesUpOpenings(t *testing.T) {
	y := newYard(t, 1, 1)
	w := y.workers.all[0]
	opens := &strict{simConnector: &simConnector{y}}
	w.env.Connect = opens
	w.env.Suspect = func(node int, _ bool) { t.Errorf("node %d is suspected", node) }
	y.hurried(0)
	for range 100 { // until the opening has begun, and no longer
		if len(y.jobs) == 0 {
			if err := w.Turn(0); err != nil {
				t.Fatal(err)
			}
			y.net.Step()
		}
	}
	view := *y.workers.Nodes()
	view.Epoch = 2
	y.workers.Publish(&view)
	y.workers.fenced[0].Store(2)
	w.fence(0)
	y.turns(20)
	y.hurried(0)
	y.turns(20)
	if len(opens.gave) != 2 || !errors.Is(opens.gave[0], context.Canceled) || opens.gave[1] != nil {
		t.Errorf("openings ended with %v, want the first one canceled and the second one not", opens.gave)
	}
	if len(w.opening) != 0 {
		t.Errorf("%d openings are still listed, want none", len(w.opening))
	}
}

// TestSilentStandby checks that the servers of a standby that does not answer are closed once the
// standby is down, though its machine keeps their connections. One that is down for another reason
// keeps them, so that running requests end.
func TestSilentStandby(t *testing.T) {
	for answers, left := range map[bool]int{true: 1, false: 0} {
		y := newYard(t, 1, 1)
		y.workers.started.Store(true)
		y.shelve(y.workers.all[0], appKey)
		y.workers.Publish(&nodes.View{Nodes: []nodes.Node{{Role: nodes.Standby, Status: nodes.Up, Probed: true, Reachable: true}}})
		y.turns(20)
		y.workers.Publish(&nodes.View{Nodes: []nodes.Node{{Role: nodes.Standby, Status: nodes.Down, Probed: true, Reachable: answers}}})
		y.turns(20)
		if got := y.shelved(); got != left {
			t.Errorf("the standby answers: %v; %d of its servers are left, want %d", answers, got, left)
		}
	}
}
