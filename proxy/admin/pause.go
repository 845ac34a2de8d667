package admin

import (
	"context"

	"pgherd/proxy/wire"
)

var pause = command{
	name: "pause",
	doc:  "Let no client get a server of the database (without a name: of any database), and wait until the last one is given back. Clients stay connected and wait.",
	act: func(ctx context.Context, c Control, o order) (*wire.Fault, error) {
		return nil, c.Pause(ctx, o.database, o.by)
	},
}
