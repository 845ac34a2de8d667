//go:build !race

package failover

import (
	"os/exec"
	"strings"
	"testing"

	"pgherd/kernel-tests/mutation"
)

// mutations break the rules themselves. The scenarios and the walks must notice them.
var mutations = []mutation.Broken{
	{Name: "one refusal counts as death", Function: "Settings.dead", Old: "return v.Times >= refusals", New: "return v.Times >= 1"},
	{Name: "a node with the flag Keep counts as dead", Function: "Settings.dead", Old: "case s.node(node).Keep:", New: "case false:"},
	{Name: "half of an even number is a majority", Function: "Settings.needed", Old: "return n/2 + 1", New: "return (n + 1) / 2"},
	{Name: "a sight from the future counts", Function: "Settings.fresh", Old: "age >= 0 &&", New: ""},
	{Name: "a Fail stays in its epoch", Function: "fail", Old: "h.Epoch+1, None, wanted", New: "h.Epoch, None, wanted"},
	{Name: "Absent is set again at the second failure", Function: "fail", Old: "h.Former, h.HandedOver, h.Absent = h.Primary, c.HandedOver, nil", New: "h.Former, h.HandedOver, h.Absent = h.Primary, c.HandedOver, []int{0, 1, 2, 3}"},
	{Name: "a found primary stays in its epoch", Function: "makePrimary", Old: "epoch++", New: "_ = epoch"},
	{Name: "a switchover's target is forgotten", Function: "fail", Old: "wanted = h.Candidate", New: "_ = wanted"},
	{Name: "another epoch's command is applied", Function: "Herd.allows", Old: "c.Epoch != h.Epoch", New: "c.Epoch > h.Epoch"},
	{Name: "a promotion may stay on its timeline", Function: "refusePrimary", Old: "c.Timeline <= h.Timeline", New: "c.Timeline < h.Timeline"},
	{Name: "unknown members of the synchronous set are ignored", Function: "Herd.provedBy", Old: "unknown, gone := set.size()-len(set.Nodes), 0", New: "unknown, gone := 0, 0"},
	{Name: "one answer too few", Function: "Herd.provedBy", Old: "if unknown >= set.K {", New: "if unknown > set.K {"},
	{Name: "standbys that were lost need not be covered", Function: "Herd.provedBy", Old: "position = max(position, p.Last.Received)", New: "_ = position"},
	{Name: "the primary's list of connected standbys is ignored", Function: "Herd.gone", Old: " && !slices.Contains(p.Last.Connected, n)", New: ""},
	{Name: "the primary is in its own set", Function: "Herd.proved", Old: "set = set.without(h.Former)", New: "_ = set"},
	{Name: "less than what is needed is enough", Function: "Choose", Old: "a.Received < needed && !s.AllowLoss", New: "false"},
	{Name: "the list of candidates precedes positions", Function: "Herd.prefer", Old: "\t\tcmp.Compare(y.Received, x.Received),\n", New: "\t\tcmp.Compare(order(a), order(b)),\n\t\tcmp.Compare(y.Received, x.Received),\n"},
	{Name: "a standby whose replay is paused is preferred equally", Function: "Herd.prefer", Old: "first(!x.Paused, !y.Paused),", New: ""},
	{Name: "a standby that did not stream is a candidate", Function: "Herd.unfit", Old: "case node.NotStreaming && h.Sync.K == 0 && !s.AllowLoss:", New: "case false:"},
	{Name: "dead nodes are candidates", Function: "Herd.unfit", Old: "slices.Contains(p.Dead, n)", New: "false"},
	{Name: "a primary on another timeline comes back", Function: "decision.answersAsBefore", Old: "v.Timeline == d.h.Timeline &&", New: ""},
	{Name: "a minority brings the primary back", Function: "decision.answersAsBefore", Old: "dead, _ := d.dead(p); dead ||", New: ""},
	{Name: "a standby is promoted though all return together", Function: "decision.allReturn", Old: "return answers", New: "return answers && false"},
	{Name: "a primary that flaps alone puts the election off", Function: "decision.allReturn", Old: "v.For >= together", New: "v.For >= together && false"},
	{Name: "any promoted node becomes the primary", Function: "decision.heir", Old: "case answers && old.Verdict == IsStandby:", New: "case old.answered() || !answers:"},
	{Name: "a promoted candidate is given up", Function: "decision.heir", Old: "case slices.Contains(d.h.Tried, n):", New: "case false:"},
	{Name: "slow standbys are not awaited at all", Function: "decision.electing", Old: "if awaited && d.in.Progress.Asked < answersWithin {", New: "if awaited && false {"},
	{Name: "members of the synchronous set count as cascading standbys", Function: "decision.cascades", Old: "if slices.Contains(set.Nodes, n) {", New: "if set.K < 0 {"},
	{Name: "the old set is dropped early", Function: "decision.settled", Old: " && v.Received >= d.h.ChangedAt", New: ""},
	{Name: "a false primary is not put in quarantine", Function: "decision.falsePrimary", Old: "if !claims || n.Status == Quarantined ||", New: "if claims || n.Status != Quarantined ||"},
	{Name: "auto_failback is always on", Function: "decision.returns", Old: " || d.s.AutoFailback:", New: " || true:"},
	{Name: "a node that was cut off does not come back", Function: "decision.returns", Old: "case n.Timeline == d.h.Timeline || d.s.AutoFailback:", New: "case d.s.AutoFailback:"},
	{Name: "a circle of standbys counts as following", Function: "decision.follows", Old: "\t\tn = v.Upstream\n\t}\n\treturn false", New: "\t\tn = v.Upstream\n\t}\n\treturn true"},
	{Name: "the file is given up for an equal timeline", Function: "decision.doubted", Old: "least, dead := d.h.Timeline+1, false", New: "least, dead := d.h.Timeline, false"},
	{Name: "the file is given up though one of its nodes lives", Function: "decision.doubted", Old: " && !d.somebodyLives()", New: ""},
	{Name: "the first start does not wait for nodes", Function: "decision.firstStart", Old: "case waiting != None:", New: "case false:"},
	{Name: "the primary with most standbys is taken", Function: "decision.newest", Old: "if len(led) == 1 {", New: "if len(led) > 0 {"},
	{Name: "failover_command may promote a node out of use", Function: "decision.foremost", Old: "d.h.untried(n) && ", New: ""},
	{Name: "failover_command may promote a node that does not answer", Function: "decision.foremost", Old: "answers && v.Verdict == IsStandby", New: "(answers || n >= 0)"},
	{Name: "failover_command is told the first standby, whatever it has", Function: "decision.foremost", Old: " && has > most", New: " && false"},
	{Name: "what a slow standby was seen to have does not count", Function: "decision.received", Old: "at = v.Received", New: "at = 0"},
	{Name: "what a standby answers does not count", Function: "decision.received", Old: "at = max(at, a.Received)", New: "_ = a"},
	{Name: "standbys follow without follow_primary_command", Function: "decision.follow", Old: "d.s.Commands.Promote && !d.s.Commands.Follow", New: "d.s.Commands.Promote && d.s.Commands.Follow"},
	{Name: "follow_primary_command is run for a standby after a short break", Function: "decision.follow", Old: "without >= notStreaming", New: "true"},
	{Name: "follow_primary_command is run though nobody was promoted", Function: "decision.follow", Old: " && !d.h.Promoted && v.Upstream == None", New: " && false"},
	{Name: "follow_primary_command is run for several healthy standbys", Function: "decision.follow", Old: " && !d.running(Follow)", New: ""},
	{Name: "a restart of the primary counts as a standby's break", Function: "decision.withoutStream", Old: "min(d.in.Progress.Lasted, lead.For)", New: "max(d.in.Progress.Lasted, lead.For)"},
	{Name: "failover_command is killed once another node is primary", Function: "decision.promoting", Old: " && !d.running(Promote)", New: ""},
	{Name: "a candidate that is still a standby counts as lost", Function: "fail", Old: "!(c.Standby && h.Phase == Promoting)", New: "true"},
	{Name: "a leader of Patroni's on a timeline of the same number is not told", Function: "decision.behind", Old: "v.Timeline <= d.h.Timeline", New: "v.Timeline < d.h.Timeline"},
	{Name: "half of the answers of Patroni decide", Function: "decision.patroni", Old: "2*same > len(newest)", New: "2*same >= len(newest)"},
	{Name: "answers of Patroni on an older timeline count", Function: "decision.reports", Old: "case r.Timeline < d.h.Timeline, len(newest) > 0 && ", New: "case len(newest) > 0 && "},
	{Name: "answers of Patroni on all timelines count alike", Function: "decision.reports", Old: "newest = []Report{r}", New: "newest = append(newest, r)"},
	{Name: "answers of Patroni count however old they are", Function: "decision.told", Old: " || age > cmp.Or(d.s.ReportsLast, reportsLast)", New: ""},
	{Name: "a primary without the lock is given up also in a pause", Function: "consensus.contradicts", Old: `excused := c.Leader == None && c.Name == "" && c.Paused`, New: "excused := false"},
	{Name: "without Patroni the primary comes back though another is newer", Function: "decision.outdated", Old: "other.Timeline > v.Timeline", New: "other.Timeline > v.Timeline && o.Index == n"},
	{Name: "a leader that Patroni named before a restart is taken", Function: "decision.patroniPromoting", Old: " && !d.h.Doubt", New: ""},
	{Name: "Patroni's leader is used before it is promoted", Function: "decision.patroniFirst", Old: "case !claims || v.System == 0 || v.Timeline == 0:", New: "case !claims && v.Timeline == 0:"},
	{Name: "with Patroni the fence is not waited for", Function: "decision.patroniElecting", Old: "acts != nil", New: "acts != nil && c.silent()"},
	{Name: "a detach ends by itself", Function: "decision.nodes", Old: " || n.Status == Detached {", New: " {"},
}

func TestBrokenRulesAreNoticed(t *testing.T) {
	for _, m := range mutations {
		t.Run(m.Name, func(t *testing.T) {
			m.Folder = "."
			out, err := exec.Command("go", "test", "-count=1", "-vet=off", "-ldflags=-s -w", "-overlay", m.Overlay(t),
				"-failfast", "-run", "^(TestScenarios|TestPatroniIsAllowedAndSettles|TestScriptIsAllowedAndSettles|TestInvariants|TestChooseLosesNothing|TestRefused)$", ".").CombinedOutput()
			if err == nil {
				t.Fatal("no test has noticed the mutation")
			}
			if !strings.Contains(string(out), "--- FAIL: ") {
				t.Fatalf("failed for another reason:\n%s", out)
			}
		})
	}
}

// TestPlacesToBreak fails at once if the code that a mutation replaces has moved.
func TestPlacesToBreak(t *testing.T) {
	for _, m := range mutations {
		m.Folder = "."
		t.Run(m.Name, func(t *testing.T) { m.Overlay(t) })
	}
}
