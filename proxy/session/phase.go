package session

import (
	"time"

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
	Closing                    // for the end: nothing follows
)

func (s State) String() string {
	return [...]string{"idle", "wait_server", "active", "in_transaction", "closing"}[s]
}

// phase is what a session waits for, and since when. Only enter changes it.
type phase struct {
	state  State
	since  time.Time     // when the state began
	waited time.Duration // in all, for servers
}

// enter is the one place where the state changes.
func (s *exchange) enter(state State) {
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

// settle enters the state for what the session waits for now.
func (s *exchange) settle() {
	switch {
	case !s.expect.Empty():
		s.enter(Active)
	case s.status != wire.Idle:
		s.enter(InTransaction)
	default:
		s.enter(Idle)
	}
}
