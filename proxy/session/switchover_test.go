package session

import (
	"io"
	"testing"
	"time"

	"pgherd/proxy/nodes"
	"pgherd/proxy/pool"
)

// turns is the event of a new View: in this epoch, with node 0 as the primary or none.
func (w *world) turns(epoch uint64, draining, led bool) func() {
	return func() {
		status := nodes.Up
		if !led {
			status = nodes.Down
		}
		w.view = &nodes.View{Epoch: epoch, Draining: draining, Nodes: []nodes.Node{{Index: 0, Role: nodes.Primary, Status: status}}}
	}
}

// TestSwitchoverHoldsWrites checks that requests that come while the primary hands over wait, and are sent once: to the next
// primary, or to the same one if the switchover is given up. The session may learn of the next epoch before its server ends.
func TestSwitchoverHoldsWrites(t *testing.T) {
	for name, c := range map[string]struct {
		next  func(*world, *side) []func()
		again bool // the same primary, and the same server
	}{
		"the server ends first":      {next: func(w *world, at *side) []func() { return []func(){at.hangs(io.EOF), w.turns(2, false, false)} }},
		"the epoch is heard first":   {next: func(w *world, at *side) []func() { return []func(){w.turns(2, false, false), at.hangs(io.EOF)} }},
		"the switchover is given up": {next: func(w *world, _ *side) []func() { return []func(){w.turns(1, false, true)} }, again: true},
	} {
		t.Run(name, func(t *testing.T) {
			w, s := movingWorld(t, pool.Session)
			s[0].server.Epoch, s[1].server.Epoch = 1, 2
			w.turns(1, false, true)()
			w.greeted(w.sends(simple(read)))
			w.then(s[0].words(t, "Query "+read), s[0].says(selected))
			w.then(w.hears(selectedText...), w.turns(1, true, true), w.sends(simple(write)))
			w.then(s[0].words(t), w.is(WaitServer), w.passes(time.Second))
			for _, event := range c.next(w, s[0]) {
				w.then(event)
			}
			at := s[0]
			if !c.again {
				at = s[1]
				w.then(s[0].words(t), w.is(WaitServer), w.turns(2, false, true))
			}
			w.then(at.words(t, "Query "+write), at.says(done("INSERT 0 1")))
			w.then(w.hears("CommandComplete INSERT 0 1", "ReadyForQuery I"), w.sends(terminate))
			w.run()
		})
	}
}

// TestCommandsDoNotWaitForASwitchover checks that an operator may look while the primary hands over, with a connection that
// has a server of it.
func TestCommandsDoNotWaitForASwitchover(t *testing.T) {
	w, s := movingWorld(t, pool.Session)
	w.set.Commands = owns{}
	s[0].server.Epoch = 1
	w.turns(1, false, true)()
	w.greeted(w.sends(simple(read)))
	w.then(s[0].words(t, "Query "+read), s[0].says(selected))
	w.then(w.hears(selectedText...), w.turns(1, true, true), w.sends(simple("pgpool reset")))
	w.then(s[0].words(t), w.hears("CommandComplete RESET", "ReadyForQuery I"), w.sends(terminate))
	w.run()
}
