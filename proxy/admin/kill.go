package admin

import "context"

var kill = command{
	name: "kill",
	doc:  "Send every client of the database away, and pause it.",
	act: func(ctx context.Context, c Control, database string) error {
		return c.Kill(ctx, database)
	},
}
