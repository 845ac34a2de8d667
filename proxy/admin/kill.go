package admin

import (
	"context"

	"pgherd/proxy/wire"
)

var kill = command{
	name: "kill",
	doc:  "End the sessions of the database's clients, and pause it.",
	act: func(ctx context.Context, c Control, o order) (*wire.Fault, error) {
		return nil, c.Kill(ctx, o.database, o.by)
	},
}
