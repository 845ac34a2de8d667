package session

import (
	"io"
	"strings"
	"testing"

	"pgherd/proxy/wire"
)

// bulky is a statement of about n bytes.
func bulky(n int) string { return "SELECT 1 /*" + strings.Repeat("x", n) + "*/" }

func parses(name string, n int) []byte { return wire.AppendParse(nil, name, bulky(n), nil) }

// TestClientMemory checks that a Parse beyond the client's limit, or beyond the common one, is refused, and that a Close makes
// room.
func TestClientMemory(t *testing.T) {
	for name, c := range map[string]struct {
		own, all int
		code     string
	}{
		"limit per client": {10_000, 0, "54000"},
		"limit of all":     {0, 12_000, "53200"},
	} {
		t.Run(name, func(t *testing.T) {
			w, s := sharingWorld(t, 3)
			w.set.ClientMemory, w.set.ClientsMemory = c.own, c.all
			w.set.MaxPrepared = 10
			w.greeted(w.sends(parses("a", 6000), syncs))
			w.then(s[0].says(wire.AppendParseComplete(nil), ready))
			w.then(w.told(1, "ParseComplete", "ReadyForQuery I"), w.sends(parses("b", 6000), syncs))
			w.then(s[1].words(t, "Parse pgherd_set refused by pgherd", "Sync"), s[1].says(erred("42601")))
			w.then(w.told(2, "ErrorResponse ERROR "+c.code, "ReadyForQuery I"))
			w.then(w.sends(wire.AppendClose(nil, 'S', "a"), parses("b", 6000), syncs))
			w.then(s[2].says(wire.AppendParseComplete(nil), ready))
			w.then(w.told(3, "CloseComplete", "ParseComplete", "ReadyForQuery I"), w.sends(terminate))
			w.run()
		})
	}
}

// TestMemoryIsCounted checks that the count changes with all that pgherd keeps for a session, and no longer keeps.
func TestMemoryIsCounted(t *testing.T) {
	w, s := sharingWorld(t, 6)
	weighs := func(more bool) func() {
		return func() {
			t.Helper()
			now := w.session.weight()
			if more != (now > 5000) {
				t.Errorf("the session's weight is %d, want more than 5000: %v", now, more)
			}
			if used := int(w.set.Memory.Used()); used < now || used >= now+2*memoryStep+memoryStep {
				t.Errorf("%d bytes are counted in Memory, want about the session's weight of %d", used, now)
			}
		}
	}
	long := strings.Repeat("x", 6000)
	w.greeted(w.sends(parses("a", 6000), syncs))
	w.then(s[0].says(wire.AppendParseComplete(nil), ready))
	w.then(weighs(true), w.sends(wire.AppendClose(nil, 'S', "a"), syncs))
	w.then(s[1].says(ready))
	w.then(weighs(false), w.sends(simple("SET application_name = '"+long+"'")))
	w.then(s[2].says(done("SET")))
	w.then(weighs(true), w.sends(simple("RESET application_name")))
	w.then(s[3].says(done("SET"), done("RESET")))
	w.then(weighs(false), w.sends(parses("b", 6001), syncs)) // no server of the pool is known to accept this statement
	w.then(s[4].says(wire.AppendParseComplete(nil), ready))
	w.then(weighs(true), w.sends(simple("DEALLOCATE ALL")))
	w.then(s[5].says(done("DEALLOCATE ALL")), s[5].says(state("i role none", "i session_authorization alice")))
	w.then(weighs(false), w.sends(terminate))
	w.run()
}

// TestDoubtedStatementsCount checks that a pipeline that prepares and closes is refused, too, while
// its Closes may have to be taken back.
func TestDoubtedStatementsCount(t *testing.T) {
	w, s := sharingWorld(t, 2)
	w.set.ClientMemory, w.set.MaxPrepared = 50_000, 100
	var pipeline [][]byte
	for range 10 {
		pipeline = append(pipeline, parses("a", 6000), wire.AppendClose(nil, 'S', "a"))
	}
	w.greeted(w.sends(pipeline...))
	w.then(func() {
		if got := strings.Count(string(s[0].out), nonsense); got == 0 {
			t.Error("no message of the pipeline was refused")
		}
	}, s[0].hangs(io.EOF))
	w.run()
}

// TestRedoIsBounded checks the limit in bytes. A text beyond it is not kept to be analyzed again, so
// the server is pinned.
func TestRedoIsBounded(t *testing.T) {
	w, s := sharingWorld(t, 1)
	w.greeted(w.sends(simple("BEGIN")))
	w.then(s[0].says(inside("BEGIN")))
	for i := range 30 {
		w.then(w.sends(simple("SELECT 1 AS a" + strings.Repeat(", 1 AS a", 5000) + strings.Repeat("x", i))))
		w.then(s[0].says(inside("SELECT 1")))
	}
	w.then(func() {
		r := &w.session.redo
		if r.bytes > redoBytes || !r.opaque {
			t.Errorf("kept %d bytes of texts, opaque: %v, want within redoBytes and opaque", r.bytes, r.opaque)
		}
	}, w.sends(simple("COMMIT")))
	w.then(s[0].says(done("COMMIT")))
	w.then(func() {
		for _, script := range w.session.redo.ran[:cap(w.session.redo.ran)] {
			if script != nil {
				t.Error("an idle session still refers to a parsed script")
			}
		}
	}, w.sends(terminate))
	w.run()
}

// TestOwnCommandsCount checks that commands to pgherd that a client prepares and binds are counted.
func TestOwnCommandsCount(t *testing.T) {
	w, s := sharingWorld(t, 1)
	w.set.Commands, w.set.ClientMemory = shows{}, 10_000
	name := strings.Repeat("n", 3000)
	bind := wire.AppendBind(nil, &wire.BindView{Portal: []byte(name), Statement: []byte(name)})
	w.greeted(w.sends(wire.AppendParse(nil, name, "show pool_a", nil), bind, syncs))
	w.then(w.told(0, "ParseComplete", "BindComplete", "ReadyForQuery I"), w.sends(wire.AppendParse(nil, name[1:], "show pool_a", nil), syncs))
	w.then(w.told(0, "ErrorResponse ERROR 54000", "ReadyForQuery I"), w.sends(wire.AppendClose(nil, 'P', name), wire.AppendClose(nil, 'S', name), syncs))
	w.then(w.told(0, "CloseComplete", "CloseComplete", "ReadyForQuery I"), func() { same2(t, "bytes of commands", w.session.prepared.Bytes, 0) })
	w.then(w.sends(terminate))
	w.run()
	s[0].words(t)()
}

// TestSettingsAreRefused checks the limit within a transaction whose settings are not final. They are dropped with it.
func TestSettingsAreRefused(t *testing.T) {
	w, s := sharingWorld(t, 2)
	w.set.ClientMemory = 10_000
	set := func() []byte { return simple("SET application_name = '" + strings.Repeat("x", 6000) + "'") }
	w.greeted(w.sends(simple("BEGIN")))
	w.then(s[0].says(inside("BEGIN")))
	w.then(w.sends(set()))
	w.then(s[0].says(inside("SET")))
	w.then(w.client.words(t, "CommandComplete BEGIN", "ReadyForQuery T", "CommandComplete SET", "ReadyForQuery T"), w.sends(set()))
	w.then(s[0].says(failed("42601")))
	w.then(w.client.words(t, "ErrorResponse ERROR 54000", "ReadyForQuery E"), w.sends(simple("ROLLBACK")))
	w.then(s[0].says(done("ROLLBACK")))
	w.then(s[0].says(state("i role none", "i session_authorization alice"))) // the question is asked because an error came after a SET
	w.then(w.sends(set()))
	w.then(s[1].says(done("SET")))
	w.then(w.client.words(t, "CommandComplete ROLLBACK", "ReadyForQuery I", "CommandComplete SET", "ReadyForQuery I"), w.sends(terminate))
	w.run()
}
