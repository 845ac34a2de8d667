package admin

import "context"

var reconnect = command{
	name: "reconnect",
	doc:  "Replace every server of the database by a new one as soon as its client gives it back.",
	act: func(_ context.Context, c Control, database string) error {
		c.Reconnect(database)
		return nil
	},
}
