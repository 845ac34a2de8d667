package failover

import (
	"slices"
	"testing"
	"time"
)

// mutants decide with one rule taken away. The scenarios that are named must notice it.
var mutants = []struct {
	name   string
	of     func(decider) decider
	notice []string
}{
	{"the fence is not waited for", asked(func(h *Herd, in *Input, s *Settings) {
		in.Progress.Fenced = map[string]bool{}
		for _, m := range s.Members {
			in.Progress.Fenced[m] = true
		}
	}), []string{"primary-refused", "fence-is-waited-for", "leader-changes-before-the-fence", "clock-jumps-while-electing"}},
	{"the fence is not asked for", answered(func(step Step) Step {
		step.Acts = slices.DeleteFunc(step.Acts, func(a Act) bool { return a.Do == Fence })
		return step
	}), []string{"primary-refused", "switchover", "restart-while-electing"}},
	{"a standby that still receives counts as revoked", asked(func(h *Herd, in *Input, s *Settings) {
		for n, a := range in.Progress.Answers {
			a.Revoked = true
			in.Progress.Answers[n] = a
		}
	}), []string{"primary-cut-from-pgherd-only"}},
	{"no standby is revoked", answered(func(step Step) Step {
		step.Acts = slices.DeleteFunc(step.Acts, func(a Act) bool { return a.Do == Revoke })
		return step
	}), []string{"primary-refused", "revoke-fails", "primary-cut-from-pgherd-only"}},
	{"the first standby that answers is promoted", firstThatAnswers,
		[]string{"primary-refused", "sync-first-1", "sync-one-was-down-not-covered", "candidates-order-equals", "five-of-five", "only-other-timelines"}},
	{"the synchronous set does not matter", asked(func(h *Herd, _ *Input, _ *Settings) { h.Sync, h.Before, h.Proven = SyncSet{}, nil, 0 }),
		[]string{"primary-and-candidate-die-sync", "sync-any-2-of-3-one-answer", "sync-name-that-is-no-node", "sync-detached-one-has-the-most", "candidate-had-more-and-dies-sync"}},
	{"a changed synchronous set counts at once", asked(func(h *Herd, _ *Input, _ *Settings) { h.Before = nil }),
		[]string{"sync-set-changes", "sync-set-has-changed", "sync-becomes-asynchronous"}},
	{"the proved position is forgotten", asked(func(h *Herd, _ *Input, _ *Settings) { h.Proven = 0 }),
		[]string{"candidate-dies-while-promoting-sync", "candidate-had-more-and-dies-sync"}},
	{"a standby that was down before counts as lost with the primary", asked(func(h *Herd, _ *Input, _ *Settings) { h.Absent = nil }),
		[]string{"sync-one-was-down-before"}},
	{"a standby that was lost with the primary counts as down before", asked(func(h *Herd, _ *Input, _ *Settings) {
		for _, n := range h.Nodes {
			if n.Status == Down {
				h.Absent = append(slices.Clone(h.Absent), n.Index)
			}
		}
	}), []string{"sync-lost-with-the-primary"}},
	{"timelines do not matter", asked(func(h *Herd, in *Input, _ *Settings) {
		for n, a := range in.Progress.Answers {
			a.Timeline = h.Timeline
			in.Progress.Answers[n] = a
		}
	}), []string{"other-timeline-is-no-candidate", "only-other-timelines", "second-failover-while-following"}},
	{"the file's timeline does not matter", sights(func(h *Herd, v *Sight) { v.Timeline = max(v.Timeline, h.Timeline+1) }),
		[]string{"file-primary-dead-old-one-lives", "old-primary-back-with-its-standbys"}},
	{"a status file is believed without confirmation", asked(func(h *Herd, _ *Input, _ *Settings) { h.Doubt = false }),
		[]string{"file-names-a-dead-primary", "file-primary-down-refuse", "restart-while-draining"}},
	{"every failure counts as death", sights(func(_ *Herd, v *Sight) {
		if !v.answered() {
			v.Verdict, v.Times, v.Shutdown = Refused, 99, false
		}
	}), []string{"too-many-clients", "out-of-memory", "name-unresolved", "wrong-password", "slow-shutdown", "crash-restart", "restarted-within-grace"}},
	{"one vote is enough", asked(func(_ *Herd, _ *Input, s *Settings) { s.Consensus = false }),
		[]string{"minority-primary", "minority-standby", "three-disagree", "half-votes-off", "leader-alone"}},
	{"old sights count", func(next decider) decider {
		return func(h Herd, in Input, s Settings) Step {
			each(&in, func(v *Sight) { v.Heard = in.Now })
			return next(h, in, s)
		}
	}, []string{"clock-jumps-ahead", "clock-jumps-back", "old-sights"}},
	{"there is no grace period for a restart", asked(func(_ *Herd, _ *Input, s *Settings) { s.RestartGrace = 0 }),
		[]string{"restarted-within-grace", "stopped-for-good", "standby-shutdown-grace"}},
	{"a detached node counts as down", asked(func(h *Herd, _ *Input, _ *Settings) {
		for i := range h.Nodes {
			if h.Nodes[i].Status == Detached {
				h.Nodes[i].Status = Down
			}
		}
	}), []string{"detached-stays-out", "detached-survives-failover", "out-of-use-is-no-candidate"}},
	{"a standby that streams from any node is up", sights(func(h *Herd, v *Sight) {
		if v.Verdict == IsStandby {
			v.Upstream, v.Timeline, v.Streaming = h.Primary, h.Timeline, true
		}
	}), []string{"fail-back-follows-another", "standby-follows-nobody", "following-fails"}},
	{"there is no hysteresis", sights(func(_ *Herd, v *Sight) { v.StreamingFor, v.For = longAgo, max(v.For, longAgo) }),
		[]string{"flapping-standby", "flapping-primary", "primary-comes-and-goes-while-electing", "primary-cut-from-its-standbys"}},
	{"with Patroni, a node's own word makes it primary", asked(func(_ *Herd, in *Input, s *Settings) {
		for n, v := range in.Sights[s.Members[0]] {
			if v.Verdict == IsPrimary {
				in.Reports = map[int]Report{0: {Leader: n, Timeline: v.Timeline, Heard: in.Now}}
			}
		}
	}), []string{"patroni-silent-at-start", "patroni-silent-later", "patroni-silent-at-start-file-is-old"}},
	{"one answer of Patroni's is enough", asked(func(_ *Herd, in *Input, _ *Settings) {
		if r, ok := in.Reports[1]; ok {
			in.Reports = map[int]Report{1: r}
		}
	}), []string{"patroni-majority", "patroni-answers-disagree"}},
	{"Patroni promotes, and pgherd as well", asked(func(_ *Herd, _ *Input, s *Settings) { s.Patroni = false }),
		[]string{"patroni-leader-changes", "patroni-silent-and-primary-dies", "patroni-paused"}},
	{"another epoch's progress counts", asked(func(h *Herd, in *Input, _ *Settings) {
		in.Progress.Fenced = map[string]bool{"h1": true}
		in.Progress.Epoch = h.Epoch
	}), []string{"acts-of-an-older-epoch"}},
}

func asked(change func(*Herd, *Input, *Settings)) func(decider) decider {
	return func(next decider) decider {
		return func(h Herd, in Input, s Settings) Step {
			change(&h, &in, &s)
			return next(h, in, s)
		}
	}
}

func answered(change func(Step) Step) func(decider) decider {
	return func(next decider) decider {
		return func(h Herd, in Input, s Settings) Step { return change(next(h, in, s)) }
	}
}

func each(in *Input, change func(*Sight)) {
	for _, seen := range in.Sights {
		for n, v := range seen {
			change(&v)
			seen[n] = v
		}
	}
}

func sights(change func(*Herd, *Sight)) func(decider) decider {
	return asked(func(h *Herd, in *Input, _ *Settings) { each(in, func(v *Sight) { change(h, v) }) })
}

func firstThatAnswers(next decider) decider {
	return func(h Herd, in Input, s Settings) Step {
		step := next(h, in, s)
		for _, n := range sortedNodes(in.Progress.Answers) {
			if h.Phase == Electing && (step.Propose == nil || step.Propose.Kind == MakeCandidate) {
				return Step{Propose: &Command{Kind: MakeCandidate, Epoch: h.Epoch, Node: n, Reason: "it has answered"}}
			}
		}
		return step
	}
}

func TestMutantsAreNoticed(t *testing.T) {
	all := files(t)
	for _, m := range mutants {
		t.Run(m.name, func(t *testing.T) {
			for _, name := range m.notice {
				text, ok := all[name]
				if !ok {
					t.Errorf("scenario %s does not exist", name)
				}
				if ok && len(run(name, text, m.of(Decide)).wrong) == 0 {
					t.Errorf("scenario %s did not notice", name)
				}
			}
		})
	}
}

// TestEachScenarioCanFail checks that every scenario fails with one of these leaders at least: one
// that never decides anything, one that fails the primary without a reason, and one that takes any
// node for the primary.
func TestEachScenarioCanFail(t *testing.T) {
	idle := func(Herd, Input, Settings) Step { return Step{} }
	hasty := func(h Herd, in Input, s Settings) Step {
		if h.Phase == Steady && h.Primary != None && in.Now > 0 {
			return Step{Propose: &Command{Kind: FailNode, Epoch: h.Epoch, Node: h.Primary, Reason: "haste"}}
		}
		return Step{}
	}
	eager := func(h Herd, in Input, s Settings) Step {
		for n, v := range in.Sights["h1"] {
			if h.Epoch == 0 && v.answered() {
				return Step{Propose: &Command{Kind: MakePrimary, Node: n, System: system, Timeline: 3, Reason: "haste"}}
			}
		}
		return Step{}
	}
	for name, text := range files(t) {
		if !slices.ContainsFunc([]decider{idle, hasty, eager}, func(d decider) bool { return len(run(name, text, d).wrong) > 0 }) {
			t.Errorf("scenario %s cannot fail", name)
		}
	}
}

// TestLimitsAreOrdered checks that limits that depend on each other are in their order.
func TestLimitsAreOrdered(t *testing.T) {
	ordered := []time.Duration{answersWithin, returnAfter, demotedFor, notStreaming, doubtedFor}
	if !slices.IsSorted(ordered) || sightsLast > demotedFor || backAfter < returnAfter {
		t.Errorf("limits are not in their order: %v", ordered)
	}
}
