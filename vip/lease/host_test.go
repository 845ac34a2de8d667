package lease

import (
	"container/heap"
	"fmt"
	"math/rand/v2"
	"time"
)

// world is a simulated network with hosts. Its time is the real one, which no host knows.
type world struct {
	rng    *rand.Rand
	now    time.Duration
	count  uint64
	events events
	hosts  []*host
	net    network
	limits Limits
	list   List // the latest that was decided
	// When a majority of its members had adopted it; 0: not yet.
	adopted time.Duration
	// How likely a process is to be stopped for a while after each thing that it does.
	stumbles float64
	fault    fault
	broken   string // the first violation
	trace    func(format string, values ...any)
}

// fault is what callers do against the package's contract.
type fault string

const (
	hasty     fault = "the next list is decided before the last has settled"
	forgetful fault = "the list of members is not in a lasting store"
	relative  fault = "the kernel is given a duration"
	early     fault = "the address is said to be silent before it is"
)

type event struct {
	at    time.Duration
	count uint64
	do    func()
}

type events []event

func (e events) Len() int { return len(e) }
func (e events) Less(i, j int) bool {
	return e[i].at < e[j].at || e[i].at == e[j].at && e[i].count < e[j].count
}
func (e events) Swap(i, j int) { e[i], e[j] = e[j], e[i] }
func (e *events) Push(x any)   { *e = append(*e, x.(event)) }
func (e *events) Pop() any {
	last := (*e)[len(*e)-1]
	*e = (*e)[:len(*e)-1]
	return last
}

func (w *world) at(at time.Duration, do func()) {
	w.count++
	heap.Push(&w.events, event{max(at, w.now), w.count, do})
}

func (w *world) after(d time.Duration, do func()) { w.at(w.now+d, do) }

// runTo lets everything happen until then.
func (w *world) runTo(end time.Duration) {
	for len(w.events) > 0 && w.events[0].at <= end && w.broken == "" {
		e := heap.Pop(&w.events).(event)
		w.now = e.at
		e.do()
	}
	w.now = max(w.now, end)
}

func (w *world) below(d time.Duration) time.Duration {
	if d <= 0 {
		return 0
	}
	return time.Duration(w.rng.Int64N(int64(d)))
}

func (w *world) violate(format string, values ...any) {
	if w.broken == "" {
		w.broken = fmt.Sprintf("%v: ", w.now) + fmt.Sprintf(format, values...)
	}
}

// network loses, delays, doubles and cuts.
type network struct {
	cut           map[[2]Member]bool // from, to
	least, spread time.Duration
	lost, doubled float64
	late          float64 // how many are late, by up to lateBy
	lateBy        time.Duration
}

func (w *world) send(from, to Member, m Message) {
	if w.net.cut[[2]Member{from, to}] || w.rng.Float64() < w.net.lost {
		return
	}
	for copies := 1; copies > 0; copies-- {
		delay := w.net.least + w.below(w.net.spread)
		if w.rng.Float64() < w.net.late {
			delay += w.below(w.net.lateBy)
		}
		if w.rng.Float64() < w.net.doubled {
			copies++
		}
		w.after(delay, func() { w.hosts[to].arrives(from, m) })
	}
}

// host has a clock, a kernel that compares, and a process that may be stopped or dead.
type host struct {
	w    *world
	self Member
	// The clock tells base at the real time from, and then runs by ppm too fast.
	base, from time.Duration
	ppm        int64
	// The kernel answers for the address until then, by the clock; 0: not at all.
	deadline time.Duration
	address  bool // the address is on the interface
	told     bool
	stored   List    // on its disk
	hears    float64 // how likely it hears of a list each time
	known    uint64  // the number of the latest list that it has adopted
	// The process: what it has to do, one after the other. Who is stopped goes on with it later.
	lease   *Lease
	life    int
	stopped bool
	tasks   []func()
	pumping bool
	wanted  time.Duration // when Turn is called next, by the clock
	slow    time.Duration // a task takes up to so long to begin
	random  func(time.Duration) time.Duration
}

func (h *host) clock() time.Duration {
	passed := h.w.now - h.from
	return h.base + passed + passed*time.Duration(h.ppm)/1e6
}

// real is when the clock will tell this.
func (h *host) real(clock time.Duration) time.Duration {
	passed := clock - h.base
	return h.from + time.Duration(int64(float64(passed)/(1+float64(h.ppm)/1e6)))
}

// answersUntil is the real time at which the kernel stops answering for the address, if nobody changes the deadline.
func (h *host) answersUntil() time.Duration {
	if h.deadline == 0 {
		return 0
	}
	return h.real(h.deadline)
}

func (h *host) answers() bool { return h.answersUntil() > h.w.now }

// answer gives the kernel a deadline. From now until then no other kernel may answer. Kernels begin to answer only here, so
// this judges all of the time, also between events.
func (h *host) answer(until time.Duration) {
	h.deadline, h.address = until, true
	if h.w.trace != nil {
		h.w.trace("%v: %d answers until %v", h.w.now, h.self, h.answersUntil())
	}
	for _, other := range h.w.hosts {
		if other != h && h.answers() && other.answers() {
			h.w.violate("%d answers until %v, and %d until %v", h.self, h.answersUntil(), other.self, other.answersUntil())
		}
	}
}

// start begins a life of the process, which has forgotten everything. The kernel goes on comparing.
func (h *host) start() {
	h.life++
	h.tasks, h.stopped, h.wanted = nil, false, 0
	random := h.w.below
	if h.random != nil {
		random = h.random
	}
	l, err := New(Settings{h.w.limits, h.self, h.stored, h.w.rng.Uint64(), random}, h.clock())
	if err != nil {
		panic(err)
	}
	h.lease = l
	told := h.told
	h.task(func() { h.do(h.lease.Tell(told, h.clock())) })
}

func (h *host) die() { h.life, h.lease, h.tasks = h.life+1, nil, nil }

// boot is a start of the whole machine: its clock begins anew, and its kernel knows nothing.
func (h *host) boot() {
	h.base, h.from, h.deadline, h.address = h.w.below(time.Second), h.w.now, 0, false
	h.start()
}

func (h *host) task(do func()) {
	if h.lease == nil {
		return
	}
	h.tasks = append(h.tasks, do)
	h.pump()
}

// pump lets the next task begin after a while.
func (h *host) pump() {
	if h.pumping || h.stopped || len(h.tasks) == 0 {
		return
	}
	h.pumping = true
	h.w.after(h.w.below(h.slow), func() {
		h.pumping = false
		if h.stopped || len(h.tasks) == 0 {
			return
		}
		do := h.tasks[0]
		h.tasks = h.tasks[1:]
		do()
		h.stumble()
		h.pump()
	})
}

// stumble sometimes stops the process for a while, between any two things that it does.
func (h *host) stumble() {
	if h.w.stumbles > 0 && h.w.rng.Float64() < h.w.stumbles {
		h.stop(h.w.below(3 * h.w.limits.Lease))
	}
}

// stop stops the process for so long.
func (h *host) stop(lasts time.Duration) {
	h.stopped = true
	life := h.life
	h.w.after(lasts, func() {
		if h.life == life {
			h.proceed()
		}
	})
}

func (h *host) proceed() {
	h.stopped = false
	h.task(func() { h.do(h.lease.Turn(h.clock())) })
}

func (h *host) tell(told bool) {
	h.told = told
	h.task(func() { h.do(h.lease.Tell(told, h.clock())) })
}

func (h *host) arrives(from Member, m Message) {
	h.task(func() { h.do(h.lease.Receive(from, m, h.clock())) })
}

// do carries a Step out, piece by piece; the process may be stopped between any two.
func (h *host) do(s Step) {
	for _, sent := range s.Send {
		h.task(func() { h.w.send(h.self, sent.To, sent.Message) })
	}
	if s.Answer != 0 {
		left := s.Answer - h.clock()
		h.task(func() {
			if h.w.fault == relative {
				s.Answer = h.clock() + left
			}
			h.answer(s.Answer)
		})
	}
	if s.Silence {
		h.task(func() {
			if h.w.fault == early {
				h.w.after(h.w.below(50*time.Millisecond), func() { h.deadline = 0 })
			} else {
				h.deadline = 0
			}
			h.do(h.lease.Silenced())
		})
	}
	if s.Remove {
		h.task(func() {
			if h.deadline != 0 && h.w.fault == "" {
				h.w.violate("%d removes the address before it is silent", h.self)
			}
			h.address = false
			h.do(h.lease.Removed())
		})
	}
	h.wake()
}

// wake has Turn called when it is wanted. Only the latest such plan counts.
func (h *host) wake() {
	at, wanted := h.lease.Next()
	if !wanted || at == h.wanted {
		return
	}
	h.wanted = at
	life := h.life
	h.w.at(h.real(at)+time.Microsecond, func() {
		if h.life == life && h.wanted == at {
			h.wanted = 0
			h.task(func() { h.do(h.lease.Turn(h.clock())) })
		}
	})
}
