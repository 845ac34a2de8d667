package admin

import "context"

var resume = command{
	name: "resume",
	doc:  "End a PAUSE.",
	act: func(_ context.Context, c Control, database string) error {
		c.Resume(database)
		return nil
	},
}
