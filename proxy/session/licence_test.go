package session

import (
	"bytes"
	"io"
	"testing"
	"time"

	"pgherd/proxy/nodes"
	"pgherd/proxy/pool"
	"pgherd/proxy/wire"
)

// licenses is the event of a licence that is renewed, or over.
func (w *world) licenses(is bool) func() { return func() { w.unlicensed = !is } }

// weighs is the weight of a node for reads, which need not wait for a primary.
func (w *world) weighs(n *nodes.Node) float64 {
	if n.Role == nodes.Primary && w.unlicensed {
		return 0
	}
	return n.Weight
}

const (
	fatalUnlicensed = "ErrorResponse FATAL 57P03"
	errorUnlicensed = "ErrorResponse ERROR 57P03"
)

// TestWritesWaitForALicence checks that nothing of a client's is sent to the primary while this pgherd may not write, that it
// is sent once when it may again, and that the client gets an error if that lasts too long.
func TestWritesWaitForALicence(t *testing.T) {
	insert := "Query " + write
	t.Run("without a server", func(t *testing.T) {
		w, s := movingWorld(t, pool.Transaction)
		w.greeted(w.licenses(false), w.sends(simple(write)))
		w.then(s[0].words(t), w.is(WaitServer), w.passes(time.Second), w.licenses(true))
		w.then(s[0].words(t, insert), s[0].says(done("INSERT 0 1")))
		w.then(w.hears("CommandComplete INSERT 0 1", "ReadyForQuery I"), w.sends(terminate))
		w.run()
	})
	t.Run("without a server, for too long", func(t *testing.T) {
		w, s := movingWorld(t, pool.Transaction)
		w.greeted(w.licenses(false), w.sends(simple(write)))
		w.then(s[0].words(t), w.is(WaitServer), w.passes(time.Minute))
		w.then(w.hears(errorUnlicensed, "ReadyForQuery I"), w.licenses(true), w.sends(simple(write)))
		w.then(s[0].words(t, insert), s[0].says(done("INSERT 0 1")))
		w.then(w.hears("CommandComplete INSERT 0 1", "ReadyForQuery I"), w.sends(terminate))
		w.run()
	})
	t.Run("on its own server", func(t *testing.T) {
		w, s := movingWorld(t, pool.Session)
		w.greeted(w.sends(simple(read)))
		w.then(s[0].words(t, "Query "+read), s[0].says(selected))
		w.then(w.hears(selectedText...), w.licenses(false), w.sends(simple(write)))
		w.then(s[0].words(t), w.is(WaitServer), w.passes(time.Minute))
		w.then(w.hears(errorUnlicensed, "ReadyForQuery I"), w.sends(simple(write)))
		w.then(s[0].words(t), w.is(WaitServer), w.licenses(true))
		w.then(s[0].words(t, insert), s[0].says(done("INSERT 0 1")))
		w.then(w.hears("CommandComplete INSERT 0 1", "ReadyForQuery I"), w.sends(terminate))
		w.run()
	})
	t.Run("on its own server, which is fenced as the licence is renewed", func(t *testing.T) {
		w, s := movingWorld(t, pool.Session)
		w.greeted(w.sends(simple(read)))
		w.then(s[0].words(t, "Query "+read), s[0].says(selected), func() { w.free = w.free[1:] })
		w.then(w.hears(selectedText...), w.licenses(false), w.sends(simple(write)))
		w.then(s[0].words(t), s[0].hangs(io.EOF), w.licenses(true))
		w.then(s[0].words(t), s[2].words(t, insert), s[2].says(done("INSERT 0 1"))) // it was never sent before
		w.then(w.hears("CommandComplete INSERT 0 1", "ReadyForQuery I"), w.sends(terminate))
		w.run()
	})
}

// TestTransactionsWaitForALicence checks the same inside of a transaction, where the client's session ends if it lasts too long, and
// of a copy.
func TestTransactionsWaitForALicence(t *testing.T) {
	insert := "Query " + write
	t.Run("in a transaction", func(t *testing.T) {
		w, s := movingWorld(t, pool.Transaction)
		w.greeted(w.sends(simple("BEGIN")))
		w.then(s[0].words(t, "Query BEGIN"), s[0].says(begun))
		w.then(w.hears("CommandComplete BEGIN", "ReadyForQuery T"), w.licenses(false), w.sends(simple(write)))
		w.then(s[0].words(t), w.is(WaitServer), w.passes(time.Second), w.licenses(true))
		w.then(s[0].words(t, insert), s[0].says(inside("INSERT 0 1")), w.licenses(false))
		w.then(w.hears("CommandComplete INSERT 0 1", "ReadyForQuery T"), w.sends(simple("COMMIT")))
		w.then(s[0].words(t), w.is(WaitServer), w.passes(time.Minute))
		w.run()
		w.hears(fatalUnlicensed)()
		s[0].words(t, "Query ROLLBACK")() // which is pgherd's own
		w.ended("aborted")
	})
	t.Run("in a transaction whose server is fenced", func(t *testing.T) {
		w, s := movingWorld(t, pool.Transaction)
		w.greeted(w.sends(simple("BEGIN")))
		w.then(s[0].words(t, "Query BEGIN"), s[0].says(begun))
		w.then(w.hears("CommandComplete BEGIN", "ReadyForQuery T"), w.licenses(false), w.sends(simple(write)))
		w.then(s[0].words(t), s[0].hangs(io.EOF), w.turns(2, false, false))
		w.then(w.hears("ErrorResponse ERROR 40001", "ReadyForQuery E"), w.sends(terminate))
		w.run()
	})
	t.Run("in a transaction, until a cancel", func(t *testing.T) {
		w, s := movingWorld(t, pool.Transaction)
		w.greeted(w.sends(simple("BEGIN")))
		w.then(s[0].words(t, "Query BEGIN"), s[0].says(begun))
		w.then(w.hears("CommandComplete BEGIN", "ReadyForQuery T"), w.licenses(false), w.sends(simple(write)))
		w.then(w.is(WaitServer), func() { w.session.Cancel([]byte(cancelKey)) })
		w.run()
		if !bytes.Contains(w.client.out, []byte("lost touch with the majority of its peers")) {
			t.Errorf("the client is not told why its session ends: %q", w.client.out)
		}
		w.hears("ErrorResponse FATAL 57014")()
		s[0].words(t, "Query ROLLBACK")() // which is pgherd's own
	})
	t.Run("in a copy, within a message", func(t *testing.T) {
		w, s := movingWorld(t, pool.Transaction)
		copyDone := []byte("c\x00\x00\x00\x04")
		row := wire.AppendCopyData(nil, []byte("1\n2\n"))
		w.greeted(w.sends(simple("COPY t FROM STDIN")))
		w.then(s[0].words(t, "Query COPY t FROM STDIN"), s[0].says(wire.AppendCopyInResponse(nil, 0, nil)))
		w.then(w.hears("CopyInResponse"), w.sends(row[:7]))
		w.then(w.licenses(false), s[0].sent(t, string(row[:7])), w.sends(row[7:], copyDone))
		w.then(s[0].sent(t, ""), w.is(WaitServer), w.licenses(true))
		w.then(s[0].sent(t, string(row[7:])+string(copyDone)), s[0].says(done("COPY 2")))
		w.then(w.hears("CommandComplete COPY 2", "ReadyForQuery I"), w.sends(terminate))
		w.run()
	})
	t.Run("replies are passed on", func(t *testing.T) {
		w, s := movingWorld(t, pool.Transaction)
		w.greeted(w.sends(simple(write), simple(write)))
		w.then(s[0].words(t, insert, insert), w.licenses(false), w.sends(simple(write)))
		w.then(s[0].words(t), s[0].says(done("INSERT 0 1")))
		w.then(w.hears("CommandComplete INSERT 0 1", "ReadyForQuery I"), w.is(WaitServer), s[0].says(done("INSERT 0 1")))
		w.then(w.hears("CommandComplete INSERT 0 1", "ReadyForQuery I"), w.licenses(true))
		w.then(s[0].words(t, insert), s[0].says(done("INSERT 0 1")))
		w.then(w.hears("CommandComplete INSERT 0 1", "ReadyForQuery I"), w.sends(terminate))
		w.run()
	})
}

// sent checks the bytes that pgherd has sent since the last check.
func (s *side) sent(t *testing.T, want string) func() {
	return func() {
		t.Helper()
		if got := string(s.out); got != want {
			t.Errorf("%s received %q, want %q", s.name, got, want)
		}
		s.out = nil
	}
}

// TestNoWaitForALicence checks that without failover_wait_timeout the client's error names no time for which it has waited.
func TestNoWaitForALicence(t *testing.T) {
	w, s := movingWorld(t, pool.Session)
	w.set.FailoverWait = 0
	w.greeted(w.sends(simple(read)))
	w.then(s[0].words(t, "Query "+read), s[0].says(selected))
	w.then(w.hears(selectedText...), w.licenses(false), w.sends(simple(write)))
	w.then(func() {
		if bytes.Contains(w.client.out, []byte("0s")) {
			t.Errorf("the client is told of a wait: %q", w.client.out)
		}
	}, w.hears(errorUnlicensed, "ReadyForQuery I"), w.sends(terminate))
	w.run()
}

// TestReadsNeedNoLicence checks that reads on a standby go on, and that commands to pgherd itself are answered.
func TestReadsNeedNoLicence(t *testing.T) {
	w, s := routedWorld(t, pool.Session, 1)
	w.set.FailoverWait = time.Minute
	w.greeted(w.licenses(false), w.sends(simple(read)))
	w.then(s[0].words(t, "Query "+read), s[0].says(selected))
	w.then(w.hears(selectedText...), w.sends(terminate))
	w.run()
	w.nodesAsked(1)
}

// TestSyncsAndALicence checks that each Sync gets its ReadyForQuery while this pgherd may not write: at once where there is
// nothing to commit, and else with the error.
func TestSyncsAndALicence(t *testing.T) {
	held := func(t *testing.T, events ...func()) (*world, []*side) { // a client whose pgherd loses the licence between two requests
		w, s := movingWorld(t, pool.Session)
		w.greeted(w.sends(simple(read)))
		w.then(s[0].words(t, "Query "+read), s[0].says(selected))
		w.then(append([]func(){w.hears(selectedText...), w.licenses(false)}, events...)...)
		return w, s
	}
	goesOn := func(w *world, s *side) {
		w.then(w.licenses(true), w.sends(simple(write)))
		w.then(s.words(w.t, "Query "+write), s.says(done("INSERT 0 1")))
		w.then(w.hears("CommandComplete INSERT 0 1", "ReadyForQuery I"), w.sends(terminate))
		w.run()
	}
	t.Run("after a refused sequence", func(t *testing.T) {
		w, s := held(t)
		w.then(w.sends(unnamed(write), syncs))
		w.then(w.is(WaitServer), w.passes(time.Minute))
		w.then(s[0].words(t), w.hears(errorUnlicensed, "ReadyForQuery I"))
		goesOn(w, s[0])
	})
	t.Run("alone", func(t *testing.T) {
		w, s := held(t)
		w.then(w.sends(wire.AppendFlush(nil), syncs))
		w.then(s[0].words(t), w.hears("ReadyForQuery I"))
		goesOn(w, s[0])
	})
	for name, c := range map[string]struct {
		ends func(*world)
		want string
	}{
		"behind a read that is answered": {func(w *world) { w.now = w.now.Add(time.Minute) }, errorUnlicensed},
		"canceled behind a read":         {func(w *world) { w.session.Cancel([]byte(cancelKey)) }, "ErrorResponse ERROR 57014"},
	} {
		t.Run(name, func(t *testing.T) {
			w, s := held(t)
			w.then(w.licenses(true), w.sends(simple(read)))
			w.then(s[0].words(t, "Query "+read), w.licenses(false), w.sends(syncs))
			w.then(w.is(WaitServer), s[0].says(selected))
			w.then(w.hears(selectedText...), w.is(WaitServer), func() { c.ends(w) })
			w.then(s[0].words(t), w.hears(c.want, "ReadyForQuery I"))
			goesOn(w, s[0])
		})
	}
}
