//go:build !race

package worker

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// mutations break, on purpose, what the simulation is there to guard: the
// release rule, the list of expected replies, the hand-over between workers,
// the limits. Each must make seeds fail, or the simulation proves nothing.
var mutations = []struct{ name, file, old, new string }{
	{"a used server goes back without a reset", "../pool/mode.go",
		"return Reset // which", "return Return // which"},
	{"a server that owes replies goes back", "../pool/mode.go",
		"case at.Owes, at.Uncertain, at.Expired, at.Single:", "case at.Uncertain, at.Expired, at.Single:"},
	{"nobody expects the replies to a reset", "../session/release.go",
		"s.expect.add(wire.Query, swallow, nil)", "_ = swallow"},
	{"replies to pgherd's own queries reach the client's list", "../session/expect.go",
		"e.push(owed{request, w, undo})\n\t}\n}", "e.push(owed{request, forward, undo})\n\t}\n}"},
	{"an error does not skip to the Sync", "../session/expect.go",
		"for e.list.len() > 0 && e.head().request != wire.Sync {", "for false {"},
	{"what is sent while a server skips counts as owed", "../session/expect.go",
		"e.skipping = e.list.len() == 0", "e.skipping = false"},
	{"a server stays on the shelf when it is taken", "../pool/shelf.go",
		"s := stack[len(stack)-1]\n\th.Remove(s)", "s := stack[len(stack)-1]"},
	{"a moved server that nobody takes is lost", "supply.go",
		"if !w.tasks[ticket.Session].grant(s.Key, s, nil) {\n\t\tw.giveBack(s)\n\t}\n}\n\n// giveBack",
		"w.tasks[ticket.Session].grant(s.Key, s, nil)\n}\n\n// giveBack"},
	{"a closed server's place is not freed", "supply.go",
		"s.Endpoint.Close()\n\tw.crew.gone(s.Key)", "s.Endpoint.Close()"},
	{"a failed move forgets its ticket", "supply.go",
		"case s == nil:\n\t\tw.missed(ticket)", "case s == nil:"},
	{"idle servers are not reported to waiters", "supply.go",
		"w.crew.spare(s.Key, w.index)", "_ = w.crew"},
	{"the limit per node is not kept", "../pool/serve.go",
		"for _, t := range p.under {\n\t\tif t.full(extra)", "for _, t := range p.under[:ofNode] {\n\t\tif t.full(extra)"},
	{"a server is not held for a cancel in flight", "../session/release.go",
		"if verdict != pool.Discard && s.awaitCancels() {", "if verdict != pool.Discard {"},
	{"a server is reused though a cancel for it got no answer", "../session/view.go",
		"s.expect.uncertain = s.expect.uncertain || err != nil", "_ = err"},
	{"an open transaction is released", "../pool/mode.go",
		"at.Uncertain, at.Status != wire.Idle:\n\t\treturn Keep", "at.Uncertain:\n\t\treturn Keep"},
	{"a session that needs its server parts with it", "../pool/mode.go",
		"at.Single, at.Pinned, at.Owes", "at.Single, at.Owes"},
	{"another client's unnamed statement is executed", "../session/prepare.go",
		"if before == s.unnamed {", "if before != \"\" {"},
	{"a failed Parse stays known", "../session/prepare.go",
		"server.Prepared.Remove(text)", "_ = erred"},
	{"a skipped Close is final", "../session/prepare.go",
		"func(bool) { s.statements[name] = text })", "func(bool) { _ = text })"},
	{"what may be taken back is built upon", "../session/request.go",
		"for s.expect.unsettled() {", "for false {"},
	{"a statement is not prepared on the next server", "../session/prepare.go",
		"there = s.parse(text, prelude, nil)", "there, _ = s.server.Prepared.Add(text, s.set.MaxPrepared)"},
	{"a torn message goes on with another server's bytes", "../session/relay.go",
		"s.torn = !m.Last", "s.torn = false"},
}

// mutationSeeds is how many seeds a mutation may survive.
const mutationSeeds = "6000"

func TestSimulationFindsWhatIsBrokenOnPurpose(t *testing.T) {
	for _, m := range mutations {
		t.Run(m.name, func(t *testing.T) {
			out, err := exec.Command("go", "test", "-count=1", "-overlay", overlay(t, m.file, m.old, m.new),
				"-run", "^TestSimulation$", ".", "-sim.seeds", mutationSeeds).CombinedOutput()
			if err == nil {
				t.Fatal("no seed noticed")
			}
			if !strings.Contains(string(out), "replay: ") && !strings.Contains(string(out), "panic: ") {
				t.Fatalf("failed for another reason:\n%s", out)
			}
		})
	}
}

// overlay writes a changed copy of the file and the list that has the compiler
// read it in the file's place.
func overlay(t *testing.T, file, old, new string) string {
	source, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Count(string(source), old) != 1 {
		t.Fatalf("%s does not have %q once", file, old)
	}
	path, _ := filepath.Abs(file)
	changed := filepath.Join(t.TempDir(), "changed.go")
	list, _ := json.Marshal(map[string]any{"Replace": map[string]string{path: changed}})
	listed := filepath.Join(t.TempDir(), "overlay.json")
	for name, content := range map[string]string{changed: strings.Replace(string(source), old, new, 1), listed: string(list)} {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return listed
}
