// Package session is the data path. It has one client's life on a worker, from log-in to
// goodbye, as straight-line code on a coroutine. The code reads like blocking code; the
// Loop does the waiting.
//
// Start at Run, which greets the client, serves it until it leaves and closes the session.
// A query passes through six files, in this order, with serve.go around them (it reads what
// has come from either side):
//
//	steps.go     the table of steps that a request passes through
//	analyze.go   what it will do to the session
//	place.go     on which node it runs
//	checkout.go  a server of that node, in the session's state
//	relay.go     its replies, by the list of package expect
//	release.go   what becomes of the server
//
// The session stands on layers, each a type that embeds the one below it, so that the
// compiler keeps a layer from naming what stands above it. A file belongs to one layer.
//
//	Session      steps, pgherd's own commands, the client's life
//	placement    on which node a request runs
//	signaling    signals from one client to another
//	serving      a server comes and goes
//	relaying     replies, waits, cancels, pgherd's own questions
//	analysis     what a statement does, by its text and by the catalog
//	clientState  what the client has built up: prepared statements, settings
//	exchange     both connections, and what is owed between them
package session

import (
	"fmt"

	"pgherd/proxy/pool"
	"pgherd/proxy/wire"
)

// Session is one client's life. Run is the coroutine; every other exported
// method is called by the worker between two of its resumptions.
type Session struct {
	placement
	values   map[string]string // pgherd's parameters that the client has set for itself; set includes them
	reloaded *Settings         // new settings, which the next request takes up; nil if there are none
}

// New makes the session of a client that has logged in. pid and key together are the cancel
// key that the client is given.
func New(loop Loop, set *Settings, who Client, client wire.Endpoint, pid uint32, key []byte) *Session {
	s := &Session{}
	s.loop, s.set, s.since, s.memory.all = loop, set, loop.Now(), set.Memory
	s.front = front{client: client, requests: stream{from: client, cut: wire.CutRequests()}}
	s.identity = identity{who: who, mode: modeOf(set, &who.Target), pool: who.Target.On(-1), pid: pid, key: key,
		temporary: inTemporary(who.Target.Params)}
	s.transaction.enter(wire.Idle)
	s.follows = (s.mode != pool.Session || set.Routing != nil || set.FailoverWait > 0) && !who.Target.Replication
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

// modeOf is the client's pool mode. A replication connection is always in session mode,
// because its server serves one client only.
func modeOf(set *Settings, target *pool.Target) pool.Mode {
	if target.Replication {
		return pool.Session
	}
	return set.Modes.Of(target.Database, target.User)
}

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

// live greets the client and serves it. A panic in it ends this session with an error and
// leaves the worker running.
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
			if err := s.outlive(s.appear()); err != nil {
				return err
			}
			continue
		}
		held := s.crowded()
		waited := s.part()
		if waited || held && !s.crowded() { // the server that is gone may have been what crowded it
			continue
		}
		if err := s.rest(); err != nil {
			return err
		}
	}
}

// close is the one teardown. It tells the client why the session ends, gives back the
// server and lets the client read its last bytes.
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

// abandon closes or gives back, at once, whatever the session still holds.
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
	s.memory.unclaim(0)
	s.client.Close()
}
