// Package pool decides which client gets which server connection: who may open one, who
// waits and in which order, and what becomes of one that is given back. It does no I/O
// and knows no threads. An Allocator, owned by one worker, keeps the counts and the
// queue; an IdleList, owned by each worker, keeps its idle servers.
package pool

import (
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"pgherd/proxy/wire"
)

// Server is one connection to PostgreSQL, logged in. It has exactly one owner at any
// time (I1): a session, an IdleList, or a message between workers.
type Server struct {
	Key       Key
	Epoch     uint64 // of the decision about who is primary, in which it was opened
	Endpoint  wire.Endpoint
	PID       uint32       // the process that serves it
	CancelKey []byte       // I9: never shown
	Params    []wire.Param // the parameters that ParameterStatus has told, kept current
	Opened    time.Time
	Expires   time.Time // the end of its life time; zero: none
	Idle      time.Time // since when it is in the list of idle servers
	Uses      uint64    // how many sessions have had it
	Lent      time.Time // when the present session got it
	// Used says that the server may hold a session's state since it was last reset.
	Used     bool
	Prepared Prepared // protocol-level statements, for any session
	Drawn    bool     // a session may have drawn from sequences on it
	Settings Settings // those in force, beyond those of its log-in
	Timeouts Timeouts // as they were after its log-in
	Clients  Clients  // whose notifications it sends
	// Closed is called once it has ended; nil: nobody needs to know.
	Closed func()

	Admission *Admission // the state under which it logged in; nil: nobody has asked
	Loaded    string     // when it read the node's configuration, as it said last
}

// Unused is why nobody gets a server of a node: the node is not used any more.
type Unused struct{ Node int }

func (u Unused) Error() string {
	return fmt.Sprintf("get server: node %d is not used any more", u.Node)
}

// SetParam notes a ParameterStatus.
func (s *Server) SetParam(name, value string) { s.Params = WithParam(s.Params, name, value) }

// SameParams compares two lists quickly: true means that they are one and the same,
// false means nothing.
func SameParams(a, b []wire.Param) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
}

// Param is the value of a parameter, "" if it is not in the list.
func Param(params []wire.Param, name string) string {
	for i := range params {
		if params[i].Name == name {
			return params[i].Value
		}
	}
	return ""
}

// WithParam is a list in which the parameter has the value. The list given may
// be shared and is not changed.
func WithParam(params []wire.Param, name, value string) []wire.Param {
	changed := slices.Clone(params)
	for i := range changed {
		if changed[i].Name == name {
			changed[i].Value = value
			return changed
		}
	}
	return append(changed, wire.Param{Name: name, Value: value})
}

// Clients are the numbers of the clients that have had a server; 0 stands for none. The
// server's owner writes them, any thread may read them.
type Clients struct{ now, before, notified atomic.Uint32 }

// Lent notes that a client has the server now.
func (c *Clients) Lent(number uint32) {
	if last := c.now.Load(); last != number {
		c.before.Store(last)
		c.now.Store(number)
	}
}

// Renamed notes that the client which has the server is known by another number.
func (c *Clients) Renamed(number uint32) { c.now.Store(number) }

// Notifies notes that the client which has the server runs a NOTIFY.
func (c *Clients) Notifies() { c.notified.Store(c.now.Load()) }

// Notified is the client whose notification has just come from the server. The client
// may have left the server meanwhile. A NOTIFY that no statement shows, as in a
// trigger, is attributed to the present client.
func (c *Clients) Notified() (number uint32) {
	now := c.now.Load()
	if last := c.notified.Load(); last != 0 && (last == now || last == c.before.Load()) {
		return last
	}
	return now
}
