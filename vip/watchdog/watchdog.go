// Package watchdog has several pgherds decide as one: a command that one of them proposes is decided once a majority has
// written it down, and all apply the same commands in the same order. What commands mean is not its business.
//
// It is hashicorp/raft with a log in a folder of its own, over connections of package peer. One member leads. Who leads
// says nothing of who has the virtual address: raft's clocks are not made for that (see package lease).
package watchdog

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"

	"pgherd/vip/peer"
)

// Machine is what commands are about. Apply and Restore are called by one goroutine at a time, Sight by others.
type Machine interface {
	// Apply carries a decided command out. Its error, that the command was refused, goes to who has proposed it, and has to
	// be the same on all members.
	Apply(command []byte) error
	Snapshot() []byte
	Restore(state []byte) error
	// Sight is called on the leader with what a member tells; the latest counts.
	Sight(member string, told []byte)
}

// Settings of a Watchdog.
type Settings struct {
	Log       *slog.Logger
	Member    string   // the name of this one
	Members   []string // of all, this one among them
	Directory string   // of the log; nobody else writes there
	Machine   Machine
	Network   *peer.Network // that accepts Purposes
	// ElectionTimeout is how long a leader may be silent before another one is elected. Each waits up to twice as long.
	ElectionTimeout time.Duration
	// Changed is called after each change of the Standing, one call at a time.
	Changed func(Standing)
	write   func(s *store, key, value []byte) error // of raft's values; nil: the store's own. Tests have it fail.
}

// Standing is how a member sees the leader.
type Standing struct {
	Leader string // "" if none is known
	Leads  bool   // it is this member, and it has applied all that was decided before
	Term   uint64 // grows with each election
}

// The purposes of connections between members.
const (
	replication peer.Purpose = "raft"
	proposals   peer.Purpose = "propose"
	sights      peer.Purpose = "sights"
)

// Purposes are what the Network has to accept.
func Purposes() []peer.Purpose { return []peer.Purpose{replication, proposals, sights} }

// Limits.
const (
	LongestCommand = 64 << 10         // in bytes
	longestState   = 1 << 20          // of a snapshot, in bytes
	barrierLimit   = 5 * time.Second  // for a new leader to apply what was decided before it leads
	closeLimit     = 10 * time.Second // for raft to end
)

// A Watchdog is one member at work.
type Watchdog struct {
	set     Settings
	raft    *raft.Raft
	store   *store
	applied *applied
	changes chan bool // raft tells of the leadership gained and lost

	leads    atomic.Bool
	led      atomic.Uint64 // the term in which this member has led last
	telling  chan []byte   // the latest sight; room for one
	observer *raft.Observer
	elected  chan raft.Observation
	ctx      context.Context
	cancel   context.CancelFunc
	running  sync.WaitGroup
	told     peer.Seldom // what raft has logged
	lost     sync.Map    // names of members to which no connection could be made
}

// Open starts a member. One that has no log yet begins with the members that are configured, as all others do.
func Open(s Settings) (w *Watchdog, err error) {
	w = &Watchdog{set: s, applied: newApplied(s.Machine), changes: make(chan bool, 8), telling: make(chan []byte, 1), elected: make(chan raft.Observation, 16)}
	w.ctx, w.cancel = context.WithCancel(context.Background())
	if w.store, err = openStore(s.Directory); err != nil {
		return nil, err
	}
	if err = w.start(); err != nil {
		return nil, errors.Join(fmt.Errorf("start the watchdog: %w", err), w.store.Close())
	}
	for _, run := range []func(){w.follow, w.serveProposals, w.serveSights, w.tell} {
		w.running.Add(1)
		go func() {
			defer w.running.Done()
			run()
		}()
	}
	return w, nil
}

// Close ends this member's part. The others elect another leader if it has led.
func (w *Watchdog) Close() error {
	w.raft.DeregisterObserver(w.observer)
	w.cancel()
	ended := make(chan error, 1)
	go func() { ended <- w.raft.Shutdown().Error() }()
	var err error
	select {
	case err = <-ended:
	case <-time.After(closeLimit):
		err = fmt.Errorf("end the watchdog: it goes on after %v", closeLimit)
	}
	w.running.Wait()
	return errors.Join(err, w.store.Close())
}

// Leads says that this member leads, and has applied all that was decided before.
func (w *Watchdog) Leads() bool { return w.leads.Load() }

// Standing is what Changed was told last, or is about to be.
func (w *Watchdog) Standing() Standing {
	_, leader := w.raft.LeaderWithID()
	s := Standing{Leader: string(leader), Leads: w.Leads(), Term: w.raft.CurrentTerm()}
	if s.Leads { // raft's may be a later one already
		s.Term = w.led.Load()
	}
	return s
}

// Term is raft's. It rises before this member votes for a leader of a later one.
func (w *Watchdog) Term() uint64 { return w.raft.CurrentTerm() }

// Lead has another member lead. It returns once that one was asked to; the election may still end otherwise.
func (w *Watchdog) Lead(member string) error {
	err := w.raft.LeadershipTransferToServer(raft.ServerID(member), raft.ServerAddress(member)).Error()
	if err != nil {
		return fmt.Errorf("have member %s lead: %w", member, err)
	}
	return nil
}

// Resign has whichever other member is ready lead, if this one does, and returns once it was asked to.
func (w *Watchdog) Resign() error {
	if !w.Leads() {
		return nil
	}
	if err := w.raft.LeadershipTransfer().Error(); err != nil {
		return fmt.Errorf("resign: %w", err)
	}
	return nil
}

// follow tells of each change of the leader.
func (w *Watchdog) follow() {
	told := Standing{}
	for {
		select {
		case leads := <-w.changes:
			if leads {
				leads = w.catchUp()
			}
			w.leads.Store(leads)
		case <-w.elected:
		case <-w.ctx.Done():
			w.leads.Store(false)
			return
		}
		if is := w.Standing(); is != told {
			told = is
			w.set.Log.Info("watchdog: the leader has changed", "leader", is.Leader, "leads", is.Leads, "term", is.Term)
			if w.set.Changed != nil {
				w.set.Changed(is)
			}
		}
	}
}

// catchUp has all applied that was decided under former leaders, and notes the term in which this member leads.
func (w *Watchdog) catchUp() bool {
	term := w.raft.CurrentTerm()
	if err := w.raft.Barrier(barrierLimit).Error(); err != nil {
		w.set.Log.Warn("watchdog: this member was elected and cannot lead", "error", err)
		return false
	}
	w.led.Store(term)
	return term == w.raft.CurrentTerm() // else raft tells of the term after it
}
