package admin

import (
	"context"

	"pgherd/proxy/wire"
)

var pause = command{
	name: "pause",
	doc:  "Let nobody get a server of the database (of all, without one), and wait until the last one is given back. Clients stay connected and wait.",
	act: func(ctx context.Context, c Control, o order) (*wire.Fault, error) {
		return nil, c.Pause(ctx, o.database, o.by)
	},
}
