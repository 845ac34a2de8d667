package supervisor

import (
	"strings"
	"testing"
	"time"

	"pgherd/proxy/failover"
)

// hears tells what Patroni says now: all of them that this node leads; None: that nobody does.
func (w *world) hears(leader int, timeline uint32) {
	reports := map[int]failover.Report{}
	for n := range w.nodes {
		reports[n] = failover.Report{Leader: leader, Timeline: timeline, Heard: time.Since(w.began)}
	}
	w.sup.Heard(reports)
}

// TestPatroni: the herd does as Patroni says, and carries out nothing but the fence; without its word
// it stays as it is, which is told once.
func TestPatroni(t *testing.T) {
	inWorld(t, func(w *world) {
		w.sup.Close()
		w.set.Failover.Patroni = true
		w.start()
		w.passes(time.Second)
		w.expects()
		w.hears(0, 3)
		w.passes(2 * time.Second)
		w.expects("lasts primary 0 timeline 3 asynchronous", "lasts up 1", "lasts up 2")
		w.hears(1, 3)
		w.passes(time.Second)
		w.expects("lasts fail 0", "fence 0 epoch 2", "lasts candidate 1")
		w.locked(func() { w.nodes[1], w.nodes[2] = primary(1, 4), standby(2, 1, 4) })
		w.die(0)
		w.passes(time.Second)
		w.expects("lasts primary 1 timeline 4 asynchronous")
		w.sup.Heard(nil)
		w.passes(time.Minute)
		w.locked(func() { w.nodes[2] = primary(2, 5) })
		w.passes(time.Minute)
		w.expects("lasts quarantine 2")
		w.sup.Close()
		if n := strings.Count(w.told.String(), "Patroni does not answer: node 1 stays the primary"); n != 1 || w.view.Primary() == nil || w.view.Primary().Index != 1 {
			t.Errorf("told %d times: %s", n, w.told.String())
		}
		w.start() // which the end closes
	})
}
