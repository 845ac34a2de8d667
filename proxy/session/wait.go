package session

import (
	"time"

	"pgherd/proxy/wire"
)

// known waits until the state of the transaction is known in which the request
// at hand will be.
func (s *relaying) known() error {
	if s.server == nil || !s.expect.StatusPending() {
		return nil
	}
	return s.quiesce()
}

// quiesce waits until the server owes nothing that it would tell now.
func (s *relaying) quiesce() error {
	if s.server == nil {
		return nil
	}
	if s.expect.InExtended() {
		s.sendFlush()
	}
	return s.relayUntil(func() bool { return !s.expect.RepliesPending() || s.expect.Skipping })
}

// lost ends the session: what its server said, or did not, leaves nothing to
// go on with.
type lost struct{ error }

func (l lost) Unwrap() error { return l.error }

// relayUntil relays replies until done says so.
func (s *relaying) relayUntil(done func() bool) error {
	for !done() {
		moved, err := s.fromServer()
		switch {
		case err != nil:
			return lost{err}
		case s.evicted != nil:
			return errEvicted
		case s.gone():
			return errLeft
		case moved:
			continue
		}
		if err := s.rest(); err != nil {
			return err
		}
	}
	return nil
}

// rest waits for something to happen, as long as the session has patience.
func (s *relaying) rest() error {
	if s.strike() {
		return nil // what waited for that may go on
	}
	deadline, why := s.patience()
	if over(deadline, s.loop.Now()) {
		return s.impatience(why)
	}
	return s.loop.Wait(deadline)
}

// patience is until when the session waits for something to happen, and why it
// ends if nothing does.
func (s *relaying) patience() (deadline time.Time, why *wire.Fault) {
	deadline, why = s.limits()
	if s.recheck != Forever && (deadline == Forever || s.recheck.Before(deadline)) {
		return s.recheck, nil
	}
	return deadline, why
}

// limits is when the configured limits end the wait, and by which of them.
func (s *relaying) limits() (deadline time.Time, why *wire.Fault) {
	limit := func(since time.Time, d time.Duration, fault *wire.Fault) {
		if at := since.Add(d); d > 0 && (deadline == Forever || at.Before(deadline)) {
			deadline, why = at, fault
		}
	}
	if s.state == Active {
		limit(s.since, s.set.QueryTimeout, tooSlow)
		if s.overdue {
			deadline = deadline.Add(cancelPatience)
		}
		s.without(limit)
		return deadline, why
	}
	limit(s.since, s.set.ClientIdle, silent)
	if s.state == InTransaction {
		limit(s.since, s.set.InTransIdle, silentInside)
	}
	s.without(limit)
	return deadline, why
}

var (
	silent = &wire.Fault{Code: "57P05",
		Message: "terminating connection because the client was idle for longer than client_idle_limit"}
	silentInside = &wire.Fault{Code: "25P03",
		Message: "terminating connection because the client was idle inside a transaction for longer than idle_transaction_timeout"}
	tooSlow = &wire.Fault{Code: "57014",
		Message: "terminating connection because a query took longer than query_timeout and could not be canceled"}
)

// impatience: the wait has been too long. A query is canceled first.
func (s *relaying) impatience(why *wire.Fault) error {
	if why == nil {
		s.recheck = Forever
		return nil
	}
	if why != tooSlow || s.overdue {
		return lost{why}
	}
	s.overdue = true
	if s.cancels < cancelLimit && s.server != nil && !s.expect.Empty() {
		s.sendCancel(s.server)
	}
	return nil
}

// over says that a deadline has come.
func over(deadline, now time.Time) bool { return !deadline.IsZero() && !now.Before(deadline) }

// sooner is the earlier of two deadlines.
func sooner(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
