package session

import (
	"io"
	"testing"
	"time"

	"pgherd/proxy/pool"
)

// TestParkedNeedNotWaitForAStandby checks that a session with a parked server does not wait long for a standby's server. Where
// limits count the servers of all nodes, parked servers may have taken all places.
func TestParkedNeedNotWaitForAStandby(t *testing.T) { readsWhileParked(t, pool.Pause{}) }

// TestParkedServesInAPause checks that a client goes on with its parked server while the database is paused.
func TestParkedServesInAPause(t *testing.T) {
	readsWhileParked(t, pool.Pause{Since: time.Date(2026, 3, 1, 12, 0, 5, 0, time.UTC), By: "alice"})
}

func readsWhileParked(t *testing.T, pause pool.Pause) {
	w, s := routedWorld(t, pool.Session, 0)
	w.pause = pause
	began := w.now
	w.greeted(w.sends(simple("SET work_mem TO 5")))
	w.then(s[0].words(t, "Query SET work_mem TO 5"), s[0].says(done("SET")))
	w.then(w.told(0, "CommandComplete SET", "ReadyForQuery I"), w.sends(simple("SELECT 1")))
	w.then(w.is(WaitServer), w.passes(parkedWait))
	w.then(s[0].words(t, "Query SELECT 1"), s[0].says(selected))
	w.then(w.told(0, selectedText...), w.sends(simple("SELECT 1"))) // the next read does not ask for a server of the standby
	w.then(s[0].words(t, "Query SELECT 1"), s[0].says(selected), w.passes(parkedStay))
	w.then(w.told(0, selectedText...), w.sends(simple("SELECT 1")))
	w.then(w.is(WaitServer), w.sends(terminate), w.client.leaves())
	w.then(s[0].words(t, "Query DISCARD ALL"), s[0].says(done("DISCARD ALL")))
	w.run()
	w.nodesAsked(0, 1, 1)
	same2(t, "time for both reads", w.now.Sub(began), parkedWait+parkedStay)
	same2(t, "places in the queue given up", w.withdrawn >= 2, true)
}

// TestParkedServerHasEnded checks that a parked server is not taken up on which the node has said goodbye meanwhile. Nothing is
// lost with it, and the client is told nothing.
func TestParkedServerHasEnded(t *testing.T) {
	w, s := routedWorld(t, pool.Session, 0, 0)
	w.set.FailoverWait = 30 * time.Second
	w.greeted(w.sends(simple("SET work_mem TO 5")))
	w.then(s[0].words(t, "Query SET work_mem TO 5"), s[0].says(done("SET")))
	w.then(w.told(0, "CommandComplete SET", "ReadyForQuery I"), s[0].says(endedByOrder()), s[0].hangs(io.EOF), w.sends(simple(write)))
	w.then(s[1].words(t, `Query SET "work_mem" TO '5';`, "Query "+write), s[1].says(done("SET"), done("INSERT 0 1")))
	w.then(w.told(0, "CommandComplete INSERT 0 1", "ReadyForQuery I"), w.sends(terminate), w.client.leaves())
	w.run()
}

// TestParkedServerThatHasWritten: the same after a write, which may have drawn from a sequence. Nothing of the next statement is
// sent to the server that is lost, so its outcome is known.
func TestParkedServerThatHasWritten(t *testing.T) {
	w, s := routedWorld(t, pool.Session, 0, 0)
	w.set.FailoverWait = 30 * time.Second
	w.greeted(w.sends(simple(write)))
	w.then(s[0].words(t, "Query "+write), s[0].says(done("INSERT 0 1")))
	w.then(w.told(0, "CommandComplete INSERT 0 1", "ReadyForQuery I"), s[0].hangs(io.EOF), w.sends(simple(write)))
	w.then(s[1].words(t, "Query "+write), s[1].says(done("INSERT 0 1")))
	w.then(w.told(0, "CommandComplete INSERT 0 1", "ReadyForQuery I"), w.sends(terminate), w.client.leaves())
	w.run()
}
