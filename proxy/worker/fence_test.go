package worker

import (
	"context"
	"errors"
	"testing"

	"pgherd/proxy/pool"
)

// strict is a connector that opens nothing whose opening is given up, and keeps why.
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

// TestFenceGivesUpOpenings: a server that is being opened while its node is fenced is given
// up, for a node that is frozen may let it wait, or let it in once it is thawed (I8). Nobody
// suspects the node for that, and those that are opened afterwards are not given up.
func TestFenceGivesUpOpenings(t *testing.T) {
	y := newYard(t, 1, 1)
	w := y.workers.all[0]
	opens := &strict{simConnector: &simConnector{y}}
	w.env.Connect = opens
	w.env.Suspect = func(node int, _ bool) { t.Errorf("node %d is suspected", node) }
	y.hurried(0)
	for range 100 { // until the opening has begun, and not further
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
		t.Errorf("given up: %v", opens.gave)
	}
	if len(w.opening) != 0 {
		t.Errorf("%d openings are remembered", len(w.opening))
	}
}
