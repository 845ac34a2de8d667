package pool

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// model sends the same random events to an Allocator and to the oracle.
type model struct {
	random  *rand.Rand
	home    *Allocator
	oracle  *oracle
	now     time.Time
	open    []Key    // keys of servers that are open or being opened
	moves   []Ticket // moves under way, whose server may be gone
	evicts  []Key    // evictions under way
	asked   []Ticket // tickets that may be withdrawn
	session uint32
	busy    int // about so many sessions wait
}

func newModel(seed uint64) *model {
	m := &model{random: rand.New(rand.NewPCG(seed, 11)), now: start}
	m.busy = []int{3, 10, 40}[m.random.IntN(3)]
	limits := m.limits()
	m.home, m.oracle = NewAllocator(limits), newOracle(limits)
	return m
}

func (m *model) limits() (l Limits) {
	some := func(n int) int { return max(0, m.random.IntN(n+2)-1) }
	return Limits{Node: some(6), Database: some(4), User: some(3), Pair: some(3), Reserve: some(2),
		ReserveAfter: time.Duration(some(20))}
}

func (m *model) key() Key {
	return Target{Database: fmt.Sprint("db", m.random.IntN(3)),
		User: fmt.Sprint("user", m.random.IntN(4)), Params: []string{"", "x"}[m.random.IntN(2)]}.On(m.random.IntN(2))
}

// both sends the same event to an Allocator and to the oracle, and compares the actions.
func (m *model) both(home, oracle []Action) error {
	if !slices.Equal(home, oracle) {
		return fmt.Errorf("the Allocator wants %v done, the oracle %v", home, oracle)
	}
	for _, a := range home {
		switch a.Deed {
		case Open:
			m.open = append(m.open, a.Ticket.Key)
		case Move:
			m.moves = append(m.moves, a.Ticket)
		case Evict:
			m.evicts = append(m.evicts, a.Ticket.Key)
		}
	}
	return nil
}

// some removes a random element of the list.
func some[T any](m *model, list *[]T) (v T, ok bool) {
	if len(*list) == 0 {
		return v, false
	}
	i := m.random.IntN(len(*list))
	v = (*list)[i]
	*list = slices.Delete(*list, i, i+1)
	return v, true
}

func (m *model) gone(key Key) error { return m.both(m.home.Gone(key), m.oracle.Gone(key)) }

// step makes one event happen.
func (m *model) step() (string, error) {
	m.now = m.now.Add(1)
	switch m.random.IntN(16) {
	case 0, 1, 2, 3:
		if m.home.Waiting() > m.busy {
			break
		}
		m.session++
		t := Ticket{Key: m.key(), Worker: m.random.IntN(3), Session: m.session, Since: m.now}
		m.asked = append(m.asked, t)
		return fmt.Sprint("ask ", t), m.both(m.home.Ask(t), m.oracle.Ask(t))
	case 4, 5, 6, 7, 8:
		if len(m.open) > 0 {
			key, worker := m.open[m.random.IntN(len(m.open))], m.random.IntN(3)
			return fmt.Sprint("spare ", key), m.both(m.home.Spare(key, worker), m.oracle.Spare(key, worker))
		}
	case 9, 10:
		if key, ok := some(m, &m.open); ok {
			return fmt.Sprint("gone ", key), m.gone(key)
		}
	case 11:
		if t, ok := some(m, &m.moves); ok {
			return fmt.Sprint("again ", t), m.both(m.home.AskAgain(t), m.oracle.AskAgain(t))
		}
	case 12:
		if t, ok := some(m, &m.asked); ok {
			m.home.Withdraw(t.Worker, t.Session)
			m.oracle.Withdraw(t.Worker, t.Session)
			return fmt.Sprint("withdraw ", t), nil
		}
	case 13, 14:
		if key, ok := some(m, &m.evicts); ok {
			if i := slices.Index(m.open, key); i >= 0 && m.random.IntN(4) > 0 {
				m.open = slices.Delete(m.open, i, i+1)
				return fmt.Sprint("evicted ", key), m.gone(key)
			}
			return fmt.Sprint("kept ", key), m.both(m.home.Kept(key), m.oracle.Kept(key))
		}
	case 15:
		return m.seldom()
	}
	return "nothing", nil
}

// seldom does what administrators and chores do.
func (m *model) seldom() (string, error) {
	key := m.key()
	base := []string{AllDatabases, key.Target().Database, key.Target().Database}[m.random.IntN(3)]
	switch m.random.IntN(12) {
	case 0:
		m.home.Pause(base, m.now, "admin")
		m.oracle.Pause(base)
		return "pause " + base, nil
	case 1, 2, 3:
		return "resume " + base, m.both(m.home.Resume(base), m.oracle.Resume(base))
	case 4:
		limits := m.limits()
		return fmt.Sprint("limits ", limits), m.both(m.home.SetLimits(limits), m.oracle.SetLimits(limits))
	case 5:
		home, oracle := m.home.Shrink(key, 1), m.oracle.Shrink(key, 1)
		if home {
			m.evicts = append(m.evicts, key)
		}
		return "shrink", same(home, oracle)
	case 6:
		home, oracle := m.home.Reserve(key), m.oracle.Reserve(key)
		if home {
			m.open = append(m.open, key)
		}
		return "reserve", same(home, oracle)
	}
	return "tick", m.both(m.home.Tick(m.now), m.oracle.Tick(m.now))
}

func same[T comparable](home, oracle T) error {
	if home != oracle {
		return fmt.Errorf("the Allocator says %v, the oracle %v", home, oracle)
	}
	return nil
}

// check compares what both know, and the counters of the Allocator with its queue.
func (m *model) check() error {
	h, key := m.home, m.key()
	err := same([4]int{h.Waiting(), h.Total(), h.Count(key), len(h.spares)},
		[4]int{m.oracle.Waiting(), m.oracle.Total(), m.oracle.Count(key), len(m.oracle.spares)})
	if err == nil {
		err = same(h.CountDatabase(key.Target().Database), m.oracle.CountDatabase(key.Target().Database))
	}
	for i, w := range h.queue {
		if err == nil {
			err = same(w.Ticket, m.oracle.waiting[i])
		}
		if at := w.pool.at; err == nil && !w.pool.paused && (at == nil || !slices.Contains(at.gate, w.pool)) {
			err = fmt.Errorf("the pool of %v is in the list of no limit", w.Ticket)
		}
	}
	return err
}

// TestHomeIsTheOracle checks that an Allocator always decides like one that walks through the whole
// queue each time.
func TestHomeIsTheOracle(t *testing.T) {
	for seed := uint64(350); seed < 600; seed++ { // in seed 573 a later opening makes an eviction useful, which is rare
		m := newModel(seed)
		for i := range 500 {
			what, err := m.step()
			if err == nil {
				err = m.check()
			}
			if err != nil {
				t.Fatalf("seed %d, step %d: %s: %v", seed, i, what, err)
			}
		}
	}
}
