package session

import (
	"strings"
	"time"

	"pgherd/proxy/expect"
	"pgherd/proxy/pool"
)

// finish decides what becomes of its servers once the client is gone, and does
// it.
func (s *serving) finish() {
	_ = s.digest() // for other sessions; an error is that the worker stops
	if s.server != nil {
		s.finishOne()
	}
	if s.parked != nil && s.unpark(s.parked.Key.Node) {
		s.finishOne()
	}
}

func (s *serving) finishOne() {
	s.conclude()
	verdict := s.verdict()
	if verdict != pool.Discard && s.awaitCancels() {
		verdict = s.verdict() // one may have got no answer
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

// verdict is what the release rule says of the server at hand.
func (s *serving) verdict() pool.Verdict {
	if s.away {
		return max(s.mode, pool.Transaction).Judge(s.moment())
	}
	return s.mode.Judge(s.moment())
}

// part gives the server back between two transactions, if the mode and the
// session's state allow it. waited: something may have happened meanwhile. A
// cancel on its way holds the server (I10); what the transaction has left is
// found out all the same, for the next one depends on it.
func (s *serving) part() (waited bool) {
	if s.server == nil || !s.follows || !s.conclude() || s.cancels > 0 || s.summoned {
		return false
	}
	if s.keeps() {
		s.park()
		return false
	}
	verdict := s.verdict()
	if waited = verdict == pool.Reset; waited {
		verdict = s.reset()
	}
	if verdict == pool.Return && s.server.Restless() {
		if waited = true; !s.calm() {
			verdict = pool.Discard
		}
	}
	if verdict != pool.Keep && s.cancels == 0 { // one may have come meanwhile (I10)
		s.release(verdict)
	}
	return waited
}

// conclude settles, between two transactions, what the last one has left. Not
// done: the server has been asked.
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
	case f.Kept() != "": // whatever the answer
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

// recheckEvery is how often a session that waits for the catalog looks again.
const recheckEvery = 10 * time.Millisecond

// commit: the transaction has ended, and its outcome is certain.
func (s *serving) commit() {
	s.tracker.Commit(s.server.Params)
	s.server.Settings = s.tracker.Settings
}

// renew asks for the catalog if that is due, or needed.
func (s *serving) renew() (asked bool) {
	if s.entry == nil || s.away || s.state == Closing { // a standby may not have heard of the latest
		return false
	}
	ticket, asked := s.entry.Claim(s.loop.Now(), s.set.CatalogCheck, s.awaitsCatalog() || s.unheard && s.entry.Partial())
	if asked {
		s.unheard = false
		s.askCatalog(ticket)
	}
	return asked
}

// moment is what the release rule looks at.
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

// awaitCancels holds the server until no cancel is on its way to it any more,
// so that none can reach another client's query (I10).
func (s *serving) awaitCancels() bool {
	deadline := s.loop.Now().Add(cancelHold)
	for s.cancels > 0 {
		if !s.loop.Now().Before(deadline) || s.loop.Wait(deadline) != nil {
			return false
		}
	}
	return true
}

// reset runs what is needed of reset_query_list, each statement a query of its own
// whose replies nobody sees. A server that is not idle and debtless after it is closed.
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
	if s.server.Used, s.unasked = false, false; spoilt {
		return pool.Discard
	}
	return s.verdict()
}

// resetQueries are what cleans the server. Where servers are shared, an open
// transaction that has left nothing else is only rolled back. all: everything is
// to be taken back.
func (s *serving) resetQueries() (queries []string, all bool) {
	f := &s.tracker
	clean := f.Certain() && !s.misjudged() && f.Unmixed() && !s.expect.InExtended() && f.Pinned() == "" && !s.server.Used && !s.unasked
	f.Reset()
	s.redo, s.plain = redo{}, false
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

// detach takes the server from the session.
func (s *serving) detach() *pool.Server {
	server := s.server
	s.leaveDefinitions(server)
	s.replies.ends()
	s.replies.drop()
	s.checkout = checkout{}
	s.transaction.parted()
	return server
}

// drained waits until the server owes nothing. False: it has broken, or is too late.
func (s *serving) drained(deadline time.Time) bool {
	for !s.expect.Empty() {
		moved, err := s.fromServer()
		if err != nil || !moved && s.outOfTime(deadline) {
			return false
		}
	}
	return true
}

// release parts with the server.
func (s *serving) release(verdict pool.Verdict) {
	if verdict == pool.Return {
		s.prove()
	}
	server := s.detach()
	if verdict == pool.Return {
		s.loop.Return(server)
	} else {
		s.loop.Discard(server)
	}
}

// calm has PostgreSQL not end the server while nobody has it, for the silence of the
// client that leaves it. False: it is not to be reused.
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

// onlyEnds says that a statement of reset_query_list ends a transaction and does
// nothing else. Where none is open PostgreSQL would write a warning for it into its
// log, each time that a client leaves.
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
