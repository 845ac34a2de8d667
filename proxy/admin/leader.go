package admin

import (
	"context"

	"pgherd/proxy/wire"
)

var leader = command{
	name: "leader",
	doc:  "Have another pgherd lead, and with that hold the virtual addresses.",
	of:   aPeer,
	act: func(ctx context.Context, c Control, o order) (*wire.Fault, error) {
		return nil, c.Leader(ctx, o.number, o.by)
	},
}
