package session

import (
	"errors"
	"math"
	"time"

	"pgherd/proxy/expect"
	"pgherd/proxy/pool"
	"pgherd/proxy/route"
	"pgherd/proxy/wire"
)

// unknowable is a position that no standby has replayed.
const unknowable = math.MaxUint64

// position is how far a standby has to be for a read of this session. The
// primary's position, asked for after a write was over, is one that covers it.
func (s *placement) position() uint64 {
	f := &s.fresh
	since := f.wrote
	switch s.set.Routing.Consistency {
	case route.Eventual:
		return 0
	case route.Global:
		since = s.loop.LastWrite()
	}
	if since.IsZero() || since.Before(f.covered) {
		return f.lsn
	}
	lsn, began := s.loop.Written()
	if !began.After(since) {
		return unknowable
	}
	f.lsn, f.covered = lsn, began
	return lsn
}

// choose is the node for a request: of a read, one that has replayed what the
// read has to see.
func (s *placement) choose(d route.Decision) (node int, err error) {
	primary := s.primary()
	if d.Where == route.Process {
		return d.Index, nil
	}
	if d.Where != route.Anywhere && d.Where != route.Node {
		return primary, nil
	}
	if s.parked != nil && s.loop.Now().Before(s.stayParked) {
		return primary, nil
	}
	if now := s.chooseNow(d); !now.stale {
		return now.node, nil
	}
	return s.chase(d)
}

// chase waits for a standby to catch up, for a while. A cancel ends that.
func (s *placement) chase(d route.Decision) (node int, err error) {
	deadline, before := s.loop.Now().Add(s.set.Routing.ConsistencyWait), s.state
	s.enter(WaitServer)
	defer s.enter(before)
	for s.loop.PollPositions(); s.loop.Now().Before(deadline); s.loop.PollPositions() {
		if err := s.loop.Wait(sooner(deadline, s.loop.Now().Add(chaseEvery))); err != nil {
			return -1, err
		}
		switch {
		case s.evicted != nil:
			return -1, errEvicted
		case s.struck():
			return -1, canceled
		}
		if now := s.chooseNow(d); !now.stale {
			return now.node, nil
		}
	}
	return s.primary(), nil
}

// chaseEvery is how often a read looks whether a standby has caught up.
const chaseEvery = time.Millisecond

// pick is a node for a read, as things are now.
type pick struct {
	node     int
	why      string // "" if stale
	stale    bool   // a standby would have been chosen, and none is far enough
	position uint64 // how far a standby has to be
}

// chooseNow chooses among the nodes that are far enough.
func (s *placement) chooseNow(d route.Decision) pick {
	r, primary := s.set.Routing, s.primary()
	if r.PerStatement {
		s.chance, s.ratio = s.loop.Chance(), s.loop.Chance()
	}
	all := s.loop.Candidates()
	if d.Where == route.Node {
		all = route.Named(all, d.Index)
	}
	who := s.whom()
	s.reads = primary
	wanted := route.Choose(all, who, &r.Balance, s.chance, s.ratio)
	if wanted.Index < 0 || wanted.Index == primary {
		return pick{node: primary, why: wanted.Why}
	}
	latest := s.loop.LastWrite() // before the position is taken
	p := pick{node: primary, stale: true, position: s.position()}
	far := route.Fresh(all, p.position)
	if chosen := route.Choose(far, who, &r.Balance, s.chance, s.ratio); chosen.Index >= 0 && chosen.Index != primary {
		s.reads, s.fresh.needed, s.fresh.since = chosen.Index, p.position, latest
		p.node, p.stale, p.why = chosen.Index, false, chosen.Why
	}
	return p
}

// stale says that the standby at hand is not known to have replayed what other
// sessions have written since it was chosen, and that a read has to see that.
func (s *placement) stale() bool {
	if !s.away || s.set.Routing.Consistency != route.Global {
		return false
	}
	latest := s.loop.LastWrite()
	if !latest.After(s.fresh.since) {
		return false
	}
	if lsn, _ := s.loop.Replayed(s.server.Key.Node); lsn < s.position() {
		return true
	}
	s.fresh.since = latest
	return false
}

// restarted says that the standby may have been restarted, and forgotten what it had
// replayed, since it was asked: the server at hand is younger. It is given back.
func (s *placement) restarted() bool {
	if s.fresh.needed == 0 {
		return false
	}
	if lsn, at := s.loop.Replayed(s.server.Key.Node); at.After(s.server.Opened) && lsn >= s.fresh.needed {
		return false
	}
	_ = s.relayUntil(s.expect.Empty) // else it is closed
	s.letGo()
	s.expect = expect.List{}
	s.loop.PollPositions()
	return true
}

// unfit says that a standby's server cannot have the session's settings: it may not
// have heard yet of the role, or whatever else they name. It is closed.
func (s *placement) unfit(err error) bool {
	if _, failed := errors.AsType[unrestored](err); !failed {
		return false
	}
	s.expect = expect.List{}
	s.release(pool.Discard)
	return true
}

// elsewhere says that a read for which a standby had no server may go to the primary.
func elsewhere(err error) bool {
	fault, ok := errors.AsType[*wire.Fault](err)
	_, over := errors.AsType[lost](err)
	return ok && !over && fault.Severity == "FATAL"
}
