//go:build !race

package lease

import (
	"os/exec"
	"strings"
	"testing"

	"pgherd/kernel-tests/mutation"
)

// What may notice: the simulation, all that a reader can follow, or the one story about clocks.
const (
	seeds   = "^TestSimulation$"
	stories = "^(TestPromises|TestHolds|TestNext|TestHandOver|TestHolderIsLost|TestQuestionsArriveAndAnswersDoNot|TestTwoAreTold|TestAllStartAtOnce|TestMemberRestarts|TestClocksDiffer)$"
	clocks  = "^TestClocksDiffer$"
)

type mutant struct {
	mutation.Broken
	notice []string
}

// says is what the simulation has to find: that two answer, not only that nobody does.
func (m mutant) says() string {
	if m.Function == "holder.turn" {
		return " does not answer, "
	}
	return " answers until "
}

var names = map[string]string{seeds: "seeds", stories: "stories", clocks: "clocks"}

// mutations break the rules. What each row names has to notice.
var mutations = []mutant{
	{mutation.Broken{Name: "the deadline counts from the answer", Function: "holder.take", Old: "deadline := h.began +", New: "deadline := now +"}, []string{seeds, stories}},
	{mutation.Broken{Name: "there is no wait after a start", Function: "New", Old: "opens: now + s.Lease", New: "opens: now"}, []string{seeds, stories}},
	{mutation.Broken{Name: "promises of old rounds count", Function: "holder.take", Old: "m.Round != h.round()", New: "m.Round.Incarnation != h.Incarnation"}, []string{seeds, stories}},
	{mutation.Broken{Name: "what was promised in old rounds counts", Function: "holder.ask", Old: "h.promised, h.refused = now, nil,", New: "h.promised, h.refused = now, h.promised,"}, []string{seeds, stories}},
	{mutation.Broken{Name: "a minority is enough", Function: "holder.majority", Old: "len(h.own.list.Members)/2 + 1", New: "(len(h.own.list.Members) + 1) / 2"}, []string{seeds, stories}},
	{mutation.Broken{Name: "there is no margin", Function: "holder.take", Old: "h.Lease - h.Margin", New: "h.Lease"}, []string{stories, clocks}},
	{mutation.Broken{Name: "others are told before the kernel is silent", Function: "holder.giveUp", Old: "return Step{Silence: true}", New: "return Step{Silence: true, Send: h.toOthers(Release)}"}, []string{seeds, stories}},
	{mutation.Broken{Name: "its own promise ends before the kernel is silent", Function: "holder.giveUp", Old: "h.state = Silencing", New: "h.state = Silencing\n\th.own.release(h.Self, h.round())"}, []string{stories}},
	{mutation.Broken{Name: "others are told before the address is removed", Function: "holder.silenced", Old: "return Step{Remove: true}", New: "return Step{Remove: true, Send: h.toOthers(Release)}"}, []string{stories}},
	{mutation.Broken{Name: "nothing is silenced", Function: "holder.giveUp", Old: "h.until == 0", New: "h.until >= 0"}, []string{seeds, stories}},
	{mutation.Broken{Name: "an old release frees a later promise", Function: "promiser.release", Old: "r.covers(p.round)", New: "r.Number > 0"}, []string{seeds, stories}},
	{mutation.Broken{Name: "anybody's release frees", Function: "promiser.release", Old: "p.to == from && r.covers(p.round)", New: "r.Number > 0"}, []string{seeds, stories}},
	{mutation.Broken{Name: "a release of another life frees", Function: "Round.covers", Old: "r.Incarnation == other.Incarnation && ", New: ""}, []string{stories}},
	{mutation.Broken{Name: "a late question makes the promise that of an earlier round", Function: "promiser.over", Old: " || p.has(from, r) && r.Number < p.round.Number", New: ""}, []string{stories}},
	{mutation.Broken{Name: "a question after its release makes a promise", Function: "promiser.over", Old: "p.released[from].covers(r) || ", New: ""}, []string{stories}},
	{mutation.Broken{Name: "an earlier release is remembered in the place of a later", Function: "promiser.release", Old: "!p.released[from].covers(r)", New: "r.Number > 0"}, []string{stories}},
	{mutation.Broken{Name: "two have a promise", Function: "promiser.ask", Old: "left > 0 && !p.has(from, r)", New: "left > 0 && now < p.opens"}, []string{seeds, stories}},
	{mutation.Broken{Name: "two lives of a member have a promise", Function: "promiser.has", Old: " && p.round.Incarnation == r.Incarnation", New: ""}, []string{stories}},
	{mutation.Broken{Name: "a late promise sets the deadline again", Function: "holder.take", Old: "h.state != Asking || ", New: ""}, []string{seeds, stories}},
	{mutation.Broken{Name: "a deadline that has passed is given", Function: "holder.take", Old: " || deadline <= now", New: ""}, []string{stories}},
	{mutation.Broken{Name: "a claimant never stops asking", Function: "holder.turn", Old: "now-h.whole >= h.Lease", New: "now < 0"}, []string{stories}},
	{mutation.Broken{Name: "a claimant that cannot reach a majority keeps what it has", Function: "holder.refusedBy", Old: "possible || now < h.until", New: "possible || now > 0"}, []string{stories}},
	{mutation.Broken{Name: "a holder that is refused gives up at once", Function: "holder.refusedBy", Old: " || now < h.until", New: ""}, []string{stories}},
	{mutation.Broken{Name: "who is not told any more keeps the address", Function: "holder.tell", Old: "!hold && h.state == Asking", New: "false"}, []string{stories}},
	{mutation.Broken{Name: "it does not ask again", Function: "holder.turn", Old: "now-h.began >= h.Lease/rounds", New: "now < 0"}, []string{seeds, stories}},
	{mutation.Broken{Name: "who has promised another asks all the same", Function: "holder.refusedBy", Old: "!alone && ", New: "(alone || !alone) && "}, []string{stories}},
	{mutation.Broken{Name: "who has an older list is promised the address", Function: "promiser.ask", Old: "m.List < p.list.Number", New: "m.List < 0"}, []string{seeds, stories}},
	{mutation.Broken{Name: "promises by an older list count", Function: "holder.adopted", Old: "return h.ask(now)", New: "return h.turn(now)"}, []string{stories}},
	{mutation.Broken{Name: "promises of who is no member count", Function: "holder.take", Old: " || !h.own.list.has(from)", New: ""}, []string{stories}},
	{mutation.Broken{Name: "who is no member is promised the address", Function: "promiser.ask", Old: "m.List == p.list.Number && !p.list.has(from) || ", New: ""}, []string{stories}},
	{mutation.Broken{Name: "an older list is adopted", Function: "Lease.Adopt", Old: " || list.Number <= l.promiser.list.Number", New: ""}, []string{stories}},
	{mutation.Broken{Name: "who is no member any more goes on", Function: "holder.wants", Old: " && h.own.list.has(h.Self)", New: ""}, []string{stories}},
}

// TestSimulationAndStoriesFindWhatIsBrokenOnPurpose breaks one rule after the other.
func TestSimulationAndStoriesFindWhatIsBrokenOnPurpose(t *testing.T) {
	for _, m := range mutations {
		for _, run := range m.notice {
			t.Run(m.Name+"/"+names[run], func(t *testing.T) {
				m.Folder = "."
				out, err := exec.Command("go", "test", "-count=1", "-vet=off", "-ldflags=-s -w", "-overlay", m.Overlay(t),
					"-failfast", "-run", run, ".", "-sim.seeds", "10000").CombinedOutput()
				if err == nil {
					t.Fatal("not noticed")
				}
				if !strings.Contains(string(out), "--- FAIL: ") || run == seeds && !strings.Contains(string(out), m.says()) {
					t.Fatalf("failed for another reason:\n%s", out)
				}
			})
		}
	}
}

// TestPlacesToBreak fails at once if the code that a mutation replaces has moved.
func TestPlacesToBreak(t *testing.T) {
	for _, m := range mutations {
		m.Folder = "."
		t.Run(m.Name, func(t *testing.T) { m.Overlay(t) })
	}
}
