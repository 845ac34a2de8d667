// Package session is the data path: one client's life on a worker, from login
// to goodbye, as straight-line code on a coroutine. It reads like blocking
// code, and what it waits for is its Loop's business.
//
// Start at Run: it greets the client, serves it until it leaves, tears down.
// A request goes through request.go (a message, or a piece of one) and the table of
// steps.go: analyze.go (what will it do to the session, by package effect; redo.go and
// definitions.go: if others change what it means), place.go (on which node: decide.go
// says where it may go, fresh.go which standby will do, begin.go holds BEGIN back, move.go
// leaves a standby), checkout.go (a server for it) and restore.go (in the
// session's state), admit.go (that is still good for its log-in), vacate.go (what has
// to be out of the way of DROP DATABASE), prepare.go (by what name the server knows its statement),
// relay.go (both directions at once, by the list of package expect), release.go
// (what becomes of the server), package track and question.go (what the session
// has left on it), memory.go (what it has pgherd keep).
package session

import (
	"errors"
	"fmt"
	"io"
	"time"

	"pgherd/proxy/command"
	"pgherd/proxy/expect"
	"pgherd/proxy/pool"
	"pgherd/proxy/querylog"
	"pgherd/proxy/track"
	"pgherd/proxy/wire"
)

// State is what a session waits for. The same words stand in SHOW
// POOL_CLIENTS, in logs and in metrics.
type State uint8

const (
	Idle          State = iota // for the client's next request
	WaitServer                 // for a server
	Active                     // for replies
	InTransaction              // for the client, inside a transaction
	Closing                    // to be done
)

func (s State) String() string {
	return [...]string{"idle", "wait_server", "active", "in_transaction", "closing"}[s]
}

// Session is one client's life. Run is the coroutine; every other exported
// method is called by the worker between two of its resumptions.
type Session struct {
	loop     Loop
	set      *Settings
	reloaded *Settings // to be taken up before the next request; nil: there are none
	identity

	// From log-in to goodbye.
	front
	values   map[string]string // of parameters, that the client has set for itself; set has them
	prepared command.Prepared  // pgherd's own commands, prepared and bound
	holdings
	tracker track.Tracker // what it has changed on servers
	knowledge
	memory   memory
	executed uint64 // Queries, Executes and FunctionCalls so far
	placing
	admitted
	vacating
	signals
	phase
	ending

	// While one server is held, one transaction is open, one request is handled.
	checkout
	transaction
	request
	retry retry
	owed
	timeouts pool.Timeouts // PostgreSQL's, after the log-in
	inquiry
}

// front is the client's side: what it sends, and what it was told.
type front struct {
	client   wire.Endpoint
	requests stream
	pieces
	told    []wire.Param     // what it believes of ParameterStatus
	journal querylog.Journal // of its messages, while something is told of them
}

// owed is what the server still owes. The list's memory outlives the server.
type owed struct {
	expect      expect.List
	disposition expect.Disposition // of the reply that is arriving
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

// phase is what a session waits for, and since when. enter changes it.
type phase struct {
	state  State
	since  time.Time     // when the state began
	waited time.Duration // for servers, in all
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

// New makes the session of a client that has logged in. key is the cancel key
// by which, with pid, its client may cancel.
func New(loop Loop, set *Settings, who Client, client wire.Endpoint, pid uint32, key []byte) *Session {
	s := &Session{
		loop: loop, set: set,
		front: front{client: client, requests: stream{from: client, cut: wire.CutRequests()}},
		identity: identity{who: who, mode: modeOf(set, &who.Target), pool: who.Target.On(-1), pid: pid, key: key,
			temporary: inTemporary(who.Target.Params)},
		memory: memory{all: set.Memory},
		phase:  phase{since: loop.Now()},
	}
	s.transaction.enter(wire.Idle)
	s.follows = (s.mode != pool.Session || set.Routing != nil) && !who.Target.Replication
	if s.follows {
		s.journal.Text = s.textOf
	}
	s.chance, s.ratio, s.reads = loop.Chance(), loop.Chance(), -1
	if s.follows && set.Catalogs != nil {
		s.entry = set.Catalogs.Entry(who.Target.Database)
	}
	s.watch()
	return s
}

// modeOf is the client's mode. A replication server serves one client only.
func modeOf(set *Settings, target *pool.Target) pool.Mode {
	if target.Replication {
		return pool.Session
	}
	return set.Modes.Of(target.Database, target.User)
}

// errLeft ends a session whose client has left or cannot be reached.
var errLeft = errors.New("serve client: it has left")

// Left says that a session has ended because its client has, and not for anything that went wrong.
func Left(why error) bool { return errors.Is(why, errLeft) }

// Run is the session's life. It returns once everything is given back.
func (s *Session) Run() (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("serve client: panic: %v", p)
			s.abandon()
		}
	}()
	err = s.live()
	s.close(err)
	return err
}

// live is greet and serve; a panic in it is the client's loss, not the worker's.
func (s *Session) live() (err error) {
	defer func() {
		if p := recover(); p != nil {
			s.expect.Uncertain = true
			err = &wire.Fault{Severity: "FATAL", Code: "XX000", Message: fmt.Sprint("internal error: ", p)}
		}
	}()
	if err := s.greet(); err != nil {
		return err
	}
	return s.serve()
}

// serve relays until the client leaves or something breaks.
func (s *Session) serve() error {
	for {
		moved, err := s.relay()
		if err != nil {
			return err
		}
		if moved {
			continue
		}
		if s.summoned && s.server == nil {
			if err := s.appear(); err != nil {
				return err
			}
			continue
		}
		held := s.crowded()
		if s.part() || held && !s.crowded() { // by the server it has parted with
			continue
		}
		if err := s.rest(); err != nil {
			return err
		}
	}
}

// enter is the one place where the state changes.
func (s *Session) enter(state State) {
	if s.state == Closing && state != Closing {
		panic("session: nothing follows closing")
	}
	if s.state == state {
		return
	}
	if s.state == WaitServer {
		s.waited += s.loop.Now().Sub(s.since)
	}
	s.overdue = s.overdue && state == Active
	s.state, s.since = state, s.loop.Now()
}

// close is the one teardown: tell the client why, give back the server, let
// the client read its last bytes.
func (s *Session) close(why error) {
	s.enter(Closing)
	if s.evicted != nil {
		why = s.evicted
	}
	if why != ErrStopped {
		s.farewell(why)
		s.finish()
		s.flush()
	}
	s.abandon()
}

// farewell sends the reason why the session ends, unless the client left itself,
// knows already, or has got half of a reply, after which nothing can be said.
func (s *Session) farewell(why error) {
	if why == errLeft || s.fatal || s.torn {
		return
	}
	fault, ok := errors.AsType[*wire.Fault](why)
	if !ok {
		fault = &wire.Fault{Code: "XX000", Message: why.Error()}
	}
	last := *fault
	last.Severity = "FATAL"
	s.client.Write(wire.AppendError(nil, &last))
}

// flush waits until the client has got what is queued for it, for a while.
func (s *Session) flush() {
	deadline := s.loop.Now().Add(goodbye)
	s.client.TellSends()
	for s.client.Queued() > 0 && !s.gone() && s.loop.Now().Before(deadline) {
		if s.loop.Wait(deadline) != nil {
			return
		}
		s.discardInput()
	}
}

// gone says that nothing can be sent to the client any more.
func (s *Session) gone() bool {
	ended := s.client.Ended()
	return ended != nil && ended != io.EOF
}

// discardInput reads what the client still sends, so that closing does not
// reset the connection and with it our last words.
func (s *Session) discardInput() {
	s.requests.drop()
	for chunk := s.client.Take(); chunk != nil; chunk = s.client.Take() {
		chunk.Release()
	}
}

// abandon closes and gives back, at once, whatever is still held.
func (s *Session) abandon() {
	s.loop.Withdraw()
	s.missTarget()
	s.letOthers()
	if s.lost != nil {
		s.lost()
	}
	if s.server != nil {
		s.release(pool.Discard)
	}
	if s.parked != nil {
		s.loop.Discard(s.parked)
		s.parked = nil
	}
	s.requests.drop()
	s.unclaim(0)
	s.client.Close()
}
