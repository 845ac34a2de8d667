package admin

import (
	"context"

	"pgherd/proxy/wire"
)

var attach = command{
	name: "attach",
	doc:  "Let a node that was detached, or is in quarantine, come back as soon as it streams from the primary.",
	of:   aNode,
	act: func(ctx context.Context, c Control, o order) (*wire.Fault, error) {
		return nil, c.Attach(ctx, o.number, o.by)
	},
}
