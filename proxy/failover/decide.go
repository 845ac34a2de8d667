package failover

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// Action is something to be carried out. Each may be asked for again: by who takes over
// from a leader, and until Progress tells what came of it.
type Action string

// The actions.
const (
	Fence       Action = "fence"   // a member closes its servers of Node, and says so
	Revoke      Action = "revoke"  // Node is made to receive from nobody, then asked for its position
	AskPosition Action = "ask"     // Node is asked for its position only
	Promote     Action = "promote" // Node, unless it is promoted already; verify: not in recovery, newer timeline
	Follow      Action = "follow"  // Node is made to receive from Upstream, prepared by follow_primary_command if there is one
	Rejoin      Action = "rejoin"  // Node, which was made to receive from nobody, receives from Upstream as before; no command is run
	Demote      Action = "demote"  // Node, the primary, hands over to Upstream: drained, stopped, Upstream has all
	Alarm       Action = "alarm"   // an operator is told that the herd cannot go on by itself
)

// Act is an Action to be carried out now. One of an older epoch is given up.
type Act struct {
	Do       Action `json:"do"`
	Epoch    uint64 `json:"epoch"`
	Node     int    `json:"node"`
	Member   string `json:"member,omitempty"` // of Fence
	Upstream int    `json:"upstream"`         // of Follow, Rejoin and Demote; else None
	Reason   string `json:"reason"`
}

// Progress is what came of the acts of one epoch. A new leader begins without any, and
// has everything carried out again. What another epoch's acts brought counts for nothing.
type Progress struct {
	Epoch     uint64          `json:"epoch"`
	Lasted    time.Duration   `json:"lasted"`            // since the herd came into this phase of it
	Fenced    map[string]bool `json:"fenced,omitempty"`  // members that have acknowledged, or whose write licence is over
	Asked     time.Duration   `json:"asked,omitempty"`   // since the first Revoke or AskPosition; 0: not yet
	Answers   map[int]Answer  `json:"answers,omitempty"` // after Revoke, AskPosition
	Promoted  *Promoted       `json:"promoted,omitempty"`
	HandedOff bool            `json:"handed_off,omitempty"` // Demote is done
	Stopped   bool            `json:"stopped,omitempty"`    // and it is certain that Node was stopped
	Running   []Deed          `json:"running,omitempty"`    // acts under way
	Failed    []Failure       `json:"failed,omitempty"`
}

// Promoted is what the check of a promotion has found.
type Promoted struct {
	Node     int      `json:"node"`
	System   uint64   `json:"system,string"`
	Timeline uint32   `json:"timeline"`
	Sync     *SyncSet `json:"sync,omitempty"`
}

// Deed is an act of a node's.
type Deed struct {
	Do   Action `json:"do"`
	Node int    `json:"node"`
}

// Failure is an act that could not be carried out within its time.
type Failure struct {
	Do   Action `json:"do"`
	Node int    `json:"node"`
	Why  string `json:"why"`
}

// Step is what comes next: a command to be made to last, or acts to carry out, never
// both. Waits is what the herd waits for; "" while all is well.
type Step struct {
	Propose *Command `json:"propose,omitempty"`
	Acts    []Act    `json:"acts,omitempty"`
	Waits   string   `json:"waits,omitempty"`
}

// Decide is asked by the leader whenever a sight, the progress or the herd has changed,
// and at least each second. What the phase needs goes first, then the single nodes.
func Decide(h Herd, in Input, s Settings) Step {
	if in.Progress.Epoch != h.Epoch {
		in.Progress = Progress{Epoch: h.Epoch}
	}
	d := decision{&h, &in, &s}
	rules := phaseRules
	if s.Patroni {
		rules = patroniRules
	}
	step := rules[h.Phase](d)
	if step.Propose == nil {
		if c := d.nodes(); c != nil {
			return Step{Propose: c}
		}
	}
	return step
}

var phaseRules = map[Phase]func(decision) Step{
	Steady: decision.steady, Draining: decision.draining, Electing: decision.electing, Promoting: decision.promoting,
}

type decision struct {
	h  *Herd
	in *Input
	s  *Settings
}

func (d decision) command(kind Kind, node int, format string, args ...any) *Command {
	return &Command{Kind: kind, Epoch: d.h.Epoch, Node: node, Reason: fmt.Sprintf(format, args...)}
}

func (d decision) propose(kind Kind, node int, format string, args ...any) Step {
	return Step{Propose: d.command(kind, node, format, args...)}
}

func (d decision) act(do Action, node int, format string, args ...any) Act {
	return Act{Do: do, Epoch: d.h.Epoch, Node: node, Upstream: None, Reason: fmt.Sprintf(format, args...)}
}

func (d decision) dead(node int) (bool, string) {
	return d.s.agree(d.in, node, func(v Sight) bool { return d.s.dead(node, v) })
}

// isStandby: most hear that it is in recovery, and nobody that it is a primary.
func (d decision) isStandby(node int, least time.Duration) (bool, string) {
	if _, claims := d.claims(node); claims {
		return false, ""
	}
	return d.s.agree(d.in, node, func(v Sight) bool { return v.Verdict == IsStandby && v.For >= least })
}

// answer is what a node said last, of what still counts. Where one member has heard
// that it is primary, this is the answer, whatever others heard.
func (d decision) answer(node int) (Sight, bool) {
	last, found := Sight{}, false
	for _, v := range d.s.fresh(d.in, node) {
		claims := v.Verdict == IsPrimary
		switch {
		case !v.answered() || found && last.Verdict == IsPrimary && !claims:
		case !found, claims && last.Verdict != IsPrimary, claims && v.Timeline > last.Timeline, !claims && v.Heard > last.Heard:
			last, found = v.Sight, true
		}
	}
	return last, found
}

// claims says that a node answers as a primary. One member's word is enough: an answer,
// unlike silence, cannot be the network's.
func (d decision) claims(node int) (Sight, bool) {
	v, ok := d.answer(node)
	return v, ok && v.Verdict == IsPrimary
}

// isOurs says that the herd's primary itself answers: not what else is at its address.
func (d decision) isOurs(p int) (Sight, bool) {
	v, ok := d.claims(p)
	return v, ok && v.System == d.h.System && v.Timeline >= d.h.Timeline
}

// steady: is the primary still there, and still the one?
func (d decision) steady() Step {
	switch {
	case d.h.Epoch == 0:
		return d.firstStart()
	case d.h.Doubt:
		return d.doubted()
	}
	p := d.h.Primary
	if dead, why := d.dead(p); dead {
		if d.in.Unmet && !d.s.deadFor(d.in, p, doubtedFor) {
			return Step{Waits: fmt.Sprintf("node %d, the primary, to start: nobody has seen it since this pgherd started", p)}
		}
		return d.propose(FailNode, p, "node %d is down: %s", p, why)
	}
	if demoted, why := d.isStandby(p, demotedFor); demoted {
		return d.propose(FailNode, p, "node %d is the primary no more: %s", p, why)
	}
	lead, ours := d.isOurs(p)
	switch {
	case !ours:
		return Step{Waits: d.whyNotOurs(p)}
	case lead.Timeline > d.h.Timeline:
		return d.primary(p, lead, "node %d has gone on to timeline %d", p, lead.Timeline)
	}
	if c := d.sync(p, lead); c != nil {
		return Step{Propose: c}
	}
	return Step{Acts: d.follow()}
}

func (d decision) primary(n int, v Sight, format string, args ...any) Step {
	c := d.command(MakePrimary, n, format, args...)
	c.Timeline, c.System, c.Sync = v.Timeline, v.System, v.Sync
	return Step{Propose: c}
}

func (d decision) whyNotOurs(p int) string {
	seen := d.s.fresh(d.in, p)
	if len(seen) == 0 {
		return fmt.Sprintf("nobody has seen node %d lately", p)
	}
	v := seen[0]
	if v.Verdict == IsPrimary {
		return fmt.Sprintf("what answers as node %d is of system %d on timeline %d, the primary of %d on %d", p, v.System, v.Timeline, d.h.System, d.h.Timeline)
	}
	return fmt.Sprintf("node %d: %s, which is no reason to replace it", p, v.words())
}

// sync tells the herd of a synchronous set that has changed, and then that the change
// is over: once every choice by the new set finds who has the primary's position of
// then, nobody needs the old one any more.
func (d decision) sync(p int, lead Sight) *Command {
	switch {
	case lead.Sync == nil:
		return nil
	case !lead.Sync.equal(d.h.Sync):
		c := d.command(NoteSync, None, "synchronous_standby_names of node %d is %v now", p, *lead.Sync)
		c.Sync, c.Position = lead.Sync, lead.Received
		return c
	case len(d.h.Before) > 0 && d.settled(p):
		c := d.command(NoteSync, None, "the nodes of %v have %s, where the set changed", *lead.Sync, lsn(d.h.ChangedAt))
		c.Sync = lead.Sync
		return c
	}
	return nil
}

func (d decision) settled(p int) bool {
	set := d.h.Sync.without(p)
	of, need := set.Nodes, set.K
	if set.K == 0 { // any standby may be chosen: all have to have it
		of = nil
		for _, n := range d.h.Nodes {
			if n.Status == Up && n.Index != p {
				of = append(of, n.Index)
			}
		}
		need = max(1, len(of))
	}
	have := 0
	for _, n := range of {
		if v, ok := d.answer(n); ok && v.Timeline == d.h.Timeline && v.Received >= d.h.ChangedAt {
			have++
		}
	}
	return have >= need
}

// draining: recovery carries the switchover out; here is only how it ends.
func (d decision) draining() Step {
	p, n := d.h.Primary, d.h.Candidate
	if d.h.Doubt {
		return d.propose(UndoDrain, None, "a restart has cut the switchover to node %d short", n)
	}
	if dead, why := d.dead(n); dead {
		return d.propose(UndoDrain, None, "node %d, to which to switch over, is down: %s", n, why)
	}
	if f := d.failed(Demote, p); f != "" {
		return d.propose(UndoDrain, None, "the switchover to node %d failed: %s", n, f)
	}
	if d.in.Progress.HandedOff {
		c := d.command(FailNode, p, "switchover: node %d is stopped, and node %d has all of it", p, n)
		c.HandedOver = d.in.Progress.Stopped
		return Step{Propose: c}
	}
	if dead, why := d.dead(p); dead {
		return d.propose(FailNode, p, "node %d is down: %s", p, why)
	}
	a := d.act(Demote, p, "switchover to node %d", n)
	a.Upstream = n
	return Step{Acts: []Act{a}, Waits: a.Reason}
}

func (d decision) failed(do Action, node int) string {
	for _, f := range d.in.Progress.Failed {
		if f.Do == do && f.Node == node {
			return cmp.Or(f.Why, "no reason was given")
		}
	}
	return ""
}

// electing: fence, revoke, ask, choose, in this order. The primary that failed comes
// back if it is there again before anybody was chosen: that loses nothing. (An operator's
// Candidate is taken at once: workers keep to the epoch, whether they have said so or not.)
func (d decision) electing() Step {
	p := d.h.Former
	if back, why := d.answersAsBefore(p, backAfter); back {
		return d.propose(BringBack, p, "nobody was promoted, and node %d is back: %s", p, why)
	}
	if acts := d.fence(); acts != nil {
		return Step{Acts: acts, Waits: fmt.Sprintf("every pgherd to part with node %d", p)}
	}
	if step, found := d.heir(); found {
		return step
	}
	if d.allReturn(p) {
		return Step{Waits: fmt.Sprintf("node %d, which answers again, to have answered for %v", p, backAfter)}
	}
	acts, awaited := d.revoke()
	if awaited && d.in.Progress.Asked < answersWithin {
		return Step{Acts: acts, Waits: "positions of the standbys"}
	}
	if d.s.Commands.Promote {
		return d.foremost()
	}
	choice := Choose(*d.h, d.poll(), *d.s)
	if choice.Node == None {
		return d.stuck(Step{Acts: acts, Waits: choice.Why})
	}
	c := d.command(MakeCandidate, choice.Node, "%s", choice.Why)
	c.Position = choice.Position
	return Step{Propose: c}
}

// answersAsBefore says that a node answers as the primary that it was, for so long.
func (d decision) answersAsBefore(p int, least time.Duration) (bool, string) {
	if dead, _ := d.dead(p); dead || d.h.status(p) == Detached {
		return false, ""
	}
	return d.s.agree(d.in, p, func(v Sight) bool {
		return v.Verdict == IsPrimary && v.System == d.h.System && v.Timeline == d.h.Timeline && v.For >= least
	})
}

// allReturn says that the primary that failed answers again, and that no other node has answered for long: whoever was
// promoted now would take the place of one that was only cut off, or switched off, with all others. What flaps alone puts
// nothing off.
func (d decision) allReturn(p int) bool {
	for _, n := range d.s.Nodes {
		if v, answers := d.answer(n.Index); answers && n.Index != p && v.For >= together {
			return false
		}
	}
	answers, _ := d.answersAsBefore(p, 0)
	return answers
}

// heir is a node that answers as a primary on a newer timeline. It counts for the
// primary's successor in four cases only: this election has chosen it, and it was
// promoted after all; the primary itself is in recovery now; all that is known of the
// primary is a status file; or commands promote, which may take another than is chosen.
func (d decision) heir() (Step, bool) {
	n, v := d.soleClaim(d.h.Timeline + 1)
	if n == None || n == d.h.Former {
		return Step{}, false
	}
	old, answers := d.answer(d.h.Former)
	by := ""
	switch st := d.h.status(n); {
	case st == Detached || st == Recovering:
	case slices.Contains(d.h.Tried, n):
		by = "it was promoted after all"
	case answers && old.Verdict == IsStandby:
		by = fmt.Sprintf("somebody else has promoted it, and node %d is in recovery", d.h.Former)
	case d.h.Doubt:
		by = "somebody else has promoted it, and the status file is older"
	case d.s.Commands.Promote:
		by = "a command or an operator has promoted it"
	}
	return d.propose(MakeCandidate, n, "node %d is primary on timeline %d: %s", n, v.Timeline, by), by != ""
}

// soleClaim is the only node of our system that answers as a primary on this timeline
// or a newer one; None if there are several or none, or if most find it dead.
func (d decision) soleClaim(least uint32) (int, Sight) {
	found, sight := None, Sight{}
	for _, n := range d.s.Nodes {
		v, ok := d.claims(n.Index)
		if !ok || v.System != d.h.System || v.Timeline < least {
			continue
		}
		if found != None {
			return None, Sight{}
		}
		found, sight = n.Index, v
	}
	if dead, _ := d.dead(found); dead {
		return None, Sight{}
	}
	return found, sight
}

func (d decision) fence() (acts []Act) {
	for _, m := range d.s.Members {
		if !d.in.Progress.Fenced[m] {
			a := d.act(Fence, d.h.Former, "node %d is no primary any more", d.h.Former)
			a.Member = m
			acts = append(acts, a)
		}
	}
	return acts
}

// revoke asks every standby that may answer and has not: also those that are no
// candidates, for they may have acknowledged. One at which it failed is asked again, but
// not awaited. Where commands alone change nodes they are asked only; likewise after a hand-over, because a primary that was
// stopped as a standby acknowledges nothing, and standbys that receive from the candidate already are to go on with it.
func (d decision) revoke() (acts []Act, awaited bool) {
	for _, n := range d.s.Nodes {
		_, answered := d.in.Progress.Answers[n.Index]
		dead, _ := d.dead(n.Index)
		_, claims := d.claims(n.Index)
		if answered || dead || claims || n.Index == d.h.Former {
			continue
		}
		awaited = awaited || d.failed(Revoke, n.Index) == "" && d.failed(AskPosition, n.Index) == ""
		if d.s.Commands.Promote {
			acts = append(acts, d.act(AskPosition, n.Index, "failover_command is told who has the most"))
			continue
		}
		if d.h.HandedOver {
			acts = append(acts, d.act(AskPosition, n.Index, "node %d is stopped, and starts as a standby", d.h.Former))
			continue
		}
		if up, cascades := d.cascades(n.Index); cascades {
			acts = append(acts, d.act(AskPosition, n.Index, "it receives from node %d", up))
			continue
		}
		acts = append(acts, d.act(Revoke, n.Index, "node %d is to get no acknowledgement any more", d.h.Former))
	}
	return acts, awaited
}

// cascades says that a node receives from another standby. One of the synchronous set
// is never taken at its word.
func (d decision) cascades(n int) (upstream int, yes bool) {
	v, ok := d.answer(n)
	if !ok || v.Upstream < 0 || v.Upstream == d.h.Former || v.Upstream == d.h.Primary {
		return None, false
	}
	for _, set := range append(slices.Clone(d.h.Before), d.h.Sync) {
		if slices.Contains(set.Nodes, n) {
			return None, false
		}
	}
	return v.Upstream, true
}

// poll is what the choice looks at. The primary's last answer is the one with the highest
// position; of several with the same nobody knows which was first, so all that any of
// them shows connected may have been so last.
func (d decision) poll() Poll {
	p := Poll{Answers: d.in.Progress.Answers}
	for _, n := range sortedNodes(p.Answers) {
		if dead, _ := d.dead(n); dead {
			p.Dead = append(p.Dead, n)
		}
	}
	for _, v := range d.s.fresh(d.in, d.h.Former) {
		switch {
		case v.System != d.h.System || v.Received < p.Last.Received:
		case v.Received == p.Last.Received:
			p.Last.Connected = slices.Concat(p.Last.Connected, v.Connected)
		default:
			p.Last = v.Sight
		}
	}
	return p
}

// stuck calls an operator once it has lasted too long. The election goes on: giving it
// up would leave the herd without a primary for ever.
func (d decision) stuck(step Step) Step {
	if limit := d.s.SearchPrimaryWithin; limit > 0 && d.in.Progress.Lasted >= limit {
		step.Acts = append(step.Acts, d.act(Alarm, max(d.h.Former, d.h.Primary), "no primary for %v: %s", limit, step.Waits))
	}
	return step
}

// promoting: one node, until it is primary or lost. It is dead to us though it may live:
// then it is in quarantine when it comes back. A command that has promoted another one is
// left to end, for it may still have work to do on that.
func (d decision) promoting() Step {
	n := d.h.Candidate
	if is := d.in.Progress.Promoted; is != nil && is.Node == n && is.Timeline > d.h.Timeline && is.System == d.h.System {
		return d.primary(n, Sight{System: is.System, Timeline: is.Timeline, Sync: is.Sync}, "node %d was promoted", n)
	}
	if heir, found := d.heir(); found && d.s.Commands.Promote && heir.Propose.Node != n && !d.running(Promote) {
		return d.giveUp(n, "node %d is not promoted, but node %d", n, heir.Propose.Node)
	}
	if dead, why := d.dead(n); dead {
		return d.propose(FailNode, n, "node %d died while it was promoted: %s", n, why)
	}
	if f := d.failed(Promote, n); f != "" {
		return d.giveUp(n, "node %d could not be promoted: %s", n, f)
	}
	a := d.act(Promote, n, "it was chosen in epoch %d", d.h.Epoch)
	return Step{Acts: []Act{a}, Waits: fmt.Sprintf("node %d to be promoted", n)}
}

// giveUp proposes that a candidate is not promoted any more.
func (d decision) giveUp(n int, format string, args ...any) Step {
	c := d.command(FailNode, n, format, args...)
	v, answers := d.answer(n)
	c.Standby = answers && v.Verdict == IsStandby
	return Step{Propose: c}
}
