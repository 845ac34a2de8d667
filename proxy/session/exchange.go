package session

import (
	"time"

	"pgherd/proxy/expect"
	"pgherd/proxy/nodes"
	"pgherd/proxy/pool"
	"pgherd/proxy/querylog"
	"pgherd/proxy/wire"
)

// exchange has a session's two connections, to the client and to the server, and the replies
// that are owed between them. It knows nothing of what the client's statements mean.
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
	recent   recent
	executed uint64 // how many Queries, Executes and FunctionCalls there were
}

// identity is who the client is. Nothing of it changes after the log-in.
type identity struct {
	who       Client
	mode      pool.Mode
	pool      pool.Key // the pool of its target, without a node
	pid       uint32   // the process number that the client was told, by which it may cancel
	key       []byte   // the secret that belongs to pid (I9)
	temporary bool     // by its start-up parameters, what it makes may be temporary; see inTemporary
	// follows says that the statements are analyzed, so that what the client changes in its
	// session can follow it from server to server.
	follows bool
}

// front is the client's side of the exchange.
type front struct {
	client   wire.Endpoint
	requests stream
	pieces
	told    []wire.Param     // the parameters as the client was told them
	journal querylog.Journal // of its messages, while they are logged
}

// pieces says what becomes of a request that arrives in pieces, or after one that failed.
type pieces struct {
	refusing bool // pgherd has refused a request, and skips all up to the next Sync
	dropping bool // the pieces that arrive now are not sent to the server
	passing  bool // a first piece was sent on in other words, and the others follow it
}

// owed has the replies that the server still owes. The list is used again for the next server.
type owed struct {
	expect      expect.List
	replication commitDoubt        // of the commit whose reply is arriving
	disposition expect.Disposition // of the reply that is arriving
}

// checkout is what a session knows of the server that it holds. take makes it and detach drops
// it, as a whole. Only signalTarget is set before the server is there.
type checkout struct {
	server       *pool.Server // nil while it needs none
	replies      stream
	sent         time.Time // when it was sent something last
	parsed       []string  // the statements that were prepared on it
	away         bool      // it is on a standby
	ran          bool      // it was sent something to run
	targeted     int       // how many signals of other clients are on their way to it
	signalTarget bool      // its node was chosen because a signal is for a process there
	drawn        bool      // the session may have drawn from a sequence on it
	waits        bool      // after the last request it may wait for more, as after BEGIN or COPY
	unasked      bool      // DISCARD ALL was done, and the server has to be asked what that has left
}

// ending is what is known of the session's end.
type ending struct {
	leaving   bool        // the client has left, and what it had asked for goes on
	evicted   *wire.Fault // why the worker wants it gone
	violation *wire.Fault // how the client has violated the protocol; nil if it has not
	torn      bool        // the client has got the beginning of a reply, but not its end
	erred     bool        // the client has got the error of the request whose ReadyForQuery is to come
	fatal     bool        // the server has sent a fatal error, and the client has got it
	overdue   bool        // pgherd has canceled the query because it took too long
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

// lastPrimary is the primary; while there is none, the node that was it last; -1: not known.
func (s *exchange) lastPrimary() int {
	if at := s.primary(); at >= 0 {
		return at
	}
	for _, n := range s.loop.Nodes().Nodes {
		if n.Role == nodes.Primary && n.Status == nodes.Down {
			return n.Index
		}
	}
	return -1
}

// failed says that the open block has failed and can only be rolled back, and that the client
// has not asked for that yet.
func (s *exchange) failed() bool {
	return s.status == wire.Failed && !s.ended && !s.expect.StatusPending()
}

// keeps says that the server at hand stays with the session until the session ends.
func (s *exchange) keeps() bool { return s.mode == pool.Session && !s.away }

// crowded says that no more requests are read for now, because too much is queued or owed (I5).
func (s *exchange) crowded() bool {
	held := s.expect.Held() >= queuedLimit && s.expect.RepliesPending() && !s.expect.InExtended() // they will be sent without another request
	return held || s.expect.Full() || s.client.Queued() >= queuedLimit ||
		s.server != nil && s.server.Endpoint.Queued() >= queuedLimit
}

// outside says that the server owes nothing and is in no transaction.
func (s *exchange) outside() bool {
	return s.expect.Empty() && !s.expect.InExtended() && s.status == wire.Idle
}

// between is outside, and says that neither side is in the middle of a message.
func (s *exchange) between() bool {
	return s.outside() && s.replies.cut.Between() && s.requests.cut.Between()
}

// busy says that the server is at work, so that a cancel can stop it. A server that waits for
// the rest of a message ends by itself when its connection is closed.
func (s *exchange) busy() bool {
	return s.expect.RepliesPending() && !s.expect.Uncertain && s.requests.cut.Between() && s.server.Endpoint.Ended() == nil
}

// outOfTime waits for something to happen. It is true once the deadline has come or the
// session is to end.
func (s *exchange) outOfTime(deadline time.Time) bool {
	return !s.loop.Now().Before(deadline) || s.loop.Wait(deadline) != nil
}

// holdsBack says that the server at hand is the primary's, and that this pgherd may not write to it now.
func (s *exchange) holdsBack() bool { return s.server != nil && !s.away && !s.loop.Licensed() }

// countExecuted counts a request that executes something.
func (s *exchange) countExecuted(kind wire.Kind) {
	switch kind {
	case wire.Query, wire.Execute, wire.FunctionCall:
		s.executed++
	}
}

// mayBeOpen says that the server may be in a transaction, which may be one without a BEGIN that
// only waits for its Sync.
func (s *exchange) mayBeOpen() bool { return s.status != wire.Idle || s.expect.InExtended() }

// Database is the name of the database that the client is connected to.
func (i *identity) Database() string { return i.who.Target.Database }
