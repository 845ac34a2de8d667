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

// unknowable stands for a position that is not known yet. No standby has replayed it.
const unknowable = math.MaxUint64

// position is how far a standby has to have replayed for a read of this session. The
// primary's WAL position, if it was asked for after the write was over, covers that write.
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

// choose chooses the node for a request. A read gets a node that has replayed what the read
// has to see.
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

// chase waits up to ConsistencyWait for a standby to catch up; a cancel ends the wait. If
// none has caught up, it returns the primary.
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

// pick is the node that is chosen for a read at this moment.
type pick struct {
	node     int
	why      string // "" if stale
	stale    bool   // a standby would have been chosen, but none has replayed enough
	position uint64 // what a standby has to have replayed
}

// chooseNow chooses among the nodes that have replayed enough.
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
	latest := s.loop.LastWrite() // read before the position, which then covers it
	p := pick{node: primary, stale: true, position: s.position()}
	far := route.Fresh(all, p.position)
	if chosen := route.Choose(far, who, &r.Balance, s.chance, s.ratio); chosen.Index >= 0 && chosen.Index != primary {
		s.reads, s.fresh.needed, s.fresh.since = chosen.Index, p.position, latest
		p.node, p.stale, p.why = chosen.Index, false, chosen.Why
	}
	return p
}

// stale says that a read has to see what other sessions have written since the standby at
// hand was chosen, and that the standby is not known to have replayed it.
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

// restarted says that the server at hand was opened after its standby was last asked for its
// position. The standby may have been restarted since, and may have to replay again what it
// had replayed. restarted then gives the server back.
func (s *placement) restarted() bool {
	if s.fresh.needed == 0 {
		return false
	}
	if lsn, at := s.loop.Replayed(s.server.Key.Node); at.After(s.server.Opened) && lsn >= s.fresh.needed {
		return false
	}
	_ = s.relayUntil(s.expect.Empty) // after an error letGo closes the server
	s.letGo()
	s.expect = expect.List{}
	s.loop.PollPositions()
	return true
}

// unfit says that a standby's server cannot have the session's settings, perhaps because the
// standby has not replayed the role or whatever else they name. unfit then closes the server.
func (s *placement) unfit(err error) bool {
	if _, failed := errors.AsType[unrestored](err); !failed {
		return false
	}
	s.expect = expect.List{}
	s.release(pool.Discard)
	return true
}

// elsewhere says that a read may go to the primary after this error, because its standby
// only had no server for it.
func elsewhere(err error) bool {
	if _, unused := errors.AsType[pool.Unused](err); unused {
		return true
	}
	fault, ok := errors.AsType[*wire.Fault](err)
	_, over := errors.AsType[lost](err)
	return ok && !over && fault.Severity == "FATAL"
}
