package connect

import (
	"context"
	"errors"
	"strings"
	"time"

	"pgherd/proxy/wire"
)

// tellerAgain is how soon the teller is asked again, if there was none, or if it was lost.
const tellerAgain = 50 * time.Millisecond

// errNoTeller says that nobody can be asked about users.
var errNoTeller = &wire.Fault{Severity: "FATAL", Code: "57P03", Message: "no primary node is available, and no standby answers"}

// patiently asks the teller. Where another node may take the place of one that is lost, it asks
// again until somebody answers, within FailoverWait.
func (c *Connector) patiently(ctx context.Context, ask func(teller int) error) (err error) {
	ctx, cancel := context.WithTimeout(ctx, c.settings.Load().FailoverWait)
	defer cancel()
	for {
		err = errNoTeller
		if teller, ok := c.teller(); ok {
			err = ask(teller)
		}
		if err == nil || !unanswered(err) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(tellerAgain):
		}
	}
}

// unanswered says that a node was not there, or starts or stops: it has not answered the question.
func unanswered(err error) bool {
	fault, told := errors.AsType[*wire.Fault](err)
	return told && (strings.HasPrefix(fault.Code, "08") || strings.HasPrefix(fault.Code, "57P"))
}
