package admin

import (
	"context"

	"pgherd/proxy/wire"
)

var switchover = command{
	name: "switchover",
	doc:  "Make a standby the primary: transactions that run end first, new ones wait, and the old primary is stopped.",
	of:   aNode,
	act: func(ctx context.Context, c Control, o order) (*wire.Fault, error) {
		return nil, c.Switchover(ctx, o.number, o.by)
	},
}
