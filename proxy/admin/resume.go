package admin

import (
	"context"

	"pgherd/proxy/wire"
)

var resume = command{
	name: "resume",
	doc:  "End a PAUSE, also one that KILL has begun; without a name, of all databases.",
	act:  resumes,
}

// resumes says, in a notice, what the administrator may not expect: there was no pause, or the
// database is still paused.
func resumes(ctx context.Context, c Control, o order) (*wire.Fault, error) {
	was := c.Paused(o.database)
	if err := c.Resume(ctx, o.database); err != nil {
		return nil, err
	}
	notice := wire.Fault{Severity: "NOTICE", Code: "00000", Message: "there was no pause to end"}
	still := c.Paused(o.database)
	switch {
	case still != nil:
		notice.Message, notice.Hint = "it is still paused: "+still.Message, still.Hint
	case was != nil || o.database == "":
		return nil, nil
	}
	return &notice, nil
}
