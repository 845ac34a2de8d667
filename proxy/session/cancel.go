package session

import (
	"crypto/subtle"

	"pgherd/proxy/pool"
)

// signals are what a session knows of its client's cancels, and of signals between clients.
type signals struct {
	wish     wish   // a cancel of the client's that was not sent yet
	cancels  int    // how many cancels are on their way to the server (I10)
	target   target // what the signal at hand is for, if that is a client
	summoned bool   // another client sends this session's client a signal
}

// wish is a cancel that waits until the server does what it is meant to stop. It is meant for
// what the client had sent by then, and never strikes what the client sends later (I10).
type wish struct {
	alive bool
	upTo  uint64 // how many bytes the client had sent
}

// Cancel notes that the client wants to cancel what it has asked for. The worker has received
// what the client had sent by then; the session acts on the cancel when it runs again. heard
// is false if the key is wrong, or nothing can be canceled.
func (s *relaying) Cancel(key []byte) (heard bool) {
	if subtle.ConstantTimeCompare(key, s.key) != 1 || s.state == Closing || s.cancels >= cancelLimit {
		return false // a session that is closing runs nothing but pgherd's reset
	}
	s.wish = wish{alive: true, upTo: s.requests.gather()}
	return true
}

// Wishes says that a cancel of the client's has neither been sent nor become pointless.
func (g *signals) Wishes() bool { return g.wish.alive }

// CancelDone notes that PostgreSQL has answered a cancel, or that there was an error instead.
// After an error the cancel may still strike, so that the server is never reused (I10).
// One for a server that the session has parted with means nothing any more.
func (s *relaying) CancelDone(server *pool.Server, err error) {
	if server != s.server || s.cancels == 0 {
		return
	}
	s.cancels--
	s.expect.Uncertain = s.expect.Uncertain || err != nil
}

// strike sends the client's cancel if the server does what the cancel is meant for, and drops
// it if all of that is answered. It is called when the session is about to wait and has sent
// all that it can send.
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

// sendCancel sends a cancel to a server, which the session then holds until CancelDone (I10).
func (s *relaying) sendCancel(server *pool.Server) {
	s.cancels++
	s.loop.Cancel(server, s.sent)
}

// toCome says that something that the cancel is meant for was not sent to a server yet, or
// waits there behind a request of pgherd's own.
func (s *relaying) toCome() bool {
	return s.expect.OwedToClient() > 0 || s.retry.due || s.meant() || s.requests.position() < s.wish.upTo
}

// meant says that the cancel is meant for the request at hand.
func (s *relaying) meant() bool { return s.handling && s.came < s.wish.upTo }

// struck says that the request at hand, which waits for a server, is canceled. The cancel is
// then done with.
func (s *relaying) struck() bool {
	if !s.wish.alive || !s.meant() {
		return false
	}
	s.wish.alive = false
	return true
}

// spared holds back a request that came after a cancel until the cancel can no longer strike
// it (I10).
func (s *relaying) spared() error {
	deadline := s.loop.Now().Add(cancelHold)
	s.recheck = sooner(s.recheck, deadline)
	return s.relayUntil(func() bool {
		return s.came < s.wish.upTo || !s.wish.alive && s.cancels == 0 || over(deadline, s.loop.Now())
	})
}

// target is what a signal to a client really goes to, which is the server that the client
// has, and holds until the signal is sent (I10). PostgreSQL decides whether the signal may be
// sent, and answers the request.
type target struct {
	number  uint32 // by which the client is known
	node    int
	pid     uint32 // of the server's process; 0 if there is no signal to a client at hand
	ends    bool   // the signal ends the server, unless PostgreSQL refuses it
	release func(ends bool)
	each    map[uint32]uint32 // the processes of several clients, by the clients' numbers; 0 for one that is not reached
}

// Target is a client's server that is held for a signal until Release. If the signal ends
// the server, it is held until it has ended.
type Target struct {
	Node    int
	PID     uint32
	Release func(ends bool)
}
