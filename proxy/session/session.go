// Package session is the data path: one client's life on a worker, from login
// to goodbye, as straight-line code on a coroutine. It reads like blocking
// code, and what it waits for is its Loop's business.
//
// Start at Run: it greets the client, serves it until it leaves, tears down.
// A request goes through request.go (a message, or a piece of one) and the table of steps.go: analyze.go (what will it do to
// the session, by package effect; redo.go and definitions.go: if others change what it means), place.go (on which node: decide.go says where it may
// go, fresh.go which standby will do, begin.go holds BEGIN back, move.go
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

	"pgherd/proxy/catalog"
	"pgherd/proxy/command"
	"pgherd/proxy/effect"
	"pgherd/proxy/expect"
	"pgherd/proxy/pool"
	"pgherd/proxy/query"
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
	mode     pool.Mode
	// follows: what the client does to its session is looked at, so that it can
	// follow it from server to server.
	follows bool
	watches bool // it is not, but for what would outlast the session
	spoils  bool // which it may have done: the server is closed in the end
	who     Client
	pool    pool.Key // its target's, of no node yet
	pid     uint32   // the number by which the client may cancel
	key     []byte   // and its secret (I9)

	client      wire.Endpoint
	requests    stream
	told        []wire.Param          // what the client believes of ParameterStatus
	prepared    command.Prepared      // pgherd's own commands, prepared and bound
	values      map[string]string     // of parameters, that it has set for itself; set has them
	statements  map[string]*statement // the client's prepared statements
	unnamed     *statement            // nil if there is none
	tracker     track.Tracker         // what it has changed on servers
	redo        redo                  // what may have to be judged once more
	definitions definitions           // those of the open transaction
	entry       *catalog.Entry        // of its database; nil: none is needed
	temporary   bool                  // by its log-in, what it makes may be temporary; see inTemporary
	syntax      query.Syntax          // in which the client's SQL is read now
	judged      judged
	retry       retry
	memory      memory
	journal     querylog.Journal // of its client's messages, while something is told of them
	placing
	admitted
	vacating
	scratch  []byte // to build a short message in
	plain    bool   // the server has the client's statements by the client's own names
	round    uint64 // Syncs and Queries so far
	executed uint64 // Queries, Executes and FunctionCalls so far
	private  uint64 // statements so far that cannot be shared
	refusing bool   // a request failed here; skip to the next Sync
	dropping bool   // the request that arrives in pieces is not for the server
	passing  bool   // its first piece was sent on in other words, the others are to follow

	checkout
	transaction
	request
	expect      expect.List
	asking      *question          // of pgherd's own, not wholly answered; nil: none
	recheck     time.Time          // when to look again whether the catalog is known
	lost        func()             // has another session ask for the catalog, if this one ends before it is known
	unread      func()             // reads an answer, and may burn CPU; nil: none is there
	overdue     bool               // its query was canceled because it took too long
	disposition expect.Disposition // the reply that is arriving
	torn        bool               // the client has got the beginning of a reply, not its end
	fatal       bool               // the server has said why it ends, and the client was told

	state     State
	since     time.Time     // when the state began
	waited    time.Duration // for servers, in all
	leaving   bool          // the client has left; what it had asked for goes on
	evicted   *wire.Fault   // why the worker wants it gone
	violation *wire.Fault   // what the client sent that is not the protocol
	timeouts  pool.Timeouts // PostgreSQL's, after the log-in
	target    target        // of the signal at hand, if that is a client
	summoned  bool          // a signal is for this session's client
	wish      wish          // a cancel that was not sent yet
	cancels   int           // cancels on their way to its server (I10)
}

// judged is the script that was last judged, by what, and the outcome.
type judged struct {
	script *query.Script
	known  *catalog.Snapshot
	// lasting, as judge has it.
	lasting bool
	effect  effect.Effect
}

// New makes the session of a client that has logged in. key is the cancel key
// by which, with pid, its client may cancel.
func New(loop Loop, set *Settings, who Client, client wire.Endpoint, pid uint32, key []byte) *Session {
	s := &Session{
		loop: loop, set: set, who: who, pool: who.Target.On(-1), pid: pid, key: key, client: client,
		mode:     modeOf(set, &who.Target),
		memory:   memory{all: set.Memory},
		requests: stream{from: client, cut: wire.CutRequests()},
		since:    loop.Now(), temporary: inTemporary(who.Target.Params),
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
