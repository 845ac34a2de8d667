package worker

import (
	"math"
	"time"
)

// Forever is a licence that does not end: of a pgherd that has no peers.
const Forever time.Duration = math.MaxInt64

// License lets clients write to the primary until then, by CLOCK_BOOTTIME, and not longer. Any thread may call it. Servers
// stay open past that, and replies are still passed on.
func (ws *Workers) License(until time.Duration) {
	before := ws.licence.Swap(int64(until))
	if ws.started.Load() && before < int64(until) && before <= int64(ws.all[0].env.BootTime()) { // somebody may wait for it
		ws.each(func(*Worker) {})
	}
}

// lookAtLicence compares the licence with the clock, once in each turn. When it has ended, or was renewed after that, all
// sessions look again what they may do.
func (w *Worker) lookAtLicence() {
	licence := &w.workers.licence
	if licence.Load() == int64(Forever) && !w.unlicensed {
		return
	}
	now := int64(w.env.BootTime()) // read before the licence: a renewal that this does not see finds the licence over, and wakes the worker
	if over := now >= licence.Load(); over != w.unlicensed {
		w.unlicensed = over
		for _, t := range w.inOrder() {
			w.wake(t)
		}
	}
}

func (t *task) Licensed() bool { return !t.w.unlicensed }
