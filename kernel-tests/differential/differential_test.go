// Package differential runs the same protocol messages against PostgreSQL and through pgherd, in every pool
// mode, with and without a standby that gets the reads, and compares the answers byte for byte (I1).
//
// The messages are in testdata/*.txt. Every script also says, in short, what PostgreSQL answers, so that a
// script that tests nothing is noticed.
package differential

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgherd/bench/herd"
	"pgherd/bench/herd/herdtest"
)

var update = flag.Bool("update", false, "write PostgreSQL's answers, in short, into testdata")

func TestDifferential(t *testing.T) {
	ctx := t.Context()
	scripts := readScripts(t)
	h := startHerd(t)
	node := h.Nodes()[0]
	old := isOld(t, h)
	if old {
		scripts = slices.DeleteFunc(scripts, func(s *script) bool { return slices.Contains(waits, name(s)) })
	}
	direct := map[string]transcript{}
	passed := t.Run("direct", func(t *testing.T) {
		for _, s := range scripts {
			t.Run(name(s), func(t *testing.T) {
				direct[s.path] = runDirect(t, ctx, h, target{"direct", node.Host, node.Port, true}, s, !old)
			})
		}
	})
	if !passed || *update {
		return // without PostgreSQL's own answers there is nothing to compare with
	}
	binary, err := herd.Build(ctx, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range proxies {
		t.Run(p.name, func(t *testing.T) { runProxy(t, binary, h, p, scripts, direct) })
	}
}

// waits are scripts with messages that no client sends. PostgreSQL up to 13 waits for the rest of them.
var waits = []string{"copy-in-disturbed", "invalid-length-huge"}

// isOld says that PostgreSQL is older than those for which the scripts were written: up to 13 it
// reports a setting at once, and not when it is ready for the next message.
func isOld(t *testing.T, h *herd.Herd) bool {
	t.Helper()
	old, err := h.Exec(t.Context(), "SELECT current_setting('server_version_num')::int / 10000 < 14")
	if err != nil {
		t.Fatal(err)
	}
	return old == "t"
}

func runProxy(t *testing.T, binary string, h *herd.Herd, p proxy, scripts []*script, direct map[string]transcript) {
	nodes := h.Nodes()
	if !p.balanced {
		nodes = nodes[:1]
	}
	running := startProxy(t, binary, nodes, p.config)
	to := target{p.name, running.Host, running.Port, false}
	if p.balanced {
		before := awaitReads(t, running)
		defer func() {
			if after := readsAway(t, running); after < before+len(scripts) {
				t.Errorf("the standby got only %d reads, though %d scripts were run", after-before, len(scripts))
			}
		}()
	}
	startCrowd(t, to, p.crowd)
	for _, s := range scripts {
		t.Run(name(s), func(t *testing.T) {
			got, err := runScript(t.Context(), h, to, s)
			switch want := direct[s.path]; {
			case err != nil:
				t.Error(err)
				fallthrough
			case !p.shared:
				compareProxied(t, s, want, got)
			case p.refuses && begins(s):
				compareRefused(t, s, want, got)
				if _, err := h.Exec(t.Context(), "TRUNCATE sink"); err != nil { // the script ended early
					t.Error(err)
				}
			default:
				compareShared(t, s, want, got)
			}
		})
	}
}

func name(s *script) string { return strings.TrimSuffix(filepath.Base(s.path), ".txt") }

func readScripts(t *testing.T) []*script {
	t.Helper()
	paths, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(paths) == 0 {
		t.Fatalf("find scripts: got %d, error %v", len(paths), err)
	}
	var all []*script
	for _, path := range paths {
		s, err := readScript(path)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, s)
	}
	return all
}

func startHerd(t *testing.T) *herd.Herd {
	t.Helper()
	h := herdtest.Start(t, herd.Settings{HBA: []string{trust}, Standbys: 1})
	ctx, cancel := context.WithTimeout(t.Context(), herdtest.SetupLimit)
	defer cancel()
	setup, err := os.ReadFile("testdata/setup.sql")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.Exec(ctx, string(setup)); err != nil {
		t.Fatal(err)
	}
	return h
}

func startProxy(t *testing.T, binary string, nodes []herd.Node, config string) *herd.Proxy {
	t.Helper()
	return herdtest.StartProxy(t, herd.ProxySettings{Binary: binary, Nodes: nodes, Config: "workers = 2\n" + config, HBA: trust})
}

// runDirect runs s against PostgreSQL, twice. An answer that differs between the runs cannot be compared with
// pgherd's, and needs a mask. If PostgreSQL is a release for which the scripts were written, its answers must
// be those in the script.
func runDirect(t *testing.T, ctx context.Context, h *herd.Herd, to target, s *script, says bool) transcript {
	t.Helper()
	first, err := runScript(ctx, h, to, s)
	if err != nil {
		t.Fatal(err)
	}
	second, err := runScript(ctx, h, to, s)
	if err != nil {
		t.Fatal(err)
	}
	compare(t, first, second)
	if *update {
		writeSummaries(t, s, first)
		return first
	}
	for i, st := range s.steps {
		if got := first.summaries[i]; says && got != st.want {
			t.Errorf("%s line %d: PostgreSQL answers\n%s\nwant, by the script,\n%s", s.path, st.line+1, got, st.want)
		}
	}
	return first
}

func writeSummaries(t *testing.T, s *script, seen transcript) {
	t.Helper()
	lines := slices.Clone(s.lines)
	for i, st := range s.steps {
		body, _, _ := strings.Cut(lines[st.line], " = ")
		lines[st.line] = strings.TrimRight(body, " ") + " = " + seen.summaries[i]
	}
	if err := os.WriteFile(s.path, []byte(strings.Join(lines, "\n")), 0o644); err != nil {
		t.Fatal(err)
	}
}

// compareProxied compares byte for byte, up to the step that pgherd answers by itself.
func compareProxied(t *testing.T, s *script, want, got transcript) {
	t.Helper()
	last := s.ending()
	if last < 0 || len(got.summaries) != last+1 {
		compare(t, want, got)
		return
	}
	if got.summaries[last] != s.steps[last].pgherdEnds {
		t.Errorf("%s line %d: pgherd answers\n%s\nwant, by the script,\n%s", s.path, s.steps[last].line+1, got.summaries[last], s.steps[last].pgherdEnds)
	}
	// The log-in is the first step of a transcript, so these are the steps before.
	compare(t, transcript{steps: want.steps[:last+1]}, transcript{steps: got.steps[:last+1]})
}

// compare reports the first difference between two runs, with its step.
func compare(t *testing.T, want, got transcript) {
	t.Helper()
	for i := range max(len(want.steps), len(got.steps)) {
		if i >= len(want.steps) || i >= len(got.steps) {
			t.Errorf("got answers to %d steps, want %d", len(got.steps), len(want.steps))
			return
		}
		if slices.Equal(want.steps[i], got.steps[i]) {
			continue
		}
		t.Errorf("step %d: %s", i, firstDifference(want.steps[i], got.steps[i]))
		return
	}
}

func firstDifference(want, got []string) string {
	for i := range max(len(want), len(got)) {
		w, g := "nothing", "nothing"
		if i < len(want) {
			w = want[i]
		}
		if i < len(got) {
			g = got[i]
		}
		if w != g {
			return fmt.Sprintf("message %d of %d\nwant %s\ngot  %s", i+1, len(want), around(w, g), around(g, w))
		}
	}
	return "none"
}

// around is the part of a long line where it begins to differ from the other one.
func around(line, other string) string {
	const before, after = 200, 800
	at := 0
	for at < min(len(line), len(other)) && line[at] == other[at] {
		at++
	}
	from, to := max(0, at-before), min(len(line), at+after)
	if to-from == len(line) {
		return line
	}
	return fmt.Sprintf("bytes %d to %d of %d: %s", from, to, len(line), line[from:to])
}
