package session

import (
	"pgherd/proxy/expect"
	"pgherd/proxy/statements"
	"pgherd/proxy/wire"
)

// retry is a copy of the client's requests since the server was last idle:
// one statement's execution. If the server says that its plan is of another
// time, as happens to a statement prepared before an ALTER TABLE, it is
// prepared anew and the requests are repeated; the client sees nothing of it.
type retry struct {
	name     []byte // of the statement, as the client calls it; none: nothing is copied
	bytes    []byte
	of       *statements.Statement // that was bound last
	owed     int                   // replies to come if none has
	promised bool                  // the client knows what the statement was: it is told that it has changed
	closed   bool                  // its Sync was read: more must not follow
	due      bool                  // it is to be repeated
	spent    bool                  // it was repeated once
}

// retryLimit bounds the copy, in bytes.
const retryLimit = 16 << 10

// retryKept is how much memory an idle session keeps for the next one.
const retryKept = 1 << 10

// begin starts a copy with a Bind of a statement of the client's.
func (a *retry) begin(name []byte) {
	*a = retry{name: append(a.name[:0], name...), of: a.of, bytes: a.bytes[:0], spent: a.spent, promised: a.of.Promise.Known()}
}

// end: the client has its answer.
func (a *retry) end() {
	a.name, a.spent = a.name[:0], false
	if cap(a.bytes) > retryKept {
		a.bytes = nil
	}
}

// add copies a request that was sent, or gives up.
func (a *retry) add(m wire.Message) {
	switch {
	case len(a.name) == 0:
		return
	case !m.First || !m.Last || a.closed || len(a.bytes)+len(m.Bytes) > retryLimit:
		a.name = a.name[:0]
		return
	}
	switch m.Kind {
	case wire.Bind, wire.Describe, wire.Execute, wire.Sync:
		a.owed++
		a.closed = m.Kind == wire.Sync
	case wire.Flush:
	default:
		a.name = a.name[:0]
		return
	}
	a.bytes = append(a.bytes, m.Bytes...)
}

// outdated is the routine in which PostgreSQL finds that a plan's result has
// changed; its words are translated, its name is not.
var outdated = []byte("\x00RRevalidateCachedQuery\x00")

// meetOutdated: the server has said so. What cannot be repeated is told. Nobody finds
// the same plan; of a statement of SQL PREPARE the server is closed in the end.
func (s *relaying) meetOutdated(m wire.Message) {
	st, _ := s.expect.About().(*statements.Statement)
	if st == nil {
		s.server.Retire(s.loop.Now())
	} else if there := s.server.Prepared.Find(st.Key); there != nil {
		there.Outdated = true
	}
	if s.disposition == expect.Forward && m.Last && s.repeatable() {
		s.disposition, s.retry.due = expect.Retry, true
	}
}

// repeatable says that the client has seen nothing yet of what would be repeated, and
// was never told what the statement was.
func (s *relaying) repeatable() bool {
	a := &s.retry
	return len(a.name) > 0 && a.closed && !a.promised && !a.spent && !s.leaving && !s.handling && s.status == wire.Idle &&
		s.expect.OwedToClient() == a.owed
}
