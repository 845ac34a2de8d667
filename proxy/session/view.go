package session

import (
	"cmp"
	"time"

	"pgherd/proxy/pool"
	"pgherd/proxy/wire"
)

// View is what SHOW tells of a session, as plain values.
type View struct {
	Client
	PID    uint32
	State  State
	Since  time.Time     // when State began
	Waited time.Duration // in all, for servers
	Server *ServerView
	Mode   pool.Mode
	Reads  int    // the node that its reads went to last; -1 if there was no read yet
	Pinned string // why it keeps its server between transactions; "" if it does not
	Memory int    // bytes that are kept for the client
	// Statements is how many were executed for the client, or answered by pgherd.
	Statements uint64
}

// ServerView is what SHOW tells of a server, as plain values.
type ServerView struct {
	Key    pool.Key
	PID    uint32
	Opened time.Time
	Idle   time.Time
	Uses   uint64
}

// ViewServer copies what SHOW tells of a server.
func ViewServer(s *pool.Server) *ServerView {
	return &ServerView{Key: s.Key, PID: s.PID, Opened: s.Opened, Idle: s.Idle, Uses: s.Uses}
}

// View copies what SHOW tells of the session.
func (s *Session) View() View {
	v := View{Client: s.who, PID: s.pid, State: s.state, Since: s.since, Waited: s.waited,
		Mode: s.mode, Pinned: s.tracker.Pinned(), Reads: s.reads, Memory: s.weight(), Statements: s.executed}
	v.Secret = nil
	if server := cmp.Or(s.server, s.parked); server != nil {
		v.Server = ViewServer(server)
	}
	return v
}

// Configure replaces the settings from the next request on. The request at hand keeps the
// settings that it began with, wherever it waits now.
func (s *Session) Configure(set *Settings) { s.reloaded = set }

// reload takes up the settings that Configure has left, and keeps what the session has set
// for itself. It is called between two requests. If the new settings end routing, they wait
// while the session is on a standby or holds a BEGIN back.
func (s *Session) reload() {
	set := s.reloaded
	if set == nil || set.Routing == nil && (s.away || s.begun != nil) {
		return
	}
	s.set, s.reloaded, s.judged = set, nil, judged{}
	if len(s.values) > 0 {
		_ = s.override(s.values) // it cannot fail: these values were accepted before
	}
}

// Server is the one that the session holds; nil: it holds none. Parked is its own, while it
// holds a standby's.
func (s *Session) Server() *pool.Server { return s.server }
func (s *Session) Parked() *pool.Server { return s.parked }

// BusyOn says that the session has a transaction, or a request, on a server of that node.
func (s *Session) BusyOn(node int) bool {
	return s.server != nil && s.server.Key.Node == node && (s.state == Active || s.state == InTransaction)
}

// Retire lets the servers that the session holds be closed when it gives them back.
func (s *Session) Retire(now time.Time) {
	for _, server := range []*pool.Server{s.server, s.parked} {
		if server != nil {
			server.Retire(now)
		}
	}
}

// Evict ends the session with this error as soon as it runs again.
func (e *ending) Evict(why *wire.Fault) { e.evicted = why }
