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

// mutations break, on purpose, what the simulation is there to guard: the
// release rule, the list of expected replies, the hand-over between workers,
// the limits. Each must make seeds fail, or the simulation proves nothing.
var mutations = []broken{
	{"a used server goes back without a reset", "../pool", "Mode.Judge",
		"return Reset // which", "return Return // which"},
	{"a server that owes replies goes back", "../pool", "Mode.Judge",
		"case at.Owes != Nothing, at.Expired, at.Single:", "case at.Owes == Uncertain, at.Expired, at.Single:"},
	{"nobody expects the replies to a reset", "../session", "exchange.sendAbout",
		"\ts.expect.AddAbout(kind, w, undo, about)\n", "\tif kind != wire.Query || w != expect.Swallow {\n\t\ts.expect.AddAbout(kind, w, undo, about)\n\t}\n"},
	{"replies to pgherd's own queries reach the client's list", "../expect", "List.AddAbout",
		"\tdefault:\n\t\te.push(owed{request, w, undo, about})\n\t}\n}", "\tdefault:\n\t\te.push(owed{request, Forward, undo, about})\n\t}\n}"},
	{"an error does not skip to the Sync", "../expect", "List.fail",
		"for e.list.Len() > 0 && e.head().request != wire.Sync {", "for false {"},
	{"what is sent while a server skips counts as owed", "../expect", "List.fail",
		"e.Skipping = e.list.Len() == 0", "e.Skipping = false"},
	{"a server stays in the list of idle servers when it is taken", "../pool", "IdleList.Take",
		"s := stack[len(stack)-1]\n\th.Remove(s)", "s := stack[len(stack)-1]"},
	{"a server of an older log-in state is reused", "../pool", "Admission.Over",
		"return a != nil && a.over.Load()", "return false"},
	{"nobody asks whether a log-in still stands", "registry", "Admissions.Proved",
		"it.doubts == a.doubts.Load() &&", ""},
	{"what has changed does not end what others were let in on", "registry", "admitted.admit",
		"\tbefore.End()\n\treturn before", "\treturn before"},
	{"a moved server that nobody takes is lost", ".", "Worker.receive",
		"if !w.tasks[ticket.Session].grant(ticket, s, nil) {\n\t\tw.giveBack(s)\n\t}\n",
		"w.tasks[ticket.Session].grant(ticket, s, nil)\n"},
	{"a closed server's place is not freed", ".", "Worker.discard",
		"s.Endpoint.Close()\n\tw.workers.leaves(s)", "s.Endpoint.Close()"},
	{"a failed move forgets its ticket", ".", "Worker.moveServer",
		"case s == nil:\n\t\tw.missed(ticket)", "case s == nil:"},
	{"idle servers are not reported to waiters", ".", "Worker.giveBack",
		"w.workers.spare(s.Key, w.index)", "_ = w.workers"},
	{"the limit per node is not kept", "../pool", "Allocator.shut",
		"for _, t := range p.under {\n\t\tif t.full(extra)", "for _, t := range p.under[:ofNode] {\n\t\tif t.full(extra)"},
	{"a server is not held for a cancel in flight", "../session", "serving.finishOne",
		"if verdict != pool.Discard && s.awaitCancels() {", "if verdict != pool.Discard {"},
	{"a server is reused though a cancel for it got no answer", "../session", "relaying.CancelDone",
		"s.expect.Uncertain = s.expect.Uncertain || err != nil", "_ = err"},
	{"a cancel is never answered", ".", "Worker.goCancel", "\t\tdefer done()\n", ""},
	{"a number is not given back", ".", "Worker.end", "\tw.workers.numbers.Give(t.number)\n", ""},
	{"a session is served by the ticket of an earlier wait", ".", "task.grant",
		" || !t.want.since.Equal(ticket.Since) {", " {"},
	{"an open transaction is released", "../pool", "Mode.judgeStaying",
		"at.Owes != Nothing, at.Status != wire.Idle:\n\t\treturn Keep", "at.Owes != Nothing:\n\t\treturn Keep"},
	{"a session that needs its server parts with it", "../pool", "Mode.judgeStaying",
		"at.Single, at.Pinned, at.Owes", "at.Single, at.Owes"},
	{"another client's unnamed statement is executed", "../session", "clientState.ensureUnnamed",
		"if server.Prepared.Unnamed == s.statements.Unnamed.Number() {", "if server.Prepared.Unnamed != 0 {"},
	{"a failed Parse stays known", "../session", "clientState.parse",
		"back(erred)\n", "_ = back\n"},
	{"a skipped Close is final", "../session", "clientState.prepareClose",
		"func(bool) { s.statements.Keep(name, st) })", "func(bool) { _ = st })"},
	{"what may be taken back is built upon", "../session", "relaying.settled",
		"return !s.expect.Unsettled() &&", "return "},
	{"a statement is not prepared on the next server", "../session", "clientState.ensure",
		"there = s.parse(st, expect.Setup, nil)", "there = func() string { one, _, _ := s.server.Prepared.Add(st.Key, s.set.MaxPrepared); return one.Name }()"},
	{"settings are not restored", "../session", "serving.restore",
		"had.Restore(s.tracker.Settings)", "had.Restore(had)"},
	{"another session's settings are not taken back", "../pool", "Settings.Restore",
		"\t\t\tundo = append(undo, name)", "\t\t\t_ = undo"},
	{"SET LOCAL lasts", "../track", "Tracker.Commit",
		"\t\tif c.Local {\n\t\t\tcontinue\n\t\t}\n", ""},
	{"an error leaves no doubt about settings", "../track", "Tracker.Failed",
		"f.Unsure = f.Unsure || len(f.changes) > 0\n\tif code", "if code"},
	{"a rollback that nobody waited for takes back its own only", "../track", "Tracker.Note",
		"f.mixed = f.mixed || !quiet && len(f.changes) > 0", "f.mixed = false"},
	{"a SET that was not executed counts", "../track", "Tracker.Certain",
		"(len(f.changes) == 0 || f.confirmed == f.expected)", "true"},
	{"a server's settings are not noted at its release", "../session", "relaying.commit",
		"\ts.tracker.Commit(s.server.Params)\n\ts.server.Settings = s.tracker.Settings", "\ts.tracker.Commit(s.server.Params)"},
	{"nobody asks what a function has left", "../track", "Tracker.Note",
		"f.Unsure = f.Unsure || e.Has(effect.Ask) ||", "f.Unsure = f.Unsure ||"},
	{"what a server says of its settings is ignored", "../track", "Tracker.Adopt",
		"f.Settings, f.found, f.Runs = a.settings, a.found, a.runs", "f.found, f.Runs = a.found, a.runs"},
	{"what a server says it is kept by is ignored", "../track", "Tracker.Adopt",
		"f.Settings, f.found, f.Runs = a.settings, a.found, a.runs", "f.Settings, f.Runs = a.settings, a.runs"},
	{"pgherd's own query leaves the unnamed statement", "../session", "exchange.query",
		"\ts.server.Prepared.Sweep()\n", ""},
	{"a client's query leaves the unnamed statement", "../session", "clientState.prepare",
		"back := s.setUnnamed(nil)", "var back expect.Undo"},
	{"DISCARD ALL forgets no settings", "../track", "Tracker.Discarded",
		"*f = Tracker{Alone: f.Alone,", "*f = Tracker{Settings: f.Settings, Alone: f.Alone,"},
	{"DISCARD ALL leaves the client's statements", "../session", "relaying.complete",
		"\t\ts.statements.Unnamed = nil\n\t\ts.statements.Clear()", ""},
	{"a transaction is only rolled back, whatever it has left", "../session", "serving.resetQueries",
		"clean := f.Certain() &&", "clean := true ||"},
	{"a statement's meaning is not part of its key", "../statements", "New",
		"st.Key += \"\\x00\" + name + \" \" + under[name]", "_ = name"},
	{"a statement is prepared under other settings", "../session", "clientState.under",
		"\ts.setLocally(now, st.Under)\n\tparse()", "\tparse()"},
	{"a torn message goes on with another server's bytes", "../session", "exchange.handOn",
		"s.replies.pass(s.client, m)\n\ts.torn = !m.Last", "s.replies.pass(s.client, m)\n\ts.torn = false"},
	{"a write stays on a standby", "../session", "placement.moveFor",
		"case !(s.away && d.Where == route.Primary) && !s.misses(d):", "case true:"},
	{"what a standby answers is not waited for", "../session", "placement.sync",
		"if err := s.quiesce(); err != nil || s.expect.Skipping || s.failed() || !s.expect.InExtended() {",
		"if s.expect.Skipping || s.failed() || !s.expect.InExtended() {\n\t\tvar err error"},
	{"a block that comes back is not begun", "../session", "placement.beginAgain",
		"s.query(s.begun.Text, expect.Restore)", "if !s.away && s.ever {\n\t\t\ts.query(s.begun.Text, expect.Restore)\n\t\t}"},
	{"a block that was held back has none of its words", "../session", "placement.beginAgain",
		"s.query(s.begun.Text, expect.Restore)", "s.query(\"BEGIN\", expect.Restore)"},
	{"a request is judged before its wait only", "../session", "analysis.overtaken",
		"if s.entry == nil || !s.entry.Stale()", "if true || !s.entry.Stale()"},
	{"what was defined while a statement ran is not looked at", "../session", "analysis.judgeAgain",
		"\tif s.misjudged() {\n\t\ts.overtake()\n\t}\n", ""},
	{"a reload changes the settings of the request at hand", "../session", "Session.Configure",
		"{ s.reloaded = set }", "{ s.set, s.judged = set, judged{} }"},
	{"a server is left with a cancel in flight", "../session", "placement.giveUp",
		"if s.awaitCancels() && pool.Transaction", "if pool.Transaction"},
}

// ofDefinitions are noticed where clients do nothing else than define, and run what was
// defined.
var ofDefinitions = []broken{
	{"a definition is told after its author has the answer", "../session", "analysis.announce",
		"n := s.entry.Begin(objects)\n\td.secret, d.open = nil, append(d.open, n)\n\ts.redo.own = append(s.redo.own, n)",
		"d.secret, d.open = nil, append(d.open, uint64(len(objects)))"},
	{"what was defined twice is judged by the last", "../session", "analysis.judgeLater",
		"if s.meets(script) > 1 {", "if false {"},
	{"a definition changes nothing that names another", "../catalog", "Snapshot.touch",
		"open = append(open, s.users[node]...)", "_ = s.users"},
	{"an answer from before a statement ran is taken for its judgement", "../session", "knowledge.awaitsCatalog",
		"return k.entry.Stale() && !k.entry.Answered(r.asks)", "return false"},
}

// ofSettings are noticed where clients do little else than set.
var ofSettings = []broken{
	{"what was rolled back is committed", "../track", "Tracker.Note",
		"\tcase !f.mixed && !f.Unsure:\n\t\tf.Drop()", "\tcase !f.mixed && !f.Unsure:"},
}

// ofMeaning are noticed where clients wait for what they have set before they prepare.
var ofMeaning = []broken{
	{"its meaning is as before the transaction", "../track", "Tracker.Note",
		"\t\tf.Mean = meaning(f.InForce())\n", ""},
}

// ofStatements are noticed where clients do little else than prepare the same.
var ofStatements = []broken{
	{"DISCARD ALL leaves the server's statements known", "../session", "relaying.complete",
		"\t\ts.server.Prepared.Forget()\n\t\ts.statements.Unnamed = nil", "\t\ts.statements.Unnamed = nil"},
	{"a reset leaves the server's statements known", "../session", "serving.resetQueries",
		"\ts.server.Prepared.Forget()\n", ""},
}

// ofFailover are noticed where servers are lost.
var ofFailover = []broken{
	{"nobody is fenced", ".", "Workers.fence", "w.fence(node); done()", "done()"},
	{"a COMMIT or write without an answer was not done", "../session", "Session.mayHaveCommitted",
		"inBlock && !failed && script.Commits(), !inBlock && s.mayWriteNow(script):", "false:"},
	{"what a Sync commits was not done", "../session", "Session.mayHaveCommitted", "slices.ContainsFunc(waiting, endsSequence)", "false"},
	{"what may be committed is repeated", "../session", "loss.judge", "case l.commits:\n\t\treturn unknown", "case l.commits:\n\t\treturn repeats"},
	{"a read is repeated that was answered in part", "../session", "Session.lose", "s.replies.passed == 0 && s.repeatsReads(waiting)", "s.repeatsReads(waiting)"},
	{"what was noted of lost requests stays", "../expect", "List.Abandon", "back(false)", "_ = back"},
	{"a lost block is told twice", "../session", "Session.bereft", "\ts.bereaved = false\n", ""},
	{"the COMMIT of a lost block is a rollback", "../session", "Session.bereft", "script.Ends() && !script.Commits():", "script.Ends():"},
	{"what was set is lost with the server", "../session", "Session.lose", "s.leaveBehind()", "s.tracker.Begin()"},
	{"half of a message is followed by another", "../session", "loss.judge", "case l.torn, l.pin", "case l.pin"},
	{"a pinned session goes on", "../session", "loss.judge", "l.torn, l.pin != \"\", l.uncertain", "l.torn, l.uncertain"},
	{"what is repeated comes after what was sent later", "../session", "Session.begin", "if s.rerun.due {", "if false {"},
	{"a request gets two errors", "../session", "lastAnswers.fail", "case a.erred:", "case false:"},
	{"a lost block is not lost", "../session", "loss.judge", "return failsNext", "return survives"},
	{"the rest of a lost request goes to the next server", "../session", "Session.partWithLost",
		"s.dropping = s.dropping || !s.requests.cut.Between()", "_ = s.dropping"},
}

// mutationSeeds is how many seeds a mutation may survive.
const mutationSeeds = "6000"

func TestSimulationFindsWhatIsBrokenOnPurpose(t *testing.T) {
	findBroken(t, mutations)
	findBroken(t, ofDefinitions, "-sim.only=definitions")
	findBroken(t, ofSettings, "-sim.only=settings")
	findBroken(t, ofMeaning, "-sim.only=meaning")
	findBroken(t, ofStatements, "-sim.only=statements")
	findBroken(t, ofFailover, "-sim.only=failover")
}

// TestPlacesToBreak says at once which place in the code has moved.
func TestPlacesToBreak(t *testing.T) {
	for _, m := range slices.Concat(mutations, ofDefinitions, ofSettings, ofMeaning, ofStatements, ofFailover) {
		t.Run(m.Name, func(t *testing.T) { mutation.Broken(m).Overlay(t) })
	}
}

// TestPlacesToBreakAreNamed: what is said of a place that has moved names the function.
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
			t.Errorf("%s: %s", function, text)
		}
	}
	_, _, err := mutation.Broken{Folder: dir, Function: "init", Old: "{}", New: "{ c() }"}.Source()
	if err == nil || !strings.Contains(err.Error(), "2 functions are called init") {
		t.Errorf("two functions of one name: %v", err)
	}
}

func findBroken(t *testing.T, mutations []broken, flags ...string) {
	for _, m := range mutations {
		t.Run(m.Name, func(t *testing.T) {
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
