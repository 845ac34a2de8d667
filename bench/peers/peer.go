// Package peers knows how to run pgherd and what a user would pick instead, all
// in front of the same PostgreSQL and with alike settings.
//
// Contract: a Peer is a recipe; Start runs it, on a port the kernel chose, and
// returns once a client can log in through it. Stop ends it and all it has
// started, and so does our death. Pool size, log-in (SCRAM), TLS and logging (of
// no connections) are the same for all; what a peer cannot do is said in notes.
package peers

import (
	"context"
	"errors"
	"fmt"
	"time"

	"pgherd/bench/herd"
	"pgherd/bench/load"
)

const (
	// PoolSize is how many servers each pooler may have: no workload but the crowd has more busy clients.
	PoolSize = 64
	// MaxClients is more than any workload has.
	MaxClients = 6000

	readyLimit = 30 * time.Second // from a peer's first connection to its first log-in
	readyEvery = 50 * time.Millisecond
)

// Mode is what a workload asks of whoever stands in the middle.
type Mode struct {
	TLS      bool // on both legs
	Prepared bool // clients prepare statements and use them in later transactions
	Crowd    bool // more clients than servers
	Answers  bool // of a size where receiving in large pieces might do harm
}

// Peer is one way to reach PostgreSQL.
type Peer struct {
	Name    string
	Version string
	Notes   []string // in which way it differs from the others

	only   func(mode Mode) bool   // in which workloads it is of interest; nil: in all
	cannot func(mode Mode) string // why it takes no part; empty if it does
	start  func(ctx context.Context, place Place) (running, error)
}

// Place is where a peer is started.
type Place struct {
	Node  herd.Node
	Certs herd.Certs
	Log   string // the node's
	Mode  Mode
}

// running is something with an address and, unless nothing is there, a process.
type running struct {
	host string
	port int
	pid  int
	stop func() error
	log  func() string
}

// Started is a peer that clients can log in through.
type Started struct {
	Target load.Target
	PID    int // 0 if there is no process between client and PostgreSQL
	stop   func() error
}

// Concerned says whether this peer is of interest in such a workload.
func (p *Peer) Concerned(mode Mode) bool { return p.only == nil || p.only(mode) }

// Cannot says why this peer takes no part in such a workload; empty if it does.
func (p *Peer) Cannot(mode Mode) string {
	if p.cannot == nil {
		return ""
	}
	return p.cannot(mode)
}

// Start returns once a client has logged in; after an error nothing is left behind.
func (p *Peer) Start(ctx context.Context, place Place) (*Started, error) {
	r, err := p.start(ctx, place)
	if err != nil {
		return nil, err
	}
	s := &Started{PID: r.pid, stop: r.stop, Target: load.Target{
		Host: r.host, Port: r.port, User: herd.User, Database: herd.Database, TLS: place.Mode.TLS}}
	if err := waitReady(ctx, s.Target); err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w; %s", p.Name, err, r.log()), r.stop())
	}
	return s, nil
}

// Stop ends it.
func (s *Started) Stop() error { return s.stop() }

// waitReady waits until clients can log in, because a proxy may accept connections
// before it knows its nodes.
func waitReady(ctx context.Context, target load.Target) error {
	ctx, cancel := context.WithTimeout(ctx, readyLimit)
	defer cancel()
	for {
		err := tryOnce(ctx, target)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("not ready within %v: %w", readyLimit, err)
		case <-time.After(readyEvery):
		}
	}
}

func tryOnce(ctx context.Context, target load.Target) error {
	conn, err := load.Dial(ctx, target)
	if err != nil {
		return err
	}
	if _, err := conn.Drain("SELECT 1"); err != nil {
		return errors.Join(err, conn.Drop())
	}
	return conn.Close()
}

// direct is PostgreSQL without anything in between.
func direct(version string) *Peer {
	return &Peer{Name: "direct", Version: version, cannot: oneServerEach, start: func(_ context.Context, place Place) (running, error) {
		node := place.Node
		return running{host: node.Host, port: node.Port, stop: func() error { return nil },
			log: func() string { return "see " + place.Log }}, nil
	}}
}

func oneServerEach(mode Mode) string {
	if mode.Crowd {
		return "each client would have a server of its own"
	}
	return ""
}

// program runs what herd.StartProgram can run.
func program(ctx context.Context, settings herd.ProgramSettings) (running, error) {
	p, err := herd.StartProgram(ctx, settings)
	if err != nil {
		return running{}, err
	}
	return running{host: p.Host, port: p.Port, pid: p.PID(), stop: p.Stop, log: p.Log}, nil
}
