package admin

import (
	"context"

	"pgherd/proxy/wire"
)

var detach = command{
	name: "detach",
	doc:  "Take a standby out of use, until ATTACH.",
	of:   aNode,
	act: func(ctx context.Context, c Control, o order) (*wire.Fault, error) {
		return nil, c.Detach(ctx, o.number, o.by)
	},
}
