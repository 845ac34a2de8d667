package failover

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestReplay checks that the same inputs, read from a record, give the same steps, and the same
// commands the same herd.
func TestReplay(t *testing.T) {
	all, asked := files(t), 0
	for _, name := range slices.Sorted(maps.Keys(all)) {
		p := run(name, all[name], Decide)
		for i, q := range p.asked {
			again := copied(q)
			if step := copied(Decide(again.Herd, again.Input, again.Settings)); !reflect.DeepEqual(step, q.Step) {
				t.Errorf("%s, question %d: got %+v, before it was %+v", name, i, step, q.Step)
			}
		}
		asked += len(p.asked)
		if p.restarted { // a restart puts the herd in doubt without a command
			continue
		}
		h := p.began
		for i, c := range p.taken {
			var err error
			if h, err = Apply(h, copied(c)); err != nil {
				t.Errorf("%s, command %d: %v", name, i, err)
			}
		}
		if written(t, h) != written(t, p.herd) {
			t.Errorf("%s: the commands lead to\n%s, before they led to\n%s", name, written(t, h), written(t, p.herd))
		}
	}
	if asked < 5*len(all) {
		t.Errorf("only %d decisions were asked for in %d scenarios", asked, len(all))
	}
}

// anySight is a random Sight.
func anySight(random *rand.Rand, h *Herd, now time.Duration) Sight {
	all := []Verdict{IsPrimary, IsStandby, IsStandby, IsStandby, Refused, Silent, Starting, ShuttingDown, Full, WrongPassword, Unresolved, WrongCluster, Failing}
	v := Sight{Verdict: all[random.IntN(len(all))], Times: 1 + random.IntN(4), For: time.Duration(random.IntN(90)) * time.Second,
		Heard: now - time.Duration(random.IntN(4500)-500)*time.Millisecond, Shutdown: random.IntN(6) == 0,
		System: system, Timeline: h.Timeline + uint32(random.IntN(5)/2), Received: uint64(random.IntN(4)), Upstream: random.IntN(6) - 2,
		Streaming: random.IntN(3) > 0, StreamingFor: time.Duration(random.IntN(90)) * time.Second, Connected: []int{random.IntN(4)}}
	if random.IntN(20) == 0 {
		v.System = 99
	}
	if random.IntN(4) == 0 {
		v.Sync = &SyncSet{K: random.IntN(2), Nodes: []int{1, 2}}
	}
	return v
}

func anyProgress(random *rand.Rand, h *Herd, members []string) Progress {
	p := Progress{Epoch: h.Epoch, Fenced: map[string]bool{}, Answers: map[int]Answer{}, Lasted: time.Duration(random.IntN(400)) * time.Second,
		Asked: time.Duration(random.IntN(400)) * time.Millisecond, HandedOff: random.IntN(4) == 0, Stopped: random.IntN(2) == 0}
	for _, m := range members {
		p.Fenced[m] = random.IntN(5) > 0
	}
	for n := range 4 {
		if random.IntN(2) == 0 {
			p.Answers[n] = Answer{Revoked: random.IntN(5) > 0, System: system, Timeline: h.Timeline, Received: uint64(random.IntN(4))}
		}
	}
	if random.IntN(2) == 0 {
		p.Promoted = &Promoted{Node: random.IntN(4), System: system, Timeline: h.Timeline + uint32(random.IntN(2))}
	}
	if random.IntN(9) == 0 {
		p.Failed = append(p.Failed, Failure{[]Action{Promote, Demote, Revoke}[random.IntN(3)], random.IntN(4), "why"})
	}
	return p
}

// TestDecideIsAllowedAndSettles checks that Apply accepts whatever Decide proposes, that the steps
// come to an end while the sights stay the same, and that nothing unsafe is proposed.
func TestDecideIsAllowedAndSettles(t *testing.T) {
	set := Settings{Members: []string{"h1", "h2", "h3"}, Votes: Votes{Consensus: true}, OnError: true, RestartGrace: time.Second, AutoFailback: true}
	for n := range 4 {
		set.Nodes = append(set.Nodes, NodeSettings{Index: n})
	}
	proposed := map[Kind]int{}
	for seed := range uint64(3000) {
		random := rand.New(rand.NewPCG(seed, 4))
		set.AllowLoss, set.Consensus, set.HalfVotes = random.IntN(4) == 0, random.IntN(8) > 0, random.IntN(8) == 0
		h := New()
		for moment := range 30 {
			in := Input{Now: time.Duration(moment) * time.Hour, Sights: map[string]map[int]Sight{}}
			for _, m := range set.Members {
				in.Sights[m] = map[int]Sight{}
				for n := range 4 {
					in.Sights[m][n] = anySight(random, &h, in.Now)
				}
			}
			in.Progress = anyProgress(random, &h, set.Members)
			h = settled(t, fmt.Sprintf("seed %d, moment %d", seed, moment), h, in, set, proposed)
			if random.IntN(20) == 0 && h.Epoch > 0 {
				h.Doubt = true
			}
			if c := order([]Kind{DrainTo, DetachNode, AttachNode}[random.IntN(3)], random.IntN(4), &h); random.IntN(5) == 0 {
				h, _ = Apply(h, c) // a command of an operator; if it is refused, nothing changes
			}
		}
	}
	for kind := range rules {
		if proposed[kind] == 0 && kind != DrainTo && kind != DetachNode && kind != AttachNode && kind != RemoveNode {
			t.Errorf("%s was never proposed", kind)
		}
	}
}

func settled(t *testing.T, where string, h Herd, in Input, set Settings, proposed map[Kind]int) Herd {
	var told []string
	for range mostMoments {
		step := Decide(h, in, set)
		if step.Propose != nil && step.Acts != nil {
			t.Fatalf("%s: the step has a command and acts, want one of them", where)
		}
		for _, a := range step.Acts {
			if a.Epoch != h.Epoch || a.Reason == "" || (a.Do == Promote && (h.Phase != Promoting || a.Node != h.Candidate)) {
				t.Fatalf("%s: wrong act %+v while %s", where, a, h.Phase)
			}
		}
		if step.Propose == nil {
			return h
		}
		c := *step.Propose
		if c.Reason == "" || c.Epoch != h.Epoch {
			t.Fatalf("%s: the command has no reason, or another epoch: %+v", where, c)
		}
		why := unsafe(h, c, in, set)
		if set.Patroni {
			why = unsafeBesidePatroni(h, c, in)
		}
		if set.Commands.Promote {
			why = unsafeBesideScript(h, c, in)
		}
		if why != "" {
			t.Fatalf("%s: unsafe command %v: %s", where, c, why)
		}
		after, err := Apply(h, c)
		if err != nil {
			t.Fatalf("%s: the proposed command is refused: %v", where, err)
		}
		proposed[c.Kind]++
		told, h = append(told, c.String()), after
	}
	t.Fatalf("%s: the decisions do not come to an end: %v", where, told)
	return h
}

// unsafe says what may not be proposed, and why. It is written without the code that decides.
func unsafe(h Herd, c Command, in Input, set Settings) string {
	inherited := false
	for _, sights := range in.Sights {
		v := sights[c.Node]
		inherited = inherited || v.Verdict == IsPrimary && v.Timeline > h.Timeline
	}
	switch {
	case c.Kind == MakeCandidate:
		for _, m := range set.Members {
			if in.Progress.Epoch != h.Epoch || !in.Progress.Fenced[m] {
				return "chosen before " + m + " has fenced"
			}
		}
		if a := in.Progress.Answers[c.Node]; !a.Revoked && !inherited {
			return "chosen while it receives"
		}
	case c.Kind == FailNode && h.Phase == Steady && set.Consensus && !set.HalfVotes && !h.Doubt:
		votes := 0
		for _, sights := range in.Sights {
			v := sights[c.Node]
			age := in.Now - v.Heard
			if age >= 0 && age <= sightsLast && (v.Verdict == Refused || v.Verdict == Silent || v.Verdict == IsStandby) {
				votes++
			}
		}
		if votes < 2 {
			return "failed by a minority"
		}
	case c.Kind == MarkUp || c.Kind == ReleaseNode:
		streams := false
		for _, sights := range in.Sights {
			streams = streams || sights[c.Node].Verdict == IsStandby && sights[c.Node].Streaming
		}
		if !streams || h.status(c.Node) == Detached {
			return "up though it does not stream"
		}
	}
	return ""
}

// TestDescribe has what an operator is told of the sights behind a decision.
func TestDescribe(t *testing.T) {
	const ms = time.Millisecond
	in := Input{Now: 10 * time.Second, Sights: map[string]map[int]Sight{"a": {
		0: {Verdict: Refused, Times: 2, For: 12 * ms, Heard: 9999 * ms, Shutdown: true},
		1: {Verdict: IsStandby, Times: 7, For: time.Minute, Heard: 9 * time.Second, Timeline: 3, Received: 0x300, Replayed: 0x2f0, Streaming: true, StreamingFor: time.Minute},
		2: {Verdict: IsStandby, Times: 1, Heard: 10 * time.Second, Timeline: 3, Received: 0x200, Replayed: 0x200, Upstream: None},
		3: {Verdict: IsPrimary, Times: 1, Heard: 10 * time.Second, Timeline: 2, Received: 0x400, Upstream: None, Sync: &SyncSet{K: 1, Names: []string{"a", "b"}}, Connected: []int{1}},
	}}}
	want := strings.Join([]string{
		"0: refused for 12ms in 2 probes, after its shutdown (1ms ago)",
		"1: standby for 1m0s in 7 probes, timeline 3 at 0/300, replayed 0/2F0, streaming from node 0 for 1m0s (1s ago)",
		"2: standby for 0s, timeline 3 at 0/200, replayed 0/200, not streaming for 0s, told to receive from nobody (0s ago)",
		"3: primary for 0s, timeline 2 at 0/400, ANY 1 of 2, streams to [1] (0s ago)"}, "; ")
	if got := Describe(&in); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	in.Sights["b"] = map[int]Sight{0: {Verdict: Silent, Times: 1, For: time.Second, Heard: 10 * time.Second}}
	if got := Describe(&in); !strings.HasPrefix(got, "a sees 0: refused") || !strings.HasSuffix(got, "; b sees 0: silent for 1s (0s ago)") {
		t.Errorf("of two members: %s", got)
	}
}
