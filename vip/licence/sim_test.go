package licence

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

var seeds = flag.Int("licence.seeds", 300, "how many seeds are simulated")

// simulated members have a raft that is nothing but terms and votes, clocks that drift, and messages that are lost, late and doubled.
type simulation struct {
	random  *rand.Rand
	now     time.Duration // true time
	members []*simulated
	flying  []flying
	told    []told // what Unlicensed has said
	decided uint64 // the last epoch: each leader decides one, whose number is that of its term
}

type simulated struct {
	*Licence
	rate    float64 // of its clock
	offset  time.Duration
	term    uint64 // raft's
	leads   uint64 // the term in which it leads, as it believes
	leader  int
	fenced  uint64
	stopped time.Duration // it does nothing before
}

type flying struct {
	at       time.Duration
	from, to int
	message  Message
}

type told struct {
	member int
	epoch  uint64
}

const simMembers, simFor, simStep = 3, 20 * time.Second, 7 * ms

func newSimulation(seed uint64) *simulation {
	s := &simulation{random: rand.New(rand.NewPCG(seed, 1))}
	for i := range simMembers {
		l, _ := New(Settings{Self: i, Members: []int{0, 1, 2}, Lasts: time.Second, Margin: 30 * ms, First: s.random.Uint64()})
		s.members = append(s.members, &simulated{Licence: l, rate: 1 + (s.random.Float64()-0.5)/500, offset: time.Duration(s.random.Int64N(int64(time.Hour))), leader: Nobody})
	}
	return s
}

func (m *simulated) clock(now time.Duration) time.Duration {
	return m.offset + time.Duration(float64(now)*m.rate)
}

func (s *simulation) send(from int, all []Sent) {
	for _, one := range all {
		for range 1 + s.random.IntN(8)/7 {
			if s.random.IntN(5) > 0 {
				s.flying = append(s.flying, flying{s.now + time.Duration(s.random.Int64N(int64(150*ms))), from, one.To, one.Message})
			}
		}
	}
}

// elect has a member elected by a majority, the members of which do not learn of it before the next message.
func (s *simulation) elect() {
	winner := s.random.IntN(simMembers)
	term := uint64(0)
	for _, m := range s.members {
		term = max(term, m.term)
	}
	term++
	for i := range 2 { // itself and one other, or all
		s.members[(winner+i*(1+s.random.IntN(2)))%simMembers].term = term
	}
	w := s.members[winner]
	w.leads, w.leader = term, winner
	w.Lead(term, s.decided, w.clock(s.now))
	s.decided = term
}

func (s *simulation) step() error {
	s.now += time.Duration(s.random.Int64N(int64(simStep)))
	if s.random.IntN(400) == 0 {
		s.elect()
	}
	for i, m := range s.members {
		if s.now < m.stopped {
			continue
		}
		if s.random.IntN(2000) == 0 {
			m.stopped = s.now + time.Duration(s.random.Int64N(int64(3*time.Second)))
		}
		if s.random.IntN(200) == 0 { // it hears of the latest leader, or fences
			for j, other := range s.members {
				if other.leads > 0 && other.leads >= m.term {
					m.term, m.leader = other.leads, j
				}
			}
			if m.leads != 0 && m.leads < m.term {
				m.leads = 0
				m.Lead(0, 0, m.clock(s.now))
			}
		}
		s.send(i, m.Turn(m.leader, m.term, m.clock(s.now)))
		if m.leads != 0 && m.leads == m.term && s.random.IntN(20) == 0 {
			member, epoch := s.random.IntN(simMembers), m.leads
			if m.Unlicensed(member, epoch, m.clock(s.now)) {
				s.told = append(s.told, told{member, epoch})
			}
		}
		if s.random.IntN(300) == 0 && m.fenced < m.term {
			m.fenced = m.term
			m.Fenced(m.fenced)
			s.told = forget(s.told, i, m.fenced)
		}
	}
	s.arrive()
	return s.check()
}

// forget removes what was told of a member that has fenced since.
func forget(all []told, member int, epoch uint64) (kept []told) {
	for _, t := range all {
		if t.member != member || t.epoch > epoch {
			kept = append(kept, t)
		}
	}
	return kept
}

func (s *simulation) arrive() {
	all := s.flying
	s.flying = nil
	for _, f := range all {
		m := s.members[f.to]
		if f.at > s.now || s.now < m.stopped {
			s.flying = append(s.flying, f)
			continue
		}
		s.send(f.to, m.Receive(f.from, f.message, m.term, m.clock(s.now)))
	}
}

// check: who is said to have no licence has none, until it has fenced.
func (s *simulation) check() error {
	for _, t := range s.told {
		if m := s.members[t.member]; m.clock(s.now) < m.Until() && m.fenced < t.epoch {
			return fmt.Errorf("at %v member %d has a licence until %v by its clock (%v), and a leader was told that it has none before epoch %d is fenced",
				s.now, t.member, m.Until(), m.clock(s.now), t.epoch)
		}
	}
	return nil
}

// TestSimulation plays seeds. Some licences have to be given, and some have to be told over, or it would prove nothing.
func TestSimulation(t *testing.T) {
	licensed, unlicensed := 0, 0
	for seed := range uint64(*seeds) {
		s := newSimulation(seed)
		for s.now < simFor {
			if err := s.step(); err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
		}
		for _, m := range s.members {
			if m.Until() > 0 {
				licensed++
			}
		}
		unlicensed += len(s.told)
	}
	if licensed < *seeds || unlicensed < *seeds {
		t.Errorf("%d licences, %d times none: too few to tell", licensed, unlicensed)
	}
}
