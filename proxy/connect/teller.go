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

// patiently asks the tellers. Where another node may take the place of one that is lost, it asks
// again until somebody answers, within its patience.
func (c *Connector) patiently(ctx context.Context, ask func(teller int) error) (err error) {
	ctx, cancel := context.WithTimeout(ctx, c.patience())
	defer cancel()
	for {
		if err = inOrder(c.tellers(), ask); err == nil || !unanswered(err) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(tellerAgain):
		}
	}
}

// inOrder asks the first teller, and the next ones only if it lets nobody in who asks. If none does, the first one's error counts.
func inOrder(tellers []int, ask func(teller int) error) error {
	if len(tellers) == 0 {
		return errNoTeller
	}
	err := ask(tellers[0])
	if err == nil || !keepsOut(err) {
		return err
	}
	for _, teller := range tellers[1:] {
		if next := ask(teller); next == nil || !keepsOut(next) && !unanswered(next) {
			return next
		}
	}
	return err
}

// keepsOut says that a node has no connection left, or does not let the user connect, as by its pg_hba.conf.
func keepsOut(err error) bool {
	fault, told := errors.AsType[*wire.Fault](err)
	return told && (strings.HasPrefix(fault.Code, "53") || fault.Code == "28000")
}

// unanswered says that a node was not there, or starts or stops: it has not answered the question.
func unanswered(err error) bool {
	fault, told := errors.AsType[*wire.Fault](err)
	return told && (strings.HasPrefix(fault.Code, "08") || strings.HasPrefix(fault.Code, "57P"))
}
