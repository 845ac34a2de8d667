package admin

import (
	"context"

	"pgherd/proxy/wire"
)

var promote = command{
	name: "promote",
	doc:  "Promote a standby while there is no primary and pgherd promotes nobody by itself; commits may be lost.",
	of:   aNode,
	act: func(ctx context.Context, c Control, o order) (*wire.Fault, error) {
		return nil, c.Promote(ctx, o.number, o.by)
	},
}
