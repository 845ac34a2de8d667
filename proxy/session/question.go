package session

import (
	"strconv"
	"time"

	"pgherd/proxy/catalog"
	"pgherd/proxy/expect"
	"pgherd/proxy/track"
	"pgherd/proxy/wire"
)

// question is something that pgherd asks of a server on its own behalf; the
// client sees nothing of it.
type question struct {
	rows   [][]string // NULL is ""
	row    []byte     // of a DataRow that has not come wholly
	size   int
	failed bool
	done   func(*question)
}

// inquiry is what pgherd asks of a session's server, and of the catalog through it.
type inquiry struct {
	asking  *question // not wholly answered; nil: none
	recheck time.Time // when to look again whether the catalog is known
	lost    func()    // has another session ask for the catalog, if this one ends before it is known
	unread  func()    // reads an answer, and may burn CPU; nil: none is there
}

// ask sends a question. done is called when the answer has come.
func (s *relaying) ask(sql string, done func(*question)) {
	s.asking = &question{done: done}
	s.query(sql, expect.Capture)
}

// hear takes a piece of the answer.
func (q *question) hear(m wire.Message) {
	switch {
	case m.Kind == wire.ErrorResponse:
		q.failed = true
	case m.Kind == wire.DataRow:
		if q.size += len(m.Bytes); q.size > rowsLimit {
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

// askAhead asks what a session has left on the server in the same round trip
// as what may have left it, where that is a transaction by itself.
func (s *relaying) askAhead() {
	if s.tracker.AskAhead() && !s.waits && s.status == wire.Idle && s.server != nil && s.asking == nil &&
		!s.expect.Skipping && s.expect.RepliesPending() {
		s.askState()
	}
}

// askState asks the server what the session has left on it.
func (s *relaying) askState() {
	prepared := strconv.Itoa(s.server.Prepared.Len())
	if s.expect.Doubtful() {
		prepared = "" // some of them may fail
	}
	s.ask(track.Question(s.tracker.Names(), s.transactionTimed()), func(q *question) {
		f := &s.tracker
		if f.Asked(q.failed); q.failed {
			return
		}
		if s.status != wire.Idle {
			return // there is more to come
		}
		a := track.Read(q.rows, s.who.Target.User, s.syntax)
		switch {
		case prepared == "" || a.Count == "" || s.plain || a.Count == prepared:
		case a.Count == "0": // all were deallocated, unseen
			s.deallocated()
		default:
			s.server.Retire(s.loop.Now())
		}
		f.Adopt(a)
		s.server.Settings = f.Settings
		s.server.Used = s.keeps() || f.Pinned() != ""
	})
}

// digest reads an answer that may take a while to read.
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

// askCatalog asks the server for the functions, triggers and views that
// statements are judged by.
func (s *relaying) askCatalog(ticket catalog.Ticket) {
	before, entry := s.entry.Snapshot(), s.entry
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
			} else {
				entry.Failed(ticket)
			}
		}
	})
	s.lost = func() { entry.Unanswered(ticket) }
}
