package admin

import "context"

var pause = command{
	name: "pause",
	doc:  "Let nobody get a server of the database (of all, without one), and wait until the last one is given back. Clients stay connected and wait.",
	act: func(ctx context.Context, c Control, database string) error {
		return c.Pause(ctx, database)
	},
}
