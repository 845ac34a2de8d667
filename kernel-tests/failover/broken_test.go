package failover

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"pgherd/bench/herd"
	"pgherd/kernel-tests/mutation"
)

// broken are the rules without which clients lose what was acknowledged to them, each left out. Histories notice that
// only when something happens for which there is the rule:
//
//	revoke   the old primary lives, and clients write to it beside pgherd. Without clients beside pgherd the fence
//	         is enough: nobody gets an answer of the old primary any more
//	fence    the old primary is back while another one is promoted, so that pgherd does not count it as silent, for
//	         which its connections are closed as well once there is another primary
//	choice   the standbys do not have the same
var broken = []struct {
	mutation.Broken
	happens string // see history.only
}{
	{mutation.Broken{Name: "standbys are not revoked", Folder: "../../proxy/executor", Function: "stopReceiving",
		Old: "before, err := settings(ctx, c)", New: "return nil\n\tbefore, err := settings(ctx, c)"}, "cut off"},
	{mutation.Broken{Name: "the old primary is not fenced", Folder: "../../proxy", Function: "acts.Fence",
		Old: "return a.p.workers.Fence(ctx, node, epoch)", New: "return nil"}, "thawed early"},
	{mutation.Broken{Name: "who has most is not looked at, nor whether that is enough", Folder: "../../proxy/failover", Function: "Choose",
		Old: "needed, proof := h.proved(&p)",
		New: "for n, a := range p.Answers {\n\t\ta.Received, a.Replayed = 1, 1\n\t\tp.Answers[n] = a\n\t}\n\tneeded, proof := h.proved(&p)"}, "killed"},
}

var brokenSeeds = flag.Uint64("history.broken", 20, "the most seeds of which one has to notice that a rule is left out")

// seedLimit is the deadline of one run; one that hangs has noticed nothing.
const seedLimit = 90 * time.Second

// TestHistoryFindsWhatIsBrokenOnPurpose checks that histories are violated when pgherd leaves out one of the rules of
// a failover, because otherwise they would prove nothing.
func TestHistoryFindsWhatIsBrokenOnPurpose(t *testing.T) {
	for _, m := range broken {
		t.Run(m.Name, func(t *testing.T) {
			t.Parallel()
			built, err := herd.Build(t.Context(), t.TempDir(), "-overlay", m.Overlay(t))
			if err != nil {
				t.Fatal(err)
			}
			for seed := uint64(1); seed <= *brokenSeeds; seed++ {
				if found := violated(t, built, m.happens, seed); found != "" {
					t.Logf("seed %d: %s", seed, found)
					return
				}
			}
			t.Error("no seed has noticed what is broken")
		})
	}
}

// violated runs a seed in a process of its own, because a broken pgherd may also make a run fail or hang in other ways. It
// returns the first violation that the checker tells.
func violated(t *testing.T, built, happens string, seed uint64) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), seedLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestHistory$", "-history.program="+built, "-history.only="+happens,
		fmt.Sprint("-history.first=", seed), "-history.seeds=1", fmt.Sprint("-history.run=", *runFor))
	out, _ := cmd.CombinedOutput() // that it fails for another reason does not count
	for line := range strings.SplitSeq(string(out), "\n") {
		if _, what, found := strings.Cut(line, violation); found {
			return strings.TrimSpace(what)
		}
	}
	return ""
}
