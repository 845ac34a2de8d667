package supervisor

import (
	"context"
	"maps"
	"slices"
	"time"

	"pgherd/proxy/failover"
)

// Council makes decisions last, and has all members apply them alike, in the same order.
type Council interface {
	// Propose returns once the command is applied here: Apply was called. An error means that it was refused, or that it did
	// not last in time; then it may still be applied later, which its epoch and the herd's phase make harmless.
	Propose(ctx context.Context, command failover.Command) error
	// Leads says that this member decides. It does not wait for Apply.
	Leads() bool
	// Tell has the leader know what this member sees and has fenced. It does not block; the latest counts.
	Tell(Report)
	// Unlicensed says, on the leader, that no write licence holds any more which that member was given before it had fenced this
	// epoch. From now on it is given none before it has.
	Unlicensed(member string, epoch uint64) bool
}

// Report is what a member tells the leader.
type Report struct {
	// Sights are what it sees of each node. Their Heard is how old they are when this is told: members have no clock in common.
	Sights map[int]failover.Sight `json:"sights,omitempty"`
	Epoch  uint64                 `json:"epoch"` // of the herd as this member has it, whose phase is the next
	Phase  failover.Phase         `json:"phase"`
	// Fenced is the latest epoch for which it has closed the servers of all primaries before.
	Fenced uint64 `json:"fenced"`
}

// hearsay is what other members have told, and what came of it.
type hearsay struct {
	told map[string]told // by member, its last report
	met  map[int]bool    // by node: somebody has seen it answer as a primary since the start
}

// told is a report that has come.
type told struct {
	Report
	at time.Duration
}

// sights are those of the report as they are now: a state that was told lasts until another one is told.
func (t *told) sights(now time.Duration) map[int]failover.Sight {
	all := map[int]failover.Sight{}
	for n, v := range t.Sights {
		v.Heard = t.at - max(0, v.Heard)
		v.For, v.StreamingFor = v.For+now-t.at, v.StreamingFor+now-t.at
		all[n] = v
	}
	return all
}

// Told takes another member's report, on any goroutine.
func (s *Supervisor) Told(member string, r Report) {
	at := s.Clock()
	if member == s.member { // whose own sights are newer than what it has told
		return
	}
	s.post(func() {
		if slices.Contains(s.settings.Failover.Members, member) {
			s.told[member] = told{r, at}
			s.lookToo(r.Sights)
		}
	})
}

// lookToo has nodes probed that another member finds lost, and this one not: its own clients may have nothing to do with them
// now.
func (s *Supervisor) lookToo(others map[int]failover.Sight) {
	for i := range s.seen {
		n := &s.seen[i]
		v, told := others[n.Index]
		if lost := v.Verdict == failover.Refused || v.Verdict == failover.Silent; told && lost && n.Reachable {
			s.Look(n.Index)
		}
	}
}

// Turned has the supervisor look again whether this member leads.
func (s *Supervisor) Turned() { s.post(func() {}) }

// tell has the leader know what this member sees. The leader tells as well: what the council has of it is what it tells the
// next leader first.
func (s *Supervisor) tell() {
	if s.council == nil {
		return
	}
	now := s.Clock()
	r := Report{Sights: s.sights(now), Epoch: s.herd.Epoch, Phase: s.herd.Phase, Fenced: s.fence.Load().done}
	s.meet(r.Sights)
	for n, v := range r.Sights {
		v.Heard = now - v.Heard
		r.Sights[n] = v
	}
	s.council.Tell(r)
}

// input is what a decision looks at. Sights of a member count once it has applied all that was decided: before that it may
// still tell what a node was before it was promoted.
func (s *Supervisor) input() failover.Input {
	now := s.Clock()
	in := failover.Input{Now: now, Sights: map[string]map[int]failover.Sight{s.member: s.sights(now)}, Progress: s.progress.at(now), Reports: s.reports}
	for member, t := range s.told {
		if t.Epoch == s.herd.Epoch && t.Phase == s.herd.Phase {
			in.Sights[member] = t.sights(now)
		}
	}
	if s.herd.Phase == failover.Electing {
		in.Progress.Fenced = s.fenced(in.Progress.Lasted)
	}
	for _, sights := range in.Sights {
		s.meet(sights)
	}
	in.Unmet = len(s.settings.Failover.Members) > 1 && !s.met[s.herd.Primary]
	return in
}

// meet notes which nodes have answered as primaries since this pgherd started. What is read from a log is in no doubt, as a file
// is; but all machines may have been switched on at once, and the primary's be the last that is there.
func (s *Supervisor) meet(sights map[int]failover.Sight) {
	for n, v := range sights {
		s.met[n] = s.met[n] || v.Verdict == failover.IsPrimary
	}
}

// fenced are the members that have parted with the primary of before, or cannot write to it any more. The council is asked about
// each: one that has fenced may be started again, and has to catch up before it gets a licence.
func (s *Supervisor) fenced(lasted time.Duration) map[string]bool {
	all, epoch := map[string]bool{}, s.herd.Epoch
	for _, m := range s.settings.Failover.Members {
		over := lasted >= fenceWait // nothing proves that a silent member does not write: that is what this setting permits
		if s.settings.Licensed {
			over = s.council.Unlicensed(m, epoch)
		}
		if all[m] = over || s.told[m].Fenced >= epoch; m == s.member {
			all[m] = s.fence.Load().done >= epoch
		}
	}
	return all
}

// pause is how long a decision may be put off if nothing is heard.
func (s *Supervisor) pause() time.Duration {
	if s.leads && s.herd.Phase == failover.Electing && len(s.settings.Failover.Members) > 1 {
		return fenceLook
	}
	return decideEvery
}

// lead notes whether this member decides. One that begins to does not know what came of the acts of the one before, and one
// that does not any more gives its own up.
func (s *Supervisor) lead() {
	if leads := s.council.Leads(); leads != s.leads {
		s.leads = leads
		s.progress.enter(context.Background(), s.herd.Epoch, s.Clock())
	}
}

// take has f run by who owns the herd, between two other things, and returns once it has.
func (s *Supervisor) take(f func()) error {
	done := make(chan struct{})
	select {
	case s.lasting <- func() { f(); close(done) }:
		<-done
		return nil
	case <-s.stopped:
		return errStopping
	}
}

// meanwhile runs f, which may wait for what the council has taken up here.
func (s *Supervisor) meanwhile(f func()) {
	done := make(chan struct{})
	go func() { f(); close(done) }()
	for {
		select {
		case taken := <-s.lasting:
			taken()
			s.fenceOff()
			s.tell()
		case <-time.After(decideEvery): // what the council has of this member is never old
			s.tell()
		case <-done:
			return
		}
	}
}

// Restore takes up the herd of a snapshot: what came between was applied elsewhere.
func (s *Supervisor) Restore(h failover.Herd) error {
	return s.take(func() { s.restore(h) })
}

func (s *Supervisor) restore(h failover.Herd) {
	before := s.herd
	s.herd = h
	if h.Epoch == before.Epoch && h.Phase == before.Phase {
		s.show()
		return
	}
	for _, n := range []int{before.Primary, before.Former, h.Former} {
		if n != failover.None {
			s.owed[n] = h.Epoch
		}
	}
	if h.Primary != failover.None {
		s.from[h.Primary] = s.Date()
	}
	s.noteFence()
	s.progress.enter(context.Background(), h.Epoch, s.Clock())
	s.Log.Info("herd: taken over as others have decided it", "epoch", h.Epoch, "phase", string(h.Phase))
	s.show()
	if s.Changed != nil {
		s.Changed(before, h, false)
	}
}

// fence is up to which epoch the servers of earlier primaries are closed here, and the herd's epoch.
type fence struct{ done, epoch uint64 }

// Fenced is the latest epoch for which this member has closed the servers of all primaries before, and Epoch the herd's, as
// this member has it. Who gives write licences gives none to a member that is behind: it may still write to an earlier
// primary. Any goroutine may ask.
func (s *Supervisor) Fenced() uint64 { return s.fence.Load().done }
func (s *Supervisor) Epoch() uint64  { return s.fence.Load().epoch }

func (s *Supervisor) noteFence() {
	f := &fence{s.herd.Epoch, s.herd.Epoch}
	for _, epoch := range s.owed {
		f.done = min(f.done, epoch-1)
	}
	s.fence.Store(f)
}

// fenceOff closes the servers of primaries that have failed. It needs no address: the node may be gone from the configuration.
// Before anything was seen nobody has a server.
func (s *Supervisor) fenceOff() {
	if s.seen == nil {
		return
	}
	for _, n := range slices.Sorted(maps.Keys(s.owed)) {
		d, epoch := deed{failover.Fence, n}, s.owed[n]
		if last, ended := s.progress.ended[d]; s.progress.running[d] || ended && !last.done && last.recent(s.Clock()) {
			continue
		}
		s.begin(d, func(ctx context.Context) (func(*failover.Progress), error) {
			err := s.Acts.Fence(ctx, n, epoch)
			if err == nil { // which others wait for, and is true whatever becomes of the epoch
				_ = s.take(func() { s.parted(n, epoch) })
			}
			return func(*failover.Progress) {}, err
		})
	}
}

// parted notes that the servers of a node from before this epoch are closed.
func (s *Supervisor) parted(node int, epoch uint64) {
	if s.owed[node] <= epoch {
		delete(s.owed, node)
	}
	s.noteFence()
}
