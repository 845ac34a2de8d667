package session

import (
	"strings"
	"time"

	"pgherd/proxy/expect"
	"pgherd/proxy/pool"
)

// finish gives back or closes the session's servers once its client is gone.
func (s *serving) finish() {
	_ = s.digest() // other sessions need the answer; an error means only that the worker stops
	if s.server != nil {
		s.finishOne()
	}
	if s.parked != nil && s.unpark(s.parked.Key.Node) {
		s.finishOne()
	}
}

// finishOne parts with the server at hand as the release rule says, after a reset if that is
// needed (I2). It waits until no cancel can strike the server any more (I10).
func (s *serving) finishOne() {
	s.conclude()
	verdict := s.verdict()
	if verdict != pool.Discard && s.awaitCancels() {
		verdict = s.verdict() // a cancel without an answer changes it
	} else {
		verdict = pool.Discard
	}
	if verdict == pool.Reset {
		verdict = s.reset()
	}
	if verdict == pool.Return && !s.calm() {
		verdict = pool.Discard
	}
	if verdict == pool.Discard && s.busy() {
		s.loop.Abort(s.detach())
		return
	}
	s.release(verdict)
}

// verdict is what the release rule (I2) says of the server at hand.
func (s *serving) verdict() pool.Verdict {
	if s.away {
		return max(s.mode, pool.Transaction).Judge(s.moment())
	}
	return s.mode.Judge(s.moment())
}

// part gives the server back between two transactions, if the pool mode and the session's
// state allow it. waited says that it had to wait, so that requests or replies may have come.
// The session keeps the server while a cancel is on its way to it (I10). What the transaction
// has left is found out even then, because the next one depends on it.
func (s *serving) part() (waited bool) {
	if s.server == nil || !s.follows || !s.conclude() || s.cancels > 0 || s.summoned {
		return false
	}
	if s.keeps() {
		s.park()
		return false
	}
	verdict := s.verdict()
	if verdict == pool.Reset {
		waited = true
		verdict = s.reset()
	}
	if verdict == pool.Return && s.server.Restless() {
		waited = true
		if !s.calm() {
			verdict = pool.Discard
		}
	}
	if verdict != pool.Keep && s.cancels == 0 { // a cancel may have come meanwhile (I10)
		s.release(verdict)
	}
	return waited
}

// conclude finds out, between two transactions, what the last one has left. It is not done
// while the server is being asked for that.
func (s *serving) conclude() (done bool) {
	f := &s.tracker
	if !s.follows || !s.between() {
		return true
	}
	if s.renew() || !s.judgeAgain() {
		return false
	}
	f.Settle()
	switch {
	case f.Certain():
		s.commit()
	case f.Kept() != "": // the server stays, whatever it would answer
		f.Drop()
	case s.state != Closing:
		s.askState()
		return false
	}
	if f.NewlyPinned() {
		s.loop.Pinned(s.server)
	}
	return true
}

// recheckEvery is how often a session that waits for the catalog looks whether it has come.
const recheckEvery = 10 * time.Millisecond

// renew asks for the catalog if that is due, or needed.
func (s *serving) renew() (asked bool) {
	if s.entry == nil || s.away || s.state == Closing { // a standby may lag behind the definitions on the primary
		return false
	}
	ticket, asked := s.entry.Claim(s.loop.Now(), s.set.CatalogCheck, s.awaitsCatalog() || s.unheard && s.entry.Partial())
	if asked {
		s.unheard = false
		s.askCatalog(ticket)
	}
	return asked
}

// moment is what the release rule (I2) looks at.
func (s *serving) moment() pool.Moment {
	return pool.Moment{
		Ended:   s.state == Closing,
		Owes:    s.owing(),
		Status:  s.status,
		Used:    s.server.Used || s.unasked || s.expect.InExtended() || !s.tracker.Certain() || s.misjudged(),
		Pinned:  s.tracker.Pinned() != "",
		Expired: s.spoils || s.server.Expired(s.loop.Now()),
		Single:  s.who.Target.Replication || !s.set.KeepServers,
	}
}

// owing is what the server still has to reply.
func (s *serving) owing() pool.Owing {
	switch {
	case s.expect.Uncertain || s.fatal || s.server.Endpoint.Ended() != nil:
		return pool.Uncertain
	case !s.expect.Empty() || s.expect.InExtended() && s.state != Closing || !s.replies.cut.Between() || !s.requests.cut.Between():
		return pool.Replies
	}
	return pool.Nothing
}

// awaitCancels holds the server until no cancel is on its way to it any more, so that none
// can reach another client's query (I10). It is false if that takes too long.
func (s *serving) awaitCancels() bool {
	deadline := s.loop.Now().Add(cancelHold)
	for s.cancels > 0 {
		if !s.loop.Now().Before(deadline) || s.loop.Wait(deadline) != nil {
			return false
		}
	}
	return true
}

// reset runs what is needed of reset_query_list, each statement as a query of its own whose
// replies no client sees, and judges the server anew. A server that does not complete it in
// time is closed.
func (s *serving) reset() pool.Verdict {
	deadline, open := s.loop.Now().Add(s.set.ResetTimeout), s.mayBeOpen()
	queries, all := s.resetQueries()
	for _, sql := range queries {
		if open || !onlyEnds(sql) {
			s.query(sql, expect.Swallow)
		}
	}
	spoilt := false
	if all {
		s.ask(residueSQL(s.loop.Chance()), func(q *question) { spoilt = s.spoilt(q) })
	}
	if !s.drained(deadline) {
		return pool.Discard
	}
	s.server.Used, s.unasked = false, false
	if spoilt {
		return pool.Discard
	}
	return s.verdict()
}

// resetQueries are the statements that clean the server. Where servers are shared, an open
// transaction that has left nothing else is only rolled back; otherwise all is true, and
// everything is taken back.
func (s *serving) resetQueries() (queries []string, all bool) {
	f := &s.tracker
	clean := f.Certain() && !s.misjudged() && f.Unmixed() && !s.expect.InExtended() && f.Pinned() == "" && !s.server.Used && !s.unasked
	f.Reset()
	s.redo, s.exposed = redo{}, false
	if !s.keeps() && clean {
		return []string{"ROLLBACK"}, false
	}
	s.server.Prepared.Forget()
	s.server.Settings = nil
	if !s.keeps() {
		return []string{"ABORT", "DISCARD ALL"}, true
	}
	return s.set.ResetQueries, true
}

// detach drops the session's checkout and returns its server.
func (s *serving) detach() *pool.Server {
	server := s.server
	s.leaveDefinitions(server)
	s.replies.ends()
	s.replies.drop()
	s.cancels = 0 // those that are on their way are for this server alone
	s.checkout = checkout{}
	s.transaction.parted()
	return server
}

// drained waits until the server owes nothing. It is false if the connection breaks or the
// deadline comes before.
func (s *serving) drained(deadline time.Time) bool {
	for !s.expect.Empty() {
		moved, err := s.fromServer()
		if err != nil || !moved && s.outOfTime(deadline) {
			return false
		}
	}
	return true
}

// release parts with the server. It returns the server to the pool (I2) or closes it.
func (s *serving) release(verdict pool.Verdict) {
	if verdict == pool.Return {
		s.prove()
	}
	server := s.detach()
	if verdict == pool.Return {
		s.loop.Return(server)
		return
	}
	s.asking, s.expect = nil, expect.List{} // no answer will come
	s.loop.Discard(server)
}

// calm lifts the idle timeouts that the client has set on the server, so that PostgreSQL does
// not end the server while it is idle in the pool. If calm is false the server must not be
// reused.
func (s *serving) calm() bool {
	if !s.server.Restless() {
		return true
	}
	s.query(pool.QuietSQL, expect.Swallow)
	if !s.drained(s.loop.Now().Add(s.set.ResetTimeout)) {
		return false
	}
	s.server.Settings = s.server.Settings.Quiet()
	return !s.expect.Uncertain
}

// onlyEnds says that a statement of reset_query_list does nothing but end a transaction. It
// is left out if none is open, because PostgreSQL would log a warning each time that a client
// leaves.
func onlyEnds(sql string) bool {
	sql = strings.Trim(sql, " \t\r\n;")
	for _, word := range [...]string{"ABORT", "ROLLBACK"} {
		if len(sql) < len(word) || !strings.EqualFold(sql[:len(word)], word) {
			continue
		}
		rest := strings.TrimSpace(sql[len(word):])
		return rest == "" || sql[len(word)] <= ' ' && (strings.EqualFold(rest, "WORK") || strings.EqualFold(rest, "TRANSACTION"))
	}
	return false
}
