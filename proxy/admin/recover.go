package admin

import (
	"context"

	"pgherd/proxy/wire"
)

var recoverNode = command{
	name: "recover",
	doc:  "Make a node that is stopped a standby again, by recovery_1st_stage_command.",
	of:   aNode,
	act: func(ctx context.Context, c Control, o order) (*wire.Fault, error) {
		return nil, c.Recover(ctx, o.number, o.by)
	},
}
