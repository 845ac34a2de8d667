// Package status is the state of the whole of pgherd at one moment, as plain values.
// Whatever shows it (SHOW, and later PCP, metrics and a page) formats them.
package status

import (
	"time"

	"pgherd/proxy/config"
	"pgherd/proxy/events"
	"pgherd/proxy/metrics"
	"pgherd/proxy/nodes"
)

// State is pgherd at one moment: plain values.
type State struct {
	Version  string // of pgherd
	Now      time.Time
	Started  time.Time
	PID      int
	Config   *config.Config // in force
	Nodes    *nodes.View
	Workers  []Worker
	Clients  []Client
	Servers  []Server
	Features []Feature
	Pools    []Pool
	Sent     []metrics.Statements // by a node's index
	Events   []events.Event       // the oldest first
	Network  *Network             // only where it is asked for, because it costs; nil: or nothing is known
	Recovery *Recovery            // that runs, or the last one; nil: there was none
	Patroni  []Patroni            // empty unless Patroni decides
	Watchdog *Watchdog            // nil: this pgherd is alone
	// DelayByTime says that delay_threshold_by_time applies to standbys.
	DelayByTime bool
	// Memory is how many bytes are kept for all clients. A limit of 0 means none.
	Memory                         int64
	MemoryLimit, ClientMemoryLimit int
}

// Watchdog is several pgherds, as this one sees them.
type Watchdog struct {
	Self      int
	Leader    int // negative: none is known
	Term      uint64
	Licence   time.Duration // what is left of it; 0: there is none
	Peers     []Peer
	Addresses []Address
	Enforced  *Feature // whether and how the kernel enforces who may answer; nil: there is no virtual address
}

// Peer is one of several pgherds.
type Peer struct {
	Number int
	Name   string        // its host and port
	Heard  time.Duration // how long ago; negative: never
}

// Address is a virtual address.
type Address struct {
	Name        string
	Left        time.Duration // for which this pgherd may answer; 0: it may not
	Promised    int           // the peer to which this one has promised it; negative: nobody
	PromisedFor time.Duration // 0: it has promised it to nobody
}

// Patroni is what the Patroni of a node says.
type Patroni struct {
	Node     int
	URL      string
	Why      string    // it does not answer; "": it does
	Since    time.Time // since when it answers, or does not
	Last     time.Time // when it was asked for its last answer; zero: there was none
	Leader   string    // by its word now; "": nobody
	Paused   bool
	Member   string // the node by its word now
	Role     string
	State    string
	Timeline int // 0: not told
	Lag      string
}

// Recovery is an online recovery.
type Recovery struct {
	Node       int
	By         string
	Step       string
	Percent    int // of the copy; -1: not known
	Began      time.Time
	Ended      time.Time // zero: it runs
	FailedStep string
	Why        string // it failed
}

// Network is the TCP connections of pgherd, as the kernel sees them.
type Network struct {
	Nodes   []Connections // one for each node, by its index
	Clients []Connections // one for each address, the most traffic first
}

// Connections are those with one side, since the start.
type Connections struct {
	Node                  int // -1: a client
	Host                  string
	Port                  int
	Live, Opened, Closed  uint64
	Failed                uint64 // could not be opened
	Aborted               uint64 // of those closed: without a goodbye
	Received, Sent        uint64 // bytes
	RTT                   time.Duration
	Retransmits, Timeouts uint64
}

// Worker is one of the threads of the data plane.
type Worker struct {
	Index   int
	Thread  int    // number of the thread, as in ps -L
	Logins  uint64 // clients it has had
	Clients int    // clients it has now
	Servers int    // servers it has now
}

// Client is an application's connection.
type Client struct {
	PID         uint32 // the number by which it can be canceled
	Worker      int
	User        string
	Database    string
	Application string
	Host, Port  string
	TLS         string
	State       string
	Since       time.Time // of State
	LoggedIn    time.Time
	Waited      time.Duration // how long it has waited for servers, in all
	Server      *Server       // the server that it holds, or nil
	Mode        string        // pool mode
	Pinned      string        // why it keeps its server between transactions; "": it does not
	Memory      int           // bytes that are kept for it
	ReadNode    int           // the node to which its reads go; -1: none is chosen yet
}

// Server is a connection to PostgreSQL.
type Server struct {
	Worker   int
	Node     int
	User     string
	Database string
	PID      uint32
	Opened   time.Time
	Idle     time.Time // since when; zero: in use
	Uses     uint64
	Client   *Client // the client that holds it, or nil
}

// Feature is something of the kernel that makes pgherd faster.
type Feature struct {
	Name       string
	Used       bool
	Reason     string
	MinVersion string
}

// Pool is the servers of a database and a user on a node.
type Pool struct {
	Node           int
	Database, User string
	ClientsWaiting int
	ServersActive  int
	ServersIdle    int
	Paused         bool
	Pins           uint64            // how often a client began to keep its server between transactions
	Waits          metrics.Histogram // for how long clients have waited for a server
}

// ReadNode is the node from which the client that asks reads; -1: none.
func (s *State) ReadNode(asker uint32) int {
	for i := range s.Clients {
		if s.Clients[i].PID == asker {
			return s.Clients[i].ReadNode
		}
	}
	return -1
}

// Sessions counts the clients that use a node.
func (s *State) Sessions(node int) (n int) {
	for i := range s.Clients {
		if c := &s.Clients[i]; c.ReadNode == node || c.Server != nil && c.Server.Node == node {
			n++
		}
	}
	return n
}

// SentTo is what a node was sent.
func (s *State) SentTo(node int) metrics.Statements {
	if node >= len(s.Sent) {
		return metrics.Statements{}
	}
	return s.Sent[node]
}

// Worker is the worker with that index; it has no thread if there is none.
func (s *State) Worker(index int) Worker {
	for _, w := range s.Workers {
		if w.Index == index {
			return w
		}
	}
	return Worker{}
}
