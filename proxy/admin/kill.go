package admin

import (
	"context"

	"pgherd/proxy/wire"
)

var kill = command{
	name: "kill",
	doc:  "Send every client of the database away, and pause it.",
	act: func(ctx context.Context, c Control, o order) (*wire.Fault, error) {
		return nil, c.Kill(ctx, o.database, o.by)
	},
}
