package failover

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// anyReport is one of everything, and most often that this node leads.
func anyReport(random *rand.Rand, h *Herd, now time.Duration, leader int) Report {
	r := Report{Leader: leader, Timeline: h.Timeline, Paused: random.IntN(5) == 0, Heard: now - time.Duration(random.IntN(16000)-500)*time.Millisecond}
	if random.IntN(4) == 0 {
		r.Leader, r.Timeline = random.IntN(6)-2, max(h.Timeline, 1)+uint32(random.IntN(4))-1
	}
	if r.Leader == Elsewhere || random.IntN(20) == 0 {
		r.Name = "a"
	}
	return r
}

// TestPatroniIsAllowedAndSettles is TestDecideIsAllowedAndSettles where Patroni promotes.
func TestPatroniIsAllowedAndSettles(t *testing.T) {
	set := Settings{Members: []string{"h1"}, Votes: Votes{Consensus: true}, OnError: true, AutoFailback: true, Patroni: true}
	for n := range 4 {
		set.Nodes = append(set.Nodes, NodeSettings{Index: n})
	}
	proposed := map[Kind]int{}
	for seed := range uint64(3000) {
		random := rand.New(rand.NewPCG(seed, 5))
		h := New()
		for moment := range 30 {
			in := Input{Now: time.Duration(moment) * time.Hour, Sights: map[string]map[int]Sight{"h1": {}}, Reports: map[int]Report{}}
			leader := random.IntN(4)
			if random.IntN(2) == 0 {
				leader = h.Primary
			}
			for n := range 4 {
				v := anySight(random, &h, in.Now)
				if random.IntN(2) == 0 {
					v.Verdict, v.System, v.Heard, v.Upstream = IsStandby, system, in.Now, leader
					if n == leader {
						v.Verdict = IsPrimary
					}
				}
				in.Sights["h1"][n] = v
				if random.IntN(3) > 0 {
					in.Reports[n] = anyReport(random, &h, in.Now, leader)
				}
			}
			in.Progress = anyProgress(random, &h, set.Members)
			h = settled(t, fmt.Sprintf("seed %d, moment %d", seed, moment), h, in, set, proposed)
			if random.IntN(20) == 0 && h.Epoch > 0 {
				h.Doubt = true
			}
			if c := order([]Kind{DrainTo, DetachNode, AttachNode}[random.IntN(3)], random.IntN(4), &h); random.IntN(5) == 0 {
				h, _ = Apply(h, c)
			}
		}
	}
	for _, kind := range []Kind{FailNode, MakeCandidate, MakePrimary, BringBack, UndoDrain, MarkDown, MarkUp, QuarantineNode, ReleaseNode} {
		if proposed[kind] == 0 {
			t.Errorf("%s was never proposed", kind)
		}
	}
}

// unsafeBesidePatroni is what may not be proposed where Patroni promotes: to take anybody for the
// primary whom Patroni does not name, but the last one that is known, or that it has named before.
func unsafeBesidePatroni(h Herd, c Command, in Input) string {
	named := false
	for _, r := range in.Reports {
		age := in.Now - r.Heard
		named = named || r.Leader == c.Node && age >= 0 && age <= reportsLast
	}
	switch {
	case c.Kind == MakeCandidate && !named, c.Kind == MakePrimary && !named && c.Node != h.Primary && c.Node != h.Candidate:
		return "Patroni does not name it"
	case c.Kind == MakeCandidate && (in.Progress.Epoch != h.Epoch || !in.Progress.Fenced["h1"]):
		return "taken before the fence"
	case c.Kind == MakePrimary && (in.Sights["h1"][c.Node].Verdict != IsPrimary || c.Timeline < h.Timeline):
		return "it is not promoted"
	case c.Kind == NoteSync || c.Kind == DrainTo:
		return "pgherd promotes nobody"
	}
	return ""
}

// TestScriptIsAllowedAndSettles is TestDecideIsAllowedAndSettles where commands promote: a standby in
// use, or who is primary already.
func TestScriptIsAllowedAndSettles(t *testing.T) {
	set := Settings{Members: []string{"h1"}, Votes: Votes{Consensus: true}, OnError: true, AutoFailback: true, Commands: Commands{Promote: true}, Candidates: []int{3, 9}}
	for n := range 4 {
		set.Nodes = append(set.Nodes, NodeSettings{Index: n})
	}
	proposed := map[Kind]int{}
	for seed := range uint64(1000) {
		random := rand.New(rand.NewPCG(seed, 6))
		h := New()
		for moment := range 30 {
			in := Input{Now: time.Duration(moment) * time.Hour, Sights: map[string]map[int]Sight{"h1": {}}}
			for n := range 4 {
				in.Sights["h1"][n] = anySight(random, &h, in.Now)
			}
			in.Progress = anyProgress(random, &h, set.Members)
			h = settled(t, fmt.Sprintf("seed %d, moment %d", seed, moment), h, in, set, proposed)
			if c := order([]Kind{DetachNode, AttachNode}[random.IntN(2)], random.IntN(4), &h); random.IntN(5) == 0 {
				h, _ = Apply(h, c)
			}
		}
	}
	if proposed[MakeCandidate] == 0 || proposed[MakePrimary] == 0 {
		t.Errorf("proposed were %v", proposed)
	}
}

// unsafeBesideScript: no act asks for a position, so that a standby need not have stopped receiving.
func unsafeBesideScript(h Herd, c Command, in Input) string {
	v := in.Sights["h1"][c.Node]
	switch {
	case c.Kind == MakeCandidate && (in.Progress.Epoch != h.Epoch || !in.Progress.Fenced["h1"]):
		return "chosen before the fence"
	case c.Kind == MakeCandidate && !v.answered():
		return "it does not answer"
	case c.Kind == MakeCandidate && v.Verdict == IsStandby && h.status(c.Node) != Up:
		return "it is not in use"
	}
	return ""
}

// TestPatroniOnlyFences: where Patroni promotes, nothing is carried out on a node.
func TestPatroniOnlyFences(t *testing.T) {
	all, acts := files(t), 0
	for name, text := range all {
		for _, q := range run(name, text, Decide).asked {
			if !q.Settings.Patroni {
				continue
			}
			for _, a := range q.Step.Acts {
				acts++
				if a.Do != Fence && a.Do != Alarm {
					t.Errorf("%s: %+v", name, a)
				}
			}
		}
	}
	if acts == 0 {
		t.Error("no scenario has a fence")
	}
}
