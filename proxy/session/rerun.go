package session

import (
	"bytes"
	"slices"
	"time"

	"pgherd/proxy/pool"
	"pgherd/proxy/query"
	"pgherd/proxy/statements"
	"pgherd/proxy/wire"
)

// rerun is a copy of the client's requests since it had all its answers. If the server is
// lost before any of them is answered, and all of them only read, they are asked again.
type rerun struct {
	bytes []byte
	owed  int  // replies that the copied requests have in all
	bound bool // the unnamed portal is bound by one of them, and not executed since
	full  bool // there were more than are copied, or others
	due   bool // they are to be asked again
	crashes
}

// crashes are those with which the requests were lost since the client had an answer. Several servers of one node are lost
// with one crash, if all were open before it.
type crashes struct {
	count int
	node  int       // of the last one
	at    time.Time // when its first server was lost
}

// loses counts the loss of a server.
func (c *crashes) loses(server *pool.Server, now time.Time) {
	if c.count == 0 || server.Key.Node != c.node || server.Opened.After(c.at) {
		*c = crashes{c.count + 1, server.Key.Node, now}
	}
}

// rerunLimit bounds the copy, in bytes, and rerunKept what an idle session keeps of its memory.
const (
	rerunLimit = 16 << 10
	rerunKept  = 1 << 10
)

// mostCrashes is how many crashes a request survives without an answer. Nodes that crash twice with the same request may
// crash because of it, and each further try could crash one more node.
const mostCrashes = 1

// add copies a request that was sent.
func (r *rerun) add(m *wire.Message) {
	if r.full {
		return
	}
	switch m.Kind {
	case wire.Query, wire.Sync:
		r.owed++
	case wire.Describe:
		r.owed++
		v, err := wire.ViewDescribe(m.Body())
		r.full = r.full || err != nil || v.What == 'P' && !r.bound
	case wire.Bind:
		r.owed++
		r.bound = true
	case wire.Execute:
		r.owed++
		r.full = r.full || !r.bound // the portal is lost with the server
		r.bound = false
	case wire.Flush:
	case wire.Parse:
		r.owed++
		r.full = len(m.Bytes) <= wire.HeaderLen || m.Bytes[wire.HeaderLen] != 0 // one with a name would be there already
	default:
		r.full = true
	}
	if r.full = r.full || !m.First || !m.Last || len(r.bytes)+len(m.Bytes) > rerunLimit; !r.full {
		r.bytes = append(r.bytes, m.Bytes...)
	}
}

// end drops the copy: the client has all its answers.
func (r *rerun) end() {
	kept := r.bytes[:0]
	if cap(kept) > rerunKept {
		kept = nil
	}
	*r = rerun{bytes: kept, crashes: r.crashes}
}

// holds says that so many replies are all that the copied requests have.
func (r *rerun) holds(asked int) bool {
	return !r.full && len(r.bytes) > 0 && r.owed == asked
}

// exhausted says that the requests may not be asked again.
func (r *rerun) exhausted() bool { return r.count > mostCrashes }

// askAgain sends the copied requests once more, wherever they go now.
func (s *Session) askAgain() error {
	requests := bytes.Clone(s.rerun.bytes)
	s.rerun.end()
	return s.handleCopy(requests)
}

// recent are the statements that Executes have run since the last Sync, as many as it takes to
// know whether the Sync commits something. What a Query has run is owed until its end.
type recent struct {
	ran  [4]*statements.Statement
	many int
}

func (r *recent) add(about any) {
	if _, ofQuery := about.(*query.Script); ofQuery {
		return
	}
	if st, _ := about.(*statements.Statement); r.many < len(r.ran) {
		r.ran[r.many] = st
	}
	r.many++
}

// may says of something that may hold for one of them.
func (r *recent) may(hold func(*query.Script) bool) bool {
	for _, st := range r.ran[:min(r.many, len(r.ran))] {
		if st == nil || hold(st.Script) {
			return true
		}
	}
	return r.many > len(r.ran)
}

// leaves says whether a block is open behind them, if one was before.
func (r *recent) leaves(open bool) bool {
	for _, st := range r.ran[:min(r.many, len(r.ran))] {
		if st != nil {
			open = st.Script.Begins() || open && !st.Script.Ends()
		}
	}
	return open
}

// renews says that the open block can begin anew on another server: each of its statements has a
// snapshot of its own, and all of them have only read.
func (s *Session) renews() bool {
	return s.begun != nil && s.hasOnlyRead && slices.Contains(perStatement, s.isolation())
}

// perStatement are the isolation levels in which each statement has a snapshot of its own.
var perStatement = []string{"read committed", "read uncommitted"}
