package session

import (
	"pgherd/proxy/expect"
	"pgherd/proxy/statements"
	"pgherd/proxy/wire"
)

// retry is a copy of the client's requests since the server was last idle, which are one
// execution of a prepared statement. If the server reports that the result of its plan has
// changed, as it does for a statement prepared before an ALTER TABLE, pgherd prepares the
// statement anew and repeats the requests. The client sees nothing of it.
type retry struct {
	name     []byte // of the statement, as the client calls it; empty if nothing is copied
	bytes    []byte
	of       *statements.Statement // the statement that was bound last
	owed     int                   // how many replies the copied requests have in all
	promised bool                  // the client was told the statement's types, so it gets the error
	closed   bool                  // the Sync is copied; a further request ends the copy
	due      bool                  // the requests are to be repeated
	spent    bool                  // they were repeated once
}

// retryLimit bounds the copy, in bytes.
const retryLimit = 16 << 10

// retryKept is how much memory an idle session keeps for the next copy.
const retryKept = 1 << 10

// begin starts a copy with a Bind of a statement of the client's.
func (a *retry) begin(name []byte) {
	*a = retry{name: append(a.name[:0], name...), of: a.of, bytes: a.bytes[:0], spent: a.spent, promised: a.of.Promise.Known()}
}

// end drops the copy, because the client has its answer.
func (a *retry) end() {
	a.name, a.spent = a.name[:0], false
	if cap(a.bytes) > retryKept {
		a.bytes = nil
	}
}

// add copies a request that was sent. It drops the copy if these requests cannot be repeated.
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

// outdated is the name, in an ErrorResponse, of PostgreSQL's routine that finds that the result
// of a plan has changed. The message is translated; the name is not.
var outdated = []byte("\x00RRevalidateCachedQuery\x00")

// meetOutdated notes that a statement's plan is outdated on the server, so that it is prepared
// anew before it is used again. If the statement is one of SQL PREPARE, the server is closed in
// the end. The requests are repeated if they can be; if not, the client gets the error.
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

// repeatable says that the client has got no reply yet to the requests that would be repeated,
// and was never told the statement's types.
func (s *relaying) repeatable() bool {
	a := &s.retry
	return len(a.name) > 0 && a.closed && !a.promised && !a.spent && !s.leaving && !s.handling && s.status == wire.Idle &&
		s.expect.OwedToClient() == a.owed
}
