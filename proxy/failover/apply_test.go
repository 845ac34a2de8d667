package failover

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
)

const system = 77 // the system identifier of every herd

// herdIn is a herd of three nodes in this phase. Node 0 is the primary, or was; node 2 is down.
func herdIn(phase Phase) Herd {
	h := Herd{Epoch: 7, Phase: phase, Primary: 0, Former: None, Candidate: None, Timeline: 3, System: system,
		Nodes: []Node{{Index: 0, Status: Up}, {Index: 1, Status: Up}, {Index: 2, Status: Down}}}
	switch phase {
	case Draining:
		h.Candidate = 1
	case Electing, Promoting:
		h.Primary, h.Former, h.Nodes[0].Status = None, 0, Down
	}
	if phase == Promoting {
		h.Candidate = 1
	}
	return h
}

func order(kind Kind, node int, h *Herd) Command {
	c := Command{Kind: kind, Epoch: h.Epoch, Node: node, By: "ann", Reason: "a test", Timeline: h.Timeline + 1, System: system}
	if kind == NoteSync {
		c.Sync = &SyncSet{K: 1, Nodes: []int{1}}
	}
	return c
}

// TestTransitions checks the table of phases, and that no other command changes the phase.
func TestTransitions(t *testing.T) {
	type step struct {
		from Phase
		kind Kind
		node int
	}
	want := map[step]string{
		{Steady, FailNode, 0}:         "electing 8 primary -1 former 0 candidate -1",
		{Steady, MakePrimary, 0}:      "steady 8 primary 0 former -1 candidate -1",
		{Steady, DrainTo, 1}:          "draining 7 primary 0 former -1 candidate 1",
		{Draining, UndoDrain, None}:   "steady 7 primary 0 former -1 candidate -1",
		{Draining, FailNode, 0}:       "electing 8 primary -1 former 0 candidate 1",
		{Electing, MakeCandidate, 1}:  "promoting 7 primary -1 former 0 candidate 1",
		{Electing, MakeCandidate, 2}:  "promoting 7 primary -1 former 0 candidate 2",
		{Electing, BringBack, 0}:      "steady 8 primary 0 former -1 candidate -1",
		{Electing, FailNode, 0}:       "electing 8 primary -1 former 0 candidate -1",
		{Electing, FailNode, 1}:       "electing 8 primary -1 former 0 candidate -1",
		{Electing, FailNode, 2}:       "electing 8 primary -1 former 0 candidate -1",
		{Promoting, MakePrimary, 1}:   "steady 7 primary 1 former -1 candidate -1",
		{Promoting, FailNode, 1}:      "electing 8 primary -1 former 0 candidate -1",
		{Electing, RemoveNode, 0}:     "electing 7 primary -1 former 0 candidate -1",
		{Promoting, RemoveNode, 0}:    "promoting 7 primary -1 former 0 candidate 1",
		{Promoting, AttachNode, 0}:    "promoting 7 primary -1 former 0 candidate 1",
		{Electing, QuarantineNode, 0}: "electing 7 primary -1 former 0 candidate -1",
	}
	for _, phase := range always {
		for kind := range rules {
			for node := None; node <= 2; node++ {
				h := herdIn(phase)
				after, err := Apply(h, order(kind, node, &h))
				got := fmt.Sprintf("%s %d primary %d former %d candidate %d", after.Phase, after.Epoch, after.Primary, after.Former, after.Candidate)
				expected, changes := want[step{phase, kind, node}]
				switch {
				case changes && (err != nil || got != expected):
					t.Errorf("%s, %s %d: leads to %s, error %v", phase, kind, node, got, err)
				case !changes && (after.Phase != h.Phase || after.Epoch != h.Epoch || after.Primary != h.Primary):
					t.Errorf("%s, %s %d: leads to %s, want no change of phase", phase, kind, node, got)
				}
			}
		}
	}
}

// TestRefused checks that the error says why a command is refused.
func TestRefused(t *testing.T) {
	for _, c := range []struct {
		phase  Phase
		change func(*Herd, *Command)
		kind   Kind
		node   int
		want   string
	}{
		{Steady, nil, "explode", 0, "there is no such command"},
		{Steady, nil, FailNode, 1, "it is not the primary"},
		{Promoting, nil, FailNode, 0, "node 1 is being promoted"},
		{Steady, nil, FailNode, None, "none that it could be about"},
		{Draining, nil, UndoDrain, 1, "none that it could be about"},
		{Steady, func(_ *Herd, c *Command) { c.Epoch = 6 }, FailNode, 0, "it was decided in epoch 6"},
		{Steady, func(_ *Herd, c *Command) { c.Epoch = 8 }, FailNode, 0, "it was decided in epoch 8"},
		{Electing, nil, MakeCandidate, 0, "it can only come back"},
		{Electing, func(h *Herd, _ *Command) { h.Nodes[1].Status = Detached }, MakeCandidate, 1, "the node is detached"},
		{Electing, func(h *Herd, _ *Command) { h.Nodes[0].Status = Detached }, BringBack, 0, "an operator has detached it"},
		{Electing, nil, BringBack, 1, "the primary that failed is node 0"},
		{Promoting, nil, MakePrimary, 2, "node 1 is the one to be promoted"},
		{Promoting, func(_ *Herd, c *Command) { c.Timeline = 3 }, MakePrimary, 1, "is not newer than 3"},
		{Promoting, func(_ *Herd, c *Command) { c.System = 9 }, MakePrimary, 1, "its system is 9"},
		{Promoting, func(_ *Herd, c *Command) { c.System = 0 }, MakePrimary, 1, "is not known"},
		{Steady, nil, MakePrimary, 1, "only Fail changes that"},
		{Steady, func(h *Herd, c *Command) { h.Doubt, c.Timeline = true, 2 }, MakePrimary, 1, "older than 3"},
		{Steady, func(h *Herd, _ *Command) { h.Doubt, h.Nodes[1].Status = true, Detached }, MakePrimary, 1, "has detached it"},
		{Steady, func(_ *Herd, c *Command) { c.By = "" }, DetachNode, 1, "only an operator"},
		{Steady, func(_ *Herd, c *Command) { c.By = "" }, AttachNode, 2, "only an operator"},
		{Promoting, nil, DetachNode, 1, "it is the one to be promoted"},
		{Draining, nil, QuarantineNode, 1, "it is the one to be promoted"},
		{Steady, func(h *Herd, _ *Command) { h.Doubt = true }, MarkUp, 2, "not certain yet"},
		{Steady, func(h *Herd, _ *Command) { h.Doubt = true }, DrainTo, 1, "no primary to switch over from"},
		{Steady, func(h *Herd, _ *Command) { h.Primary = None }, MarkUp, 2, "no primary that it could follow"},
		{Steady, func(h *Herd, _ *Command) { h.Primary = None }, NoteSync, None, "no primary whose set"},
		{Steady, func(_ *Herd, c *Command) { c.Sync = nil }, NoteSync, None, "it names no set"},
		{Steady, func(h *Herd, c *Command) { h.Sync = *c.Sync }, NoteSync, None, "the set is known"},
		{Steady, func(h *Herd, _ *Command) { h.Before = make([]SyncSet, mostSets) }, NoteSync, None, "has changed 8 times"},
	} {
		h := herdIn(c.phase)
		command := order(c.kind, c.node, &h)
		if c.change != nil {
			c.change(&h, &command)
		}
		after, err := Apply(h, command)
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "apply "+string(c.kind)) {
			t.Errorf("%s, %s %d: got error %v, want %s", c.phase, c.kind, c.node, err, c.want)
		}
		if !reflect.DeepEqual(after, h) {
			t.Errorf("%s, %s %d: the command was refused, but the herd has changed", c.phase, c.kind, c.node)
		}
	}
}

// walk applies random commands, of which about half are allowed.
func walk(seed uint64, steps int, each func(before Herd, c Command, after Herd, err error)) {
	random := rand.New(rand.NewPCG(seed, 1))
	kinds := []Kind{}
	for kind := range rules {
		kinds = append(kinds, kind)
	}
	slices.Sort(kinds)
	h := New()
	for range steps {
		c := order(kinds[random.IntN(len(kinds))], random.IntN(4), &h)
		if !c.Kind.needsNode() {
			c.Node = None
		}
		if random.IntN(8) == 0 {
			c.Epoch -= uint64(random.IntN(3))
		}
		c.Timeline = max(1, h.Timeline+uint32(random.IntN(3))-1)
		if random.IntN(3) == 0 {
			c.By = ""
		}
		after, err := Apply(h, c)
		each(h, c, after, err)
		if h = after; random.IntN(50) == 0 && h.Epoch > 0 {
			h.Doubt = true
		}
	}
}

const (
	walks = 200
	steps = 400
)

// TestInvariants checks the invariants on walks of random commands.
func TestInvariants(t *testing.T) {
	seen := map[Kind]int{}
	for seed := range uint64(walks) {
		detached, fault := map[int]bool{}, false
		walk(seed, steps, func(before Herd, c Command, after Herd, err error) {
			for why, wrong := range broken(before, c, after, err, detached) {
				if wrong {
					t.Errorf("seed %d: %s: %v (%v)\n%+v\n%+v", seed, why, c, err, before, after)
					fault = true
				}
			}
			if err == nil {
				seen[c.Kind]++
			}
		})
		if fault {
			return
		}
	}
	for kind := range rules {
		if seen[kind] == 0 {
			t.Errorf("no walk has applied the command %s", kind)
		}
	}
}

// broken are the invariants that a command breaks. detached has the nodes that were detached and not
// attached since; it is kept apart from the herd.
func broken(before Herd, c Command, after Herd, err error, detached map[int]bool) map[string]bool {
	if err == nil {
		switch c.Kind {
		case DetachNode:
			detached[c.Node] = true
		case AttachNode, RemoveNode:
			delete(detached, c.Node)
		}
	}
	up := false
	for n := range detached {
		up = up || after.status(n) == Up || after.Primary == n || after.Candidate == n && after.Phase == Promoting
	}
	led := after.Phase == Steady || after.Phase == Draining
	return map[string]bool{
		"a refused command changes the herd":           err != nil && !reflect.DeepEqual(before, after),
		"a command of another epoch is applied":        err == nil && c.Epoch != before.Epoch,
		"the epoch goes back":                          after.Epoch < before.Epoch,
		"the epoch jumps":                              after.Epoch > before.Epoch+1,
		"the timeline goes back":                       after.Timeline < before.Timeline,
		"Fail leads to no newer epoch":                 err == nil && c.Kind == FailNode && (after.Epoch != before.Epoch+1 || after.Phase != Electing),
		"a primary in a phase without one":             !led && after.Primary != None,
		"no primary in a phase that has one":           led && after.Epoch > 0 && after.Primary == None,
		"the primary is not up":                        after.Primary != None && after.status(after.Primary) != Up,
		"a promotion that follows no election":         after.Phase == Promoting && before.Phase != Promoting && before.Phase != Electing,
		"two candidates in one epoch":                  before.Phase == Promoting && after.Phase == Promoting && after.Candidate != before.Candidate,
		"another primary without a Fail or doubt":      before.Phase == Steady && before.Primary != None && !before.Doubt && after.Primary != before.Primary && c.Kind != FailNode,
		"another primary in the same epoch":            before.Primary != None && after.Primary != None && after.Primary != before.Primary && after.Epoch == before.Epoch,
		"the primary that failed is promoted":          after.Phase == Promoting && after.Candidate == after.Former,
		"a detached node is in use":                    up,
		"nodes are out of order":                       !slices.IsSortedFunc(after.Nodes, func(a, b Node) int { return a.Index - b.Index }),
		"a herd that Load would refuse":                after.check() != nil,
		"an election's results stay in a steady herd":  after.Phase == Steady && (after.Proven != 0 || after.Absent != nil || after.Tried != nil || after.Former != None),
		"a detach without an operator":                 err == nil && c.Kind == DetachNode && c.By == "",
		"a node in quarantine is up without a release": err == nil && c.Kind == MarkUp && before.status(c.Node) == Quarantined,
	}
}

// TestApplyLeavesTheOldHerd checks that Apply does not change the herd that is passed to it, because members keep Views of it.
func TestApplyLeavesTheOldHerd(t *testing.T) {
	for seed := range uint64(20) {
		text := ""
		walk(seed, steps, func(before Herd, c Command, after Herd, _ error) {
			if got := written(t, before); text != "" && got != text && !before.Doubt {
				t.Fatalf("seed %d: %v changed the herd that it was applied to:\n%s\n%s", seed, c, text, got)
			}
			text = written(t, after)
		})
	}
}

func written(t *testing.T, v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestFile checks that a herd that was written is read again, and is in doubt.
func TestFile(t *testing.T) {
	walk(1, steps, func(_ Herd, _ Command, h Herd, _ error) {
		got, err := Load([]byte(written(t, h)))
		h.Doubt = h.Epoch > 0
		if err != nil || written(t, got) != written(t, h) {
			t.Fatalf("read again: error %v, got\n%+v\nwant\n%+v", err, got, h)
		}
	})
	for text, want := range map[string]string{
		"":                               "read the status file",
		`{"epoch":"x"}`:                  "read the status file",
		`{"phase":"odd"}`:                `there is no phase "odd"`,
		`{"epoch":3}`:                    "primary -1 while steady in epoch 3",
		`{"epoch":0,"primary":0}`:        "primary 0 while steady in epoch 0",
		`{"epoch":3,"phase":"electing"}`: "nobody failed",
		`{"epoch":3,"phase":"electing","primary":1}`: "primary 1 while electing",
		`{"epoch":3,"phase":"promoting","former":1}`: "nobody failed or is promoted",
	} {
		if _, err := Load([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got error %v, want one that says %s", text, err, want)
		}
	}
}

// TestNamesInFiles fixes the names that status files have, because other versions and people read
// them.
func TestNamesInFiles(t *testing.T) {
	h := herdIn(Promoting)
	h.Sync, h.Proven, h.Tried = SyncSet{First: true, K: 1, Names: []string{"a", "b"}, Nodes: []int{1}}, 9, []int{2}
	want := `{"epoch":7,"phase":"promoting","primary":-1,"former":0,"candidate":1,"timeline":3,"system":"77","sync":{"first":true,"k":1,"names":["a","b"],"nodes":[1]},` +
		`"proven":9,"tried":[2],"nodes":[{"node":0,"status":"down"},{"node":1,"status":"up"},{"node":2,"status":"down"}]}`
	if got := written(t, h); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	c := Command{Kind: MarkDown, Epoch: 7, Node: 1, Reason: "why", NotStreaming: true}
	if got := written(t, c); got != `{"kind":"down","epoch":7,"node":1,"reason":"why","not_streaming":true}` {
		t.Errorf("the command is written as %s", got)
	}
}
