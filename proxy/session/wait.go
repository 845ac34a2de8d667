package session

import (
	"time"

	"pgherd/proxy/wire"
)

// known waits until the status of the transaction to which the request at hand belongs is
// known.
func (s *relaying) known() error {
	if s.server == nil || !s.expect.StatusPending() {
		return nil
	}
	return s.quiesce()
}

// quiesce waits until the server has sent all replies that it can send now.
func (s *relaying) quiesce() error {
	if s.server == nil {
		return nil
	}
	if s.expect.InExtended() {
		s.sendFlush()
	}
	return s.relayUntil(func() bool { return !s.expect.RepliesPending() || s.expect.Skipping })
}

// lost is an error that ends the session, because its server has failed it or a wait for
// the server took too long.
type lost struct{ error }

func (l lost) Unwrap() error { return l.error }

// relayUntil relays replies until done is true.
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

// rest waits for something to happen, until one of the session's deadlines. It sends the
// client's cancel before, if it is time for that.
func (s *relaying) rest() error {
	struck := s.strike()
	if struck {
		return nil // what waited for the cancel may go on
	}
	deadline, why := s.patience()
	if over(deadline, s.loop.Now()) {
		return s.impatience(why)
	}
	return s.loop.Wait(deadline)
}

// patience is until when the session waits for something to happen, and the error by which
// it then ends; nil if it does not end.
func (s *relaying) patience() (deadline time.Time, why *wire.Fault) {
	deadline, why = s.limits()
	if s.recheck != Forever && (deadline == Forever || s.recheck.Before(deadline)) {
		return s.recheck, nil
	}
	return deadline, why
}

// limits is when one of the configured limits ends the wait, and the error for that limit.
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

// impatience is called when the deadline of a wait has come. It ends the session, but a query
// that takes too long is canceled first.
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
