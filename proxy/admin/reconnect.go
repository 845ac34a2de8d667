package admin

import (
	"context"

	"pgherd/proxy/wire"
)

var reconnect = command{
	name: "reconnect",
	doc:  "Replace every server of the database by a new one as soon as its client gives it back.",
	act: func(_ context.Context, c Control, o order) (*wire.Fault, error) {
		c.Reconnect(o.database)
		return nil, nil
	},
}
