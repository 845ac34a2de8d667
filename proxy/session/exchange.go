package session

import (
	"time"

	"pgherd/proxy/expect"
	"pgherd/proxy/pool"
	"pgherd/proxy/querylog"
	"pgherd/proxy/wire"
)

// exchange is a session's two connections, and what is owed between them. It knows nothing
// of what the client's statements mean.
type exchange struct {
	loop Loop
	set  *Settings
	identity
	phase
	front
	owed
	checkout
	transaction
	ending
	executed uint64 // Queries, Executes and FunctionCalls so far
}

// identity is who a session is for. Nothing of it changes after the log-in.
type identity struct {
	who       Client
	mode      pool.Mode
	pool      pool.Key // its target's, of no node yet
	pid       uint32   // the number by which the client may cancel
	key       []byte   // and its secret (I9)
	temporary bool     // by its log-in, what it makes may be temporary; see inTemporary
	// follows: what the client does to its session is looked at, so that it can
	// follow it from server to server.
	follows bool
}

// front is the client's side: what it sends, and what it was told.
type front struct {
	client   wire.Endpoint
	requests stream
	pieces
	told    []wire.Param     // what it believes of ParameterStatus
	journal querylog.Journal // of its messages, while something is told of them
}

// pieces says what becomes of a request that arrives in pieces, or behind one that failed.
type pieces struct {
	refusing bool // a request failed here; skip to the next Sync
	dropping bool // the one that arrives is not for the server
	passing  bool // its first piece was sent on in other words, the others are to follow
}

// owed is what the server still owes. The list's memory outlives the server.
type owed struct {
	expect      expect.List
	disposition expect.Disposition // of the reply that is arriving
}

// checkout is what a session knows of the server that it holds. It is made and dropped
// whole, by take and detach; what it is to be chosen for is known before it is there.
type checkout struct {
	server       *pool.Server // nil while it needs none
	replies      stream
	parsed       []string // statements that it has been given
	away         bool     // it is a standby's
	ran          bool     // it has been given something to run
	signalTarget bool     // it is chosen for a process that is there
	drawn        bool     // the session may have drawn from a sequence on it
	waits        bool     // it may wait for more, after what was sent last
	unasked      bool     // DISCARD ALL was done, and may have left what it is to be asked for
}

// ending is what is known of the session's end.
type ending struct {
	leaving   bool        // the client has left; what it had asked for goes on
	evicted   *wire.Fault // why the worker wants it gone
	violation *wire.Fault // what the client sent that is not the protocol
	torn      bool        // the client has got the beginning of a reply, not its end
	fatal     bool        // the server has said why it ends, and the client was told
	overdue   bool        // its query was canceled because it took too long
}

// on is the pool of a node whose servers serve this client.
func (i *identity) on(node int) pool.Key {
	key := i.pool
	key.Node = node
	return key
}

// primary is the index of the node that takes writes; -1 if there is none.
func (s *exchange) primary() int {
	if n := s.loop.Nodes().Primary(); n != nil {
		return n.Index
	}
	return -1
}

// failed says that the open block can only be rolled back: that has not been
// asked for yet.
func (s *exchange) failed() bool {
	return s.status == wire.Failed && !s.ended && !s.expect.StatusPending()
}

// keeps says that the server at hand stays with its session until that ends.
func (s *exchange) keeps() bool { return s.mode == pool.Session && !s.away }

// crowded says that enough is queued, or owed, for the client to wait.
func (s *exchange) crowded() bool {
	held := s.expect.Held() >= queuedLimit && s.expect.RepliesPending() && !s.expect.InExtended() // their turn comes without another request
	return held || s.expect.Full() || s.client.Queued() >= queuedLimit ||
		s.server != nil && s.server.Endpoint.Queued() >= queuedLimit
}

// outside says that the server owes nothing and is in no transaction.
func (s *exchange) outside() bool {
	return s.expect.Empty() && !s.expect.InExtended() && s.status == wire.Idle
}

// between is outside, and no message is here by half.
func (s *exchange) between() bool {
	return s.outside() && s.replies.cut.Between() && s.requests.cut.Between()
}

// busy says that the server is at work and can be told to stop. One that waits
// for the rest of a message ends by itself when it is closed.
func (s *exchange) busy() bool {
	return s.expect.RepliesPending() && !s.expect.Uncertain && s.requests.cut.Between() && s.server.Endpoint.Ended() == nil
}

// outOfTime waits for something to happen; true once it is too late.
func (s *exchange) outOfTime(deadline time.Time) bool {
	return !s.loop.Now().Before(deadline) || s.loop.Wait(deadline) != nil
}

func (s *exchange) countExecuted(kind wire.Kind) {
	switch kind {
	case wire.Query, wire.Execute, wire.FunctionCall:
		s.executed++
	}
}

// mayBeOpen says that the server may be in a transaction, be it one without a BEGIN
// whose Sync has not come.
func (s *exchange) mayBeOpen() bool { return s.status != wire.Idle || s.expect.InExtended() }

// Database is what the client is connected to.
func (i *identity) Database() string { return i.who.Target.Database }
