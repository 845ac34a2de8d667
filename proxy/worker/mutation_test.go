//go:build !race

package worker

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgherd/kernel-tests/mutation"
)

type broken mutation.Broken

// mutations break, on purpose, what the simulation guards: the release rule, the list of expected
// replies, the hand-over between workers, the limits. Seeds must fail for each of them, or the
// simulation proves nothing.
var mutations = []broken{
	{"a used server returns to the pool without a reset", "../pool", "Mode.Judge",
		"return Reset // which", "return Return // which"},
	{"a server that owes replies returns to the pool", "../pool", "Mode.Judge",
		"case at.Owes != Nothing, at.Expired, at.Single:", "case at.Owes == Uncertain, at.Expired, at.Single:"},
	{"the replies to a reset are not expected", "../session", "exchange.sendAbout",
		"\ts.expect.AddAbout(kind, w, undo, about)\n", "\tif kind != wire.Query || w != expect.Swallow {\n\t\ts.expect.AddAbout(kind, w, undo, about)\n\t}\n"},
	{"replies to pgherd's own queries reach the client's list", "../expect", "List.AddAbout",
		"\tdefault:\n\t\te.push(owed{request, w, undo, about})\n\t}\n}", "\tdefault:\n\t\te.push(owed{request, Forward, undo, about})\n\t}\n}"},
	{"an error does not skip to the Sync", "../expect", "List.fail",
		"for e.list.Len() > 0 && e.head().request != wire.Sync {", "for false {"},
	{"requests sent while a server skips count as owed", "../expect", "List.fail",
		"e.Skipping = e.list.Len() == 0", "e.Skipping = false"},
	{"a server stays in the list of idle servers when it is taken", "../pool", "IdleList.Take",
		"s := stack[len(stack)-1]\n\th.Remove(s)", "s := stack[len(stack)-1]"},
	{"a server of an older log-in state is reused", "../pool", "Admission.Over",
		"return a != nil && a.over.Load()", "return false"},
	{"an Admission counts as proved after a doubt", "registry", "Admissions.Proved",
		"it.doubts == a.doubts.Load() &&", ""},
	{"a changed Admission does not end the one before", "registry", "admitted.admit",
		"\tbefore.End()\n\treturn before", "\treturn before"},
	{"a moved server that no session takes is lost", ".", "Worker.receive",
		"if !w.tasks[ticket.Session].grant(ticket, s, nil) {\n\t\tw.giveBack(s)\n\t}\n",
		"w.tasks[ticket.Session].grant(ticket, s, nil)\n"},
	{"a closed server's place is not freed", ".", "Worker.discard",
		"s.Endpoint.Close()\n\tw.workers.leaves(s)", "s.Endpoint.Close()"},
	{"a failed move forgets its ticket", ".", "Worker.moveServer",
		"case s == nil:\n\t\tw.missed(ticket)", "case s == nil:"},
	{"idle servers are not reported to waiters", ".", "Worker.giveBack",
		"w.workers.spare(s.Key, w.index)", "_ = w.workers"},
	{"the limit per node is not enforced", "../pool", "Allocator.shut",
		"for _, t := range p.under {\n\t\tif t.full(extra)", "for _, t := range p.under[:ofNode] {\n\t\tif t.full(extra)"},
	{"a server is not held for a cancel in flight", "../session", "serving.finishOne",
		"if verdict != pool.Discard && s.awaitCancels() {", "if verdict != pool.Discard {"},
	{"a server is reused though a cancel for it got no answer", "../session", "relaying.CancelDone",
		"s.expect.Uncertain = s.expect.Uncertain || err != nil", "_ = err"},
	{"a cancel is never answered", ".", "Worker.goCancel", "\t\tdefer done()\n", ""},
	{"a client's process number is not given back", ".", "Worker.end", "\tw.workers.numbers.Give(t.number)\n", ""},
	{"a session is served by the ticket of an earlier wait", ".", "task.grant",
		" || !t.want.since.Equal(ticket.Since) {", " {"},
	{"an open transaction is released", "../pool", "Mode.judgeStaying",
		"at.Owes != Nothing, at.Status != wire.Idle:\n\t\treturn Keep", "at.Owes != Nothing:\n\t\treturn Keep"},
	{"a pinned server is released", "../pool", "Mode.judgeStaying",
		"at.Single, at.Pinned, at.Owes", "at.Single, at.Owes"},
	{"another client's unnamed statement is executed", "../session", "clientState.ensureUnnamed",
		"if server.Prepared.Unnamed == s.statements.Unnamed.Number() {", "if server.Prepared.Unnamed != 0 {"},
	{"a statement whose Parse failed is still recorded", "../session", "clientState.parse",
		"back(erred)\n", "_ = back\n"},
	{"the client's statement is gone after a skipped Close", "../session", "clientState.prepareClose",
		"func(bool) { s.statements.Keep(name, st) })", "func(bool) { _ = st })"},
	{"the session goes on while replies may still take something back", "../session", "relaying.settled",
		"return !s.expect.Unsettled() &&", "return "},
	{"a statement is not prepared on the next server", "../session", "clientState.ensure",
		"there = s.parse(st, expect.Setup, nil)", "there = func() string { one, _, _ := s.server.Prepared.Add(st.Key, s.set.MaxPrepared); return one.Name }()"},
	{"settings are not restored", "../session", "serving.restore",
		"had.Restore(s.tracker.Settings)", "had.Restore(had)"},
	{"another session's settings are not taken back", "../pool", "Settings.Restore",
		"\t\t\tundo = append(undo, name)", "\t\t\t_ = undo"},
	{"SET LOCAL lasts", "../track", "Tracker.Commit",
		"\t\tif c.Local {\n\t\t\tcontinue\n\t\t}\n", ""},
	{"settings count as certain after an error", "../track", "Tracker.Failed",
		"f.Unsure = f.Unsure || len(f.changes) > 0\n\tif code", "if code"},
	{"a pipelined rollback takes back only its own transaction", "../track", "Tracker.Note",
		"f.mixed = f.mixed || !quiet && len(f.changes) > 0", "f.mixed = false"},
	{"a SET that was not executed counts", "../track", "Tracker.Certain",
		"(len(f.changes) == 0 || f.confirmed == f.expected)", "true"},
	{"a server's settings are not noted at its release", "../session", "relaying.commit",
		"\ts.tracker.Commit(s.server.Params)\n\ts.server.Settings = s.tracker.Settings", "\ts.tracker.Commit(s.server.Params)"},
	{"a server is not asked what a function has left", "../track", "Tracker.Note",
		"f.Unsure = f.Unsure || e.Has(effect.Ask) ||", "f.Unsure = f.Unsure ||"},
	{"a server's answer about its settings is ignored", "../track", "Tracker.Adopt",
		"f.Settings, f.found, f.Runs = a.settings, a.found, a.runs", "f.found, f.Runs = a.found, a.runs"},
	{"a server's answer about what pins it is ignored", "../track", "Tracker.Adopt",
		"f.Settings, f.found, f.Runs = a.settings, a.found, a.runs", "f.Settings, f.Runs = a.settings, a.runs"},
	{"the unnamed statement outlives a query of pgherd's", "../session", "exchange.query",
		"\ts.server.Prepared.Sweep()\n", ""},
	{"the unnamed statement outlives a query of the client's", "../session", "clientState.prepare",
		"back := s.setUnnamed(nil)", "var back expect.Undo"},
	{"DISCARD ALL forgets no settings", "../track", "Tracker.Discarded",
		"*f = Tracker{Alone: f.Alone,", "*f = Tracker{Settings: f.Settings, Alone: f.Alone,"},
	{"DISCARD ALL leaves the client's statements", "../session", "relaying.complete",
		"\t\ts.statements.Unnamed = nil\n\t\ts.statements.Clear()", ""},
	{"a transaction is only rolled back, whatever it has left", "../session", "serving.resetQueries",
		"clean := f.Certain() &&", "clean := true ||"},
	{"the settings of a statement are not part of its key", "../statements", "New",
		"st.Key += \"\\x00\" + name + \" \" + under[name]", "_ = name"},
	{"a statement is prepared under other settings", "../session", "clientState.under",
		"\ts.setLocally(now, st.Under)\n\tparse()", "\tparse()"},
	{"a torn message is continued with another server's bytes", "../session", "exchange.handOn",
		"s.replies.pass(s.client, m)\n\ts.torn = !m.Last", "s.replies.pass(s.client, m)\n\ts.torn = false"},
	{"a write stays on a standby", "../session", "placement.moveFor",
		"case !(s.away && d.Where == route.Primary) && !s.misses(d):", "case true:"},
	{"the session moves before the standby has answered", "../session", "placement.sync",
		"if err := s.quiesce(); err != nil || s.expect.Skipping || s.failed() || !s.expect.InExtended() {",
		"if s.expect.Skipping || s.failed() || !s.expect.InExtended() {\n\t\tvar err error"},
	{"a block that moves to the primary is not begun there", "../session", "placement.beginAgain",
		"s.query(s.begun.Text, expect.Restore)", "if !s.away && s.ever {\n\t\t\ts.query(s.begun.Text, expect.Restore)\n\t\t}"},
	{"a BEGIN that was held back is sent without its options", "../session", "placement.beginAgain",
		"s.query(s.begun.Text, expect.Restore)", "s.query(\"BEGIN\", expect.Restore)"},
	{"a request is not analyzed again after its wait", "../session", "analysis.overtaken",
		"if s.entry == nil || !s.entry.Stale()", "if true || !s.entry.Stale()"},
	{"a definition made while a statement ran is ignored", "../session", "analysis.judgeAgain",
		"\tif s.misjudged() {\n\t\ts.overtake()\n\t}\n", ""},
	{"a reload changes the settings of the current request", "../session", "Session.Configure",
		"{ s.reloaded = set }", "{ s.set, s.judged = set, judged{} }"},
	{"a server is released with a cancel in flight", "../session", "placement.giveUp",
		"if s.awaitCancels() && pool.Transaction", "if pool.Transaction"},
}

// ofDefinitions are noticed when clients only define functions and run them.
var ofDefinitions = []broken{
	{"other sessions learn of a definition after its client has the answer", "../session", "analysis.announce",
		"n := s.entry.Begin(objects)\n\td.secret, d.open = nil, append(d.open, n)\n\ts.redo.own = append(s.redo.own, n)",
		"d.secret, d.open = nil, append(d.open, uint64(len(objects)))"},
	{"a function defined twice is judged by its last definition", "../session", "analysis.judgeLater",
		"if s.meets(script) > 1 {", "if false {"},
	{"a definition does not affect functions that call the defined one", "../catalog", "Snapshot.touch",
		"open = append(open, s.users[node]...)", "_ = s.users"},
	{"a statement is judged by a catalog that is older than its run", "../session", "knowledge.awaitsCatalog",
		"return k.entry.Stale() && !k.entry.Answered(r.asks)", "return false"},
}

// ofRollbacks are noticed when clients set something in blocks and roll it back.
var ofRollbacks = []broken{
	{"a setting that was rolled back counts as committed", "../track", "Tracker.Note",
		"\tcase !f.mixed && !f.Unsure:\n\t\tf.Drop()", "\tcase !f.mixed && !f.Unsure:"},
}

// ofMeaning are noticed when clients wait for the answer to a SET before they prepare.
var ofMeaning = []broken{
	{"a statement is prepared under the settings from before the transaction", "../track", "Tracker.Note",
		"\t\tf.Mean = meaning(f.InForce())\n", ""},
}

// ofStatements are noticed when clients do little else than prepare the same statements.
var ofStatements = []broken{
	{"DISCARD ALL leaves the server's statements known", "../session", "relaying.complete",
		"\t\ts.server.Prepared.Forget()\n\t\ts.statements.Unnamed = nil", "\t\ts.statements.Unnamed = nil"},
	{"a reset leaves the server's statements known", "../session", "serving.resetQueries",
		"\ts.server.Prepared.Forget()\n", ""},
}

// ofFailover are noticed when servers are lost.
var ofFailover = []broken{
	{"no server is fenced", ".", "Workers.fence", "w.fence(node); done()", "done()"},
	{"a COMMIT or write without an answer counts as not done", "../session", "Session.mayHaveCommitted",
		"inBlock && !failed && script.Commits(), !inBlock && s.mayWriteNow(script):", "false:"},
	{"a write that a Sync commits counts as not done", "../session", "Session.mayHaveCommitted", "slices.ContainsFunc(waiting, endsSequence)", "false"},
	{"a request that may have committed is repeated", "../session", "loss.judge", "case l.commits:\n\t\treturn unknown", "case l.commits:\n\t\treturn repeats"},
	{"a read that was answered in part is repeated", "../session", "Session.lose", "s.replies.passed == 0 && s.repeatsReads(waiting)", "s.repeatsReads(waiting)"},
	{"what was recorded for lost requests is not taken back", "../expect", "List.Abandon", "back(false)", "_ = back"},
	{"the loss of a block is reported twice", "../session", "Session.bereft", "\ts.bereaved = false\n", ""},
	{"the COMMIT of a lost block is answered as a rollback", "../session", "Session.bereft", "script.Ends() && !script.Commits():", "script.Ends():"},
	{"half of a message is followed by another", "../session", "loss.judge", "case l.torn, l.pin", "case l.pin"},
	{"a pinned session goes on", "../session", "loss.judge", "l.torn, l.pin != \"\", l.uncertain", "l.torn, l.uncertain"},
	{"a repeated request comes after a later one", "../session", "Session.begin", "if s.rerun.due {", "if false {"},
	{"a lost block is not reported", "../session", "loss.judge", "return failsNext", "return survives"},
	{"the rest of a lost request goes to the next server", "../session", "Session.partWithLost",
		"s.dropping = s.dropping || !s.requests.cut.Between()", "_ = s.dropping"},
}

// ofBlocks are noticed when clients do little else than read and write in blocks.
var ofBlocks = []broken{
	{"a block that has written begins anew", "../session", "placement.notePlaced", "s.hasOnlyRead = s.hasOnlyRead && s.readsHere(m, r.Script)", "_ = s.readsHere"},
	{"a block that begins anew is not begun", "../session", "transaction.renew", "t.begun, t.begunAt = begun, at", "_, _ = begun, at"},
}

// ofLosses are too rare for seeds. The session's table of what a client gets when its server is lost notices them.
var ofLosses = []broken{
	{"a request gets two errors", "../session", "lastAnswers.fail", "case a.erred:", "case false:"},
}

// mutationSeeds is the number of seeds of which at least one must notice a mutation.
const mutationSeeds = "12000"

func TestSimulationFindsWhatIsBrokenOnPurpose(t *testing.T) {
	findBroken(t, mutations)
	findBroken(t, ofDefinitions, "-sim.only=definitions")
	findBroken(t, ofRollbacks, "-sim.only=rollbacks")
	findBroken(t, ofMeaning, "-sim.only=meaning")
	findBroken(t, ofStatements, "-sim.only=statements")
	findBroken(t, ofFailover, "-sim.only=failover")
	findBroken(t, ofBlocks, "-sim.only=blocks")
}

// TestLossesFindWhatIsBrokenOnPurpose breaks what the table of losses is about.
func TestLossesFindWhatIsBrokenOnPurpose(t *testing.T) {
	for _, m := range ofLosses {
		t.Run(m.Name, func(t *testing.T) {
			out, err := exec.Command("go", "test", "-count=1", "-vet=off", "-overlay", mutation.Broken(m).Overlay(t), "-run", "^TestLostServer$", m.Folder).CombinedOutput()
			if err == nil || !strings.Contains(string(out), "--- FAIL: TestLostServer") {
				t.Errorf("the table does not notice it: %v\n%s", err, out)
			}
		})
	}
}

// TestPlacesToBreak fails at once if the code that a mutation replaces has moved.
func TestPlacesToBreak(t *testing.T) {
	for _, m := range slices.Concat(mutations, ofDefinitions, ofRollbacks, ofMeaning, ofStatements, ofFailover, ofBlocks, ofLosses) {
		t.Run(m.Name, func(t *testing.T) { mutation.Broken(m).Overlay(t) })
	}
}

// TestPlacesToBreakAreNamed checks that the error about code that has moved names the function.
func TestPlacesToBreakAreNamed(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"one.go":      "package x\n\nfunc (t *T) f() { a(); b() }\n\nfunc f() { a() }\n\nfunc init() {}\n",
		"two.go":      "package x\n\nfunc g() { a(); a() }\n\nfunc init() {}\n",
		"two_test.go": "package x\n\nfunc f() { a() }\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for function, want := range map[string]string{
		"f":    "package x\n\nfunc (t *T) f() { a(); b() }\n\nfunc f() { c() }\n\nfunc init() {}\n",
		"T.f":  "package x\n\nfunc (t *T) f() { c(); b() }\n\nfunc f() { a() }\n\nfunc init() {}\n",
		"g":    "function g does not have \"a()\" once",
		"h":    "0 functions are called h",
		"init": "function init does not have",
	} {
		_, text, err := mutation.Broken{Folder: dir, Function: function, Old: "a()", New: "c()"}.Source()
		if err != nil {
			text = err.Error()
		}
		if !strings.Contains(text, want) {
			t.Errorf("function %s: got error %q", function, text)
		}
	}
	_, _, err := mutation.Broken{Folder: dir, Function: "init", Old: "{}", New: "{ c() }"}.Source()
	if err == nil || !strings.Contains(err.Error(), "2 functions are called init") {
		t.Errorf("two functions of one name: got error %v", err)
	}
}

func findBroken(t *testing.T, mutations []broken, flags ...string) {
	for _, m := range mutations {
		t.Run(m.Name, func(t *testing.T) {
			t.Parallel() // a simulation keeps one core busy
			args := []string{"test", "-count=1", "-vet=off", "-ldflags=-s -w", "-overlay", mutation.Broken(m).Overlay(t),
				"-run", "^TestSimulation$", ".", "-sim.seeds", mutationSeeds}
			out, err := exec.Command("go", append(args, flags...)...).CombinedOutput()
			if err == nil {
				t.Fatal("no seed noticed")
			}
			if !strings.Contains(string(out), "replay: ") && !strings.Contains(string(out), "panic: ") {
				t.Fatalf("failed for another reason:\n%s", out)
			}
		})
	}
}
