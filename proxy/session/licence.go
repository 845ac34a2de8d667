package session

import (
	"time"

	"pgherd/proxy/wire"
)

// unlicensed is the error where this pgherd may not write to the primary. waited is how long that has lasted; 0: nobody has waited.
func unlicensed(waited time.Duration) error {
	fault := &wire.Fault{Severity: "FATAL", Code: "57P03", Message: "this pgherd has lost touch with the majority of its peers",
		Detail: "It sends nothing to the primary meanwhile, because the others may have another one.",
		Hint:   "Connect to another pgherd, or repeat this later. With load_balance_mode = on, reads go on where a standby answers."}
	if waited > 0 {
		fault.Detail += " This has lasted for failover_wait_timeout (" + waited.String() + ")."
	}
	return fault
}

// canceledInside is the error for a cancel inside of a transaction, while this pgherd may not write to the primary.
var canceledInside = &wire.Fault{Severity: "FATAL", Code: "57014", Message: canceled.Message,
	Detail: "The session ends, because this pgherd has lost touch with the majority of its peers: it may send nothing to the primary, " +
		"where the transaction is still open.", Hint: "Connect to another pgherd."}

// awaitLicence holds back what would go to the primary while this pgherd may not write. Replies are passed on meanwhile. It ends
// with the server, and with an error once it has lasted too long.
func (s *serving) awaitLicence() error {
	if !s.holdsBack() {
		return nil
	}
	before, deadline := s.state, s.patience()
	s.enter(WaitServer)
	defer func() { s.enter(before) }()
	for {
		moved, err := s.fromServer()
		switch {
		case err != nil:
			return lost{err}
		case s.server.Endpoint.Ended() != nil: // before the licence: both may come at once
			return lost{s.serverGone()}
		case moved:
			continue
		case s.loop.Licensed():
			return nil
		case over(deadline, s.loop.Now()):
			return unlicensed(s.set.FailoverWait)
		}
		if err := s.waitForNodes(deadline); err == error(canceled) && !s.outside() {
			return canceledInside
		} else if err != nil {
			return err
		}
	}
}
