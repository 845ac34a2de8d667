package session

import (
	"crypto/subtle"

	"pgherd/proxy/pool"
)

// signals are cancels for a session's client, and signals between clients.
type signals struct {
	wish     wish   // a cancel that was not sent yet
	cancels  int    // cancels on their way to its server (I10)
	target   target // of the signal at hand, if that is a client
	summoned bool   // a signal is for this session's client
}

// wish is the client's wish to stop what it asked for, while that is still on its
// way to a server. It is for what the client had sent by then, and never for what
// comes later (I10).
type wish struct {
	alive bool
	upTo  uint64 // how many bytes the client had sent
}

// Cancel is the client's wish to stop what it asked for. The worker has received
// what the client had sent by then; the session looks at it when it runs again.
// Not heard: the key is wrong, or there is nothing that could be canceled.
func (s *relaying) Cancel(key []byte) (heard bool) {
	if subtle.ConstantTimeCompare(key, s.key) != 1 || s.state == Closing || s.cancels >= cancelLimit {
		return false // what runs at the end is pgherd's own reset, if anything
	}
	s.wish = wish{alive: true, upTo: s.requests.gather()}
	return true
}

// Wishes says that a cancel was neither sent nor has become pointless.
func (g *signals) Wishes() bool { return g.wish.alive }

// CancelDone: PostgreSQL has answered a cancel, or err. Then the cancel may
// still strike, and the server is never reused (I10).
func (s *relaying) CancelDone(err error) {
	s.cancels--
	s.expect.Uncertain = s.expect.Uncertain || err != nil
}

// strike sends the client's cancel if the server does what it is for, and drops it
// if all that it is for is answered. The session is about to wait, so whatever can be
// sent to the server has been.
func (s *relaying) strike() (struck bool) {
	switch {
	case !s.wish.alive:
		return false
	case s.server != nil && s.expect.Runs():
		s.sendCancel(s.server)
	case s.toCome():
		return false
	}
	s.wish.alive = false
	return true
}

func (s *relaying) sendCancel(server *pool.Server) {
	s.cancels++
	s.loop.Cancel(server)
}

// toCome says that something that the cancel is for was not given to a server yet,
// or stands behind something of pgherd's own.
func (s *relaying) toCome() bool {
	return s.expect.OwedToClient() > 0 || s.retry.due || s.meant() || s.requests.position() < s.wish.upTo
}

// meant says that the cancel is for the request at hand.
func (s *relaying) meant() bool { return s.handling && s.came < s.wish.upTo }

// struck says that the request at hand, which waits for a server, is canceled.
func (s *relaying) struck() bool {
	if !s.wish.alive || !s.meant() {
		return false
	}
	s.wish.alive = false
	return true
}

// spared holds back a request that came after a cancel, until that can no longer
// strike it.
func (s *relaying) spared() error {
	deadline := s.loop.Now().Add(cancelHold)
	s.recheck = sooner(s.recheck, deadline)
	return s.relayUntil(func() bool {
		return s.came < s.wish.upTo || !s.wish.alive && s.cancels == 0 || over(deadline, s.loop.Now())
	})
}

// target is what a signal to a client, by the number that it was told, really goes to:
// the server that the client has, and holds until the signal is sent (I10). PostgreSQL
// says whether it may be sent, and answers.
type target struct {
	number  uint32 // of the client
	node    int
	pid     uint32 // 0: there is no signal to a client at hand
	ends    bool   // the signal ends the server, unless it is refused
	release func(ends bool)
	each    map[uint32]uint32 // of several clients the processes; 0: it is not reached
}

// Target is a client's server, held for a signal until Release; if the signal ends
// it, until it has ended.
type Target struct {
	Node    int
	PID     uint32
	Release func(ends bool)
}
