package lease

import (
	"flag"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

var (
	simSeed  = flag.Uint64("sim.seed", 0, "replay this seed only, and print who answers")
	simSeeds = flag.Uint64("sim.seeds", 5000, "how many seeds to run")
	simFirst = flag.Uint64("sim.first", 1, "the first seed")
)

const (
	mostDrift = 1000 // ppm
	mostLate  = time.Second
	troubled  = 6 * time.Second // so long faults happen

	// heldWithin is how long it may take, once a majority of members run and reach one another, and exactly one of that
	// majority is told to hold the address, until it answers. Old messages arrive within mostLate, and promises that they made
	// end a lease later; by then the claimant may pause for two leases; one more is for the start of members and for rounds.
	heldWithin = mostLate + 5*DefaultLease
)

func newWorld(seed uint64, members int) *world {
	w := &world{rng: rand.New(rand.NewPCG(seed, 16)), limits: Limits{DefaultLease, DefaultMargin}}
	w.net = network{cut: map[[2]Member]bool{}, least: 20 * time.Microsecond, spread: time.Millisecond}
	for i := range members {
		w.list.Members = append(w.list.Members, Member(i))
		w.hosts = append(w.hosts, &host{w: w, self: Member(i), base: w.below(1000 * time.Hour), slow: time.Microsecond})
	}
	w.beginWith(members)
	return w
}

// beginWith makes the first so many hosts the members.
func (w *world) beginWith(members int) {
	w.list = List{1, w.list.Members[:members:members]}
	for _, h := range w.hosts {
		h.stored = w.list
	}
}

// simulate has a bad time, then a good one, and says what was wrong.
func simulate(seed uint64, fault fault, trace func(string, ...any)) string {
	w := newWorld(seed, 1)
	w = newWorld(seed, []int{1, 2, 3, 3, 3, 3, 4, 5}[w.rng.IntN(8)])
	w.trace, w.fault = trace, fault
	w.net.spread = []time.Duration{100 * time.Microsecond, 5 * time.Millisecond, 60 * time.Millisecond}[w.rng.IntN(3)]
	w.net.lost, w.net.doubled, w.net.late = w.upTo(0.2), w.upTo(0.3), w.upTo(0.2)
	w.net.lateBy = mostLate / time.Duration(1+w.rng.IntN(10))
	w.stumbles = []float64{0, 0.003, 0.03}[w.rng.IntN(3)]
	for _, h := range w.hosts {
		h.ppm = int64(w.rng.IntN(2*mostDrift+1) - mostDrift)
		h.slow = w.below(4 * time.Millisecond)
		h.hears = max(0, w.rng.Float64()*1.3-0.3)
	}
	if len(w.hosts) > 1 && w.rng.IntN(3) == 0 {
		w.beginWith(1 + w.rng.IntN(len(w.hosts)))
		w.changes(20*time.Millisecond + w.below(300*time.Millisecond))
	}
	for _, h := range w.hosts {
		h.start()
	}
	pace := 20*time.Millisecond + w.below(600*time.Millisecond)
	w.trouble(pace)
	w.runTo(troubled)
	w.recover()
	return w.broken
}

// upTo is nothing in every second world.
func (w *world) upTo(most float64) float64 { return max(0, 2*w.rng.Float64()-1) * most }

// trouble lets something happen, and plans the next.
func (w *world) trouble(pace time.Duration) {
	if w.now >= troubled {
		return
	}
	h := w.hosts[w.rng.IntN(len(w.hosts))]
	other := w.hosts[w.rng.IntN(len(w.hosts))]
	lasts := w.below(4 * DefaultLease)
	switch w.rng.IntN(10) {
	case 0, 1:
		h.stop(lasts)
	case 2:
		h.die()
		w.after(lasts, func() {
			if w.now < troubled {
				h.start()
			}
		})
	case 3:
		h.boot()
	case 4:
		w.net.cut[[2]Member{h.self, other.self}] = true
		w.after(lasts, func() { clear(w.net.cut) })
	case 5:
		back := w.rng.IntN(2) == 0
		for _, o := range w.hosts {
			w.net.cut[[2]Member{h.self, o.self}], w.net.cut[[2]Member{o.self, h.self}] = true, back
		}
		w.after(lasts, func() { clear(w.net.cut) })
	case 6, 7:
		for _, o := range w.hosts {
			o.tell(o == h)
		}
	case 8:
		h.tell(true)
	default:
		h.tell(w.rng.IntN(3) > 0)
	}
	w.after(w.below(2*pace), func() { w.trouble(pace) })
}

// recover has a majority run and reach one another, and one of it told. It has to hold the address in time, and to keep it.
func (w *world) recover() {
	clear(w.net.cut)
	w.net.lost, w.net.late, w.net.spread, w.stumbles = 0, 0, 5*time.Millisecond, 0
	members := w.list.Members
	w.rng.Shuffle(len(members), func(i, j int) { members[i], members[j] = members[j], members[i] })
	first, away := members[0], members[len(members)/2+1:]
	if w.rng.IntN(2) == 0 {
		away = nil
	}
	for _, h := range w.hosts {
		switch {
		case slices.Contains(away, h.self):
			h.told = false
			h.die()
			continue
		case h.lease == nil:
			h.start()
		default:
			h.proceed()
		}
		h.adopt()
		h.tell(h.self == first)
	}
	w.runTo(w.now + heldWithin)
	for range 10 {
		if !w.hosts[first].answers() {
			w.violate("%d does not answer, though it should since %v ago; it is %v", first, w.now-troubled, w.hosts[first].lease.holder.state)
		}
		w.runTo(w.now + DefaultLease/4)
	}
}

// TestSimulation: two kernels never answer, and with a majority one does.
func TestSimulation(t *testing.T) {
	if *simSeed != 0 {
		if broken := simulate(*simSeed, "", t.Logf); broken != "" {
			t.Fatal(broken)
		}
		return
	}
	for seed := *simFirst; seed < *simFirst+*simSeeds; seed++ {
		if broken := simulate(seed, "", nil); broken != "" {
			t.Fatalf("seed %d: %s", seed, broken)
		}
	}
}

// TestContractIsNeeded: callers that break it have two kernels answer.
func TestContractIsNeeded(t *testing.T) {
	for _, f := range []fault{hasty, forgetful, relative, early} {
		seed, most := uint64(1), uint64(20000)
		for ; seed < most && !strings.Contains(simulate(seed, f, nil), " answers until "); seed++ {
		}
		if seed == most {
			t.Errorf("not noticed: %s", f)
		}
		t.Logf("seed %d: %s", seed, f)
	}
}
