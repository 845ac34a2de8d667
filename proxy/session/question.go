package session

import (
	"strconv"
	"time"

	"pgherd/proxy/catalog"
	"pgherd/proxy/expect"
	"pgherd/proxy/track"
	"pgherd/proxy/wire"
)

// question is a query that pgherd sends to a server on its own behalf. The client sees nothing
// of it.
type question struct {
	rows   [][]string // the answer so far; NULL is ""
	row    []byte     // the pieces of a DataRow that has not arrived as a whole
	size   int
	failed bool
	done   func(*question)
}

// inquiry is what pgherd asks a session's server, about the session or about the catalog.
type inquiry struct {
	asking  *question // the question that is not wholly answered; nil if there is none
	recheck time.Time // when to look again whether the catalog is known
	lost    func()    // lets another session ask for the catalog, if this one ends before the answer
	unread  func()    // parses an answer that has come, and may burn CPU; nil if there is none
}

// ask sends a question. done is called when the answer has come.
func (s *relaying) ask(sql string, done func(*question)) {
	s.asking = &question{done: done}
	s.query(sql, expect.Capture)
}

// hear takes in one message of the answer, or a piece of one.
func (q *question) hear(m wire.Message) {
	switch {
	case m.Kind == wire.ErrorResponse:
		q.failed = true
	case m.Kind == wire.DataRow:
		q.size += len(m.Bytes)
		if q.size > rowsLimit {
			q.failed = true
			return
		}
		q.row = append(q.row, m.Bytes...)
		if m.Last {
			q.read(q.row[wire.HeaderLen:])
			q.row = nil
		}
	}
}

// read adds a row to the answer.
func (q *question) read(body []byte) {
	v, err := wire.ViewDataRow(body)
	if err != nil {
		q.failed = true
		return
	}
	var row []string
	for value := range v.Values.All() {
		row = append(row, string(value))
	}
	q.rows = append(q.rows, row)
}

// askAhead asks what the session has left on the server in the same round trip as the request
// that may leave it, if that request is a transaction by itself.
func (s *relaying) askAhead() {
	if s.tracker.AskAhead() && !s.waits && s.status == wire.Idle && s.server != nil && s.asking == nil &&
		!s.expect.Skipping && s.expect.RepliesPending() {
		s.askState()
	}
}

// askState asks the server what the session has left on it, and takes over the answer unless
// a transaction is open by then.
func (s *relaying) askState() {
	prepared := strconv.Itoa(s.server.Prepared.Len())
	if s.expect.Doubtful() {
		prepared = "" // some Parses may still fail, so the number is not known
	}
	s.ask(track.Question(s.tracker.Names(), s.transactionTimed()), func(q *question) {
		f := &s.tracker
		f.Asked(q.failed)
		if q.failed {
			return
		}
		if s.status != wire.Idle {
			return // the transaction may change more
		}
		a := track.Read(q.rows, s.who.Target.User, s.syntax)
		switch {
		case prepared == "" || a.Count == "" || s.exposed || a.Count == prepared:
		case a.Count == "0": // code that pgherd does not see has deallocated all
			s.deallocated()
		default:
			s.server.Retire(s.loop.Now())
		}
		f.Adopt(a)
		s.server.Settings = f.Settings
		s.server.Used = s.keeps() || f.Pinned() != ""
	})
}

// digest parses an answer about the catalog, off the worker's thread.
func (s *relaying) digest() error {
	unread := s.unread
	s.unread = nil
	if unread == nil {
		return nil
	}
	err := s.loop.Offload(unread)
	s.lost = nil
	return err
}

// askCatalog asks the server for the functions, triggers and views by which statements are
// judged.
func (s *relaying) askCatalog(ticket catalog.Ticket) {
	before, entry, away := s.entry.Snapshot(), s.entry, s.away
	s.ask(s.server.Untimed()+catalog.Question(before), func(q *question) {
		if q.failed {
			s.lost = nil
			entry.Failed(ticket)
			if len(s.redo.later) > 0 {
				s.tracker.Keep("its catalog cannot be asked for")
			}
			return
		}
		ticket := ticket.Answered(s.loop.Now())
		s.unread = func() {
			if snapshot, err := catalog.Read(before, q.rows); err == nil {
				entry.Store(ticket, snapshot)
				if away {
					entry.Replayed()
				}
			} else {
				entry.Failed(ticket)
			}
		}
	})
	s.lost = func() { entry.Unanswered(ticket) }
}
