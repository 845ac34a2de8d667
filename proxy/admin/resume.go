package admin

import (
	"context"

	"pgherd/proxy/wire"
)

var resume = command{
	name: "resume",
	doc:  "End a PAUSE, and what KILL has paused: of all databases without one.",
	act:  resumes,
}

// resumes tells, in a notice, what is not as the administrator may believe: there was no pause,
// or the database is paused still.
func resumes(ctx context.Context, c Control, o order) (*wire.Fault, error) {
	was := c.Paused(o.database)
	if err := c.Resume(ctx, o.database); err != nil {
		return nil, err
	}
	notice := wire.Fault{Severity: "NOTICE", Code: "00000", Message: "there was no pause to end"}
	still := c.Paused(o.database)
	switch {
	case still != nil:
		notice.Message, notice.Hint = "it is paused still: "+still.Message, still.Hint
	case was != nil || o.database == "":
		return nil, nil
	}
	return &notice, nil
}
