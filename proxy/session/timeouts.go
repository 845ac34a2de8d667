package session

import (
	"time"

	"pgherd/proxy/pool"
	"pgherd/proxy/wire"
)

// ownTimeouts are PostgreSQL's timeouts, as the client has set them. PostgreSQL applies them
// while the session has a server; while it has none pgherd does.
func (s *clientState) ownTimeouts() pool.Timeouts {
	t, set := s.timeouts, s.tracker.Settings
	if len(set) == 0 {
		return t
	}
	if value, its := set[pool.IdleSessionTimeout]; its {
		t.IdleSession = pool.Timeout(value)
	}
	if value, its := set[pool.IdleInTransactionTimeout]; its {
		t.IdleInTransaction = pool.Timeout(value)
	}
	if value, its := set[pool.TransactionTimeout]; its {
		t.Transaction = pool.Timeout(value)
	}
	return t
}

// transactionTimed says that the session may have a transaction_timeout on its server.
func (s *clientState) transactionTimed() bool {
	_, set := s.tracker.InForce()[pool.TransactionTimeout]
	return s.server.TimesTransactions() && (set || s.timeouts.Transaction > 0)
}

// without applies PostgreSQL's timeouts where PostgreSQL cannot, because the session has no
// server, or its server got the BEGIN later than the client has sent it.
func (s *clientState) without(limit func(since time.Time, d time.Duration, fault *wire.Fault)) {
	t := s.ownTimeouts()
	switch {
	case s.server != nil:
	case s.state == Idle:
		limit(s.since, t.IdleSession, &idleSession)
	case s.state == InTransaction:
		limit(s.since, t.IdleInTransaction, &idleInside)
	}
	if s.begun != nil { // the BEGIN was held back
		limit(s.begunAt, t.Transaction, &tooLongInside)
	}
}

// The errors have PostgreSQL's own words.
var (
	idleSession   = wire.Fault{Code: "57P05", Message: "terminating connection due to idle-session timeout"}
	idleInside    = wire.Fault{Code: "25P03", Message: "terminating connection due to idle-in-transaction timeout"}
	tooLongInside = wire.Fault{Code: "25P04", Message: "terminating connection due to transaction timeout"}
)
