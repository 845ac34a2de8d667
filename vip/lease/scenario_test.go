package lease

import (
	"testing"
	"time"
)

// quiet is a network that loses and delays nothing, whose members have run for long.
func quiet(t *testing.T, members int, ppm ...int64) *world {
	w := newWorld(1, members)
	w.net.spread = 0
	for i, h := range w.hosts {
		h.slow = 0
		if len(ppm) > 0 {
			h.ppm = ppm[i]
		}
		h.start()
	}
	w.runTo(time.Second)
	t.Cleanup(func() {
		if w.broken != "" {
			t.Error(w.broken)
		}
	})
	return w
}

func (w *world) cutOff(from, to Member) { w.net.cut[[2]Member{from, to}] = true }

// expect runs for a while, and then wants this member alone to answer.
func (w *world) expect(t *testing.T, within time.Duration, holder Member) {
	t.Helper()
	w.runTo(w.now + within)
	for _, h := range w.hosts {
		if h.answers() != (h.self == holder) {
			t.Errorf("%v: %d answers: %v, and %d should", w.now, h.self, h.answers(), holder)
		}
	}
}

const soon = 5 * ms // enough for a round, and less than anything has to wait for

// TestHandOver: the next answers at once, though the lease has not passed.
func TestHandOver(t *testing.T) {
	w := quiet(t, 3)
	w.hosts[0].tell(true)
	w.expect(t, soon, 0)
	w.hosts[0].tell(false)
	w.expect(t, soon, Nobody)
	w.hosts[1].tell(true)
	w.expect(t, soon, 1)
}

// TestHolderIsLost: the next answers when the promises are over, and not before.
func TestHolderIsLost(t *testing.T) {
	for name, lose := range map[string]func(*world, *host){
		"killed":  func(_ *world, h *host) { h.die() },
		"stopped": func(_ *world, h *host) { h.stopped = true },
		"cut off": func(w *world, h *host) {
			for _, o := range []Member{1, 2} {
				w.cutOff(h.self, o)
				w.cutOff(o, h.self)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := quiet(t, 3)
			w.hosts[0].tell(true)
			w.runTo(w.now + time.Second)
			lose(w, w.hosts[0])
			w.hosts[1].tell(true)
			w.expect(t, DefaultLease-DefaultMargin-DefaultLease/rounds-soon, 0)
			w.expect(t, DefaultLease, 1)
			w.hosts[0].proceed() // a stopped one wakes with its old lease
			w.expect(t, time.Second, 1)
		})
	}
}

// TestQuestionsArriveAndAnswersDoNot: a claimant that hears nobody keeps the address from others for a while only.
func TestQuestionsArriveAndAnswersDoNot(t *testing.T) {
	w := quiet(t, 3)
	w.cutOff(1, 0)
	w.cutOff(2, 0)
	w.hosts[0].tell(true)
	w.runTo(w.now + soon)
	w.hosts[1].tell(true)
	w.expect(t, DefaultLease-2*soon, Nobody)
	w.expect(t, DefaultLease/2, 1)
	w.expect(t, 10*DefaultLease, 1)
}

// TestTwoAreTold at the same moment, and neither has a majority in the first round: one has the address soon.
func TestTwoAreTold(t *testing.T) {
	w := quiet(t, 4)
	w.cutOff(0, 3)
	w.cutOff(3, 0)
	w.cutOff(0, 2)
	w.hosts[0].tell(true)
	w.hosts[2].tell(true)
	w.runTo(w.now + soon)
	clear(w.net.cut)
	w.runTo(w.now + DefaultLease)
	if w.hosts[0].answers() == w.hosts[2].answers() {
		t.Error("not exactly one of the two answers")
	}
}

// TestAllStartAtOnce: nobody answers for a lease, even one that is alone.
func TestAllStartAtOnce(t *testing.T) {
	for _, members := range []int{1, 3} {
		w := quiet(t, members)
		w.hosts[0].tell(true)
		w.expect(t, soon, 0)
		for _, h := range w.hosts {
			h.boot()
		}
		w.expect(t, DefaultLease-soon, Nobody)
		w.expect(t, DefaultLease, 0)
	}
}

// TestMemberRestarts: who has forgotten its promise to a holder that it does not hear of makes none to another.
func TestMemberRestarts(t *testing.T) {
	w := quiet(t, 3)
	w.cutOff(0, 1)
	w.cutOff(1, 0)
	w.hosts[0].tell(true)
	w.expect(t, soon, 0)
	w.hosts[0].stopped = true
	w.hosts[2].boot()
	w.hosts[1].tell(true)
	w.expect(t, DefaultLease-DefaultMargin-2*soon, 0)
	w.expect(t, 2*DefaultLease, 1)
}

// TestClocksDiffer by the most that is allowed, and the next asks at every possible moment: the margin covers it.
func TestClocksDiffer(t *testing.T) {
	for asks := time.Duration(0); asks < 50*ms; asks += ms / 4 {
		w := quiet(t, 3, -mostDrift, mostDrift, mostDrift)
		w.net.least = 10 * time.Microsecond
		w.hosts[1].random = func(time.Duration) time.Duration { return 0 }
		w.hosts[1].start()
		w.runTo(2 * time.Second)
		w.hosts[0].tell(true)
		w.runTo(w.now + soon)
		w.hosts[0].die()
		w.runTo(w.now + asks)
		w.hosts[1].tell(true)
		w.runTo(w.now + 2*DefaultLease)
		if w.broken != "" {
			return // quiet tells
		}
		if !w.hosts[1].answers() {
			t.Fatalf("%v: the next does not answer", asks)
		}
	}
}
