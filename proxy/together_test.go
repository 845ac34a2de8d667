package proxy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"pgherd/bench/herd"
	"pgherd/bench/herd/herdtest"
	"pgherd/proxy/status"
)

// ledger is the log that peers in one process have in common. Each applies what is in it before the next command comes.
type ledger struct {
	order    sync.Mutex // is held while all apply a command
	mu       sync.Mutex // guards what follows
	commands [][]byte
	seats    []*seat
	leader   int
}

// seat is a peer's place there.
type seat struct {
	*ledger
	Cluster // which no operator looks at here
	number  int
	machine *Machine
	cut     bool // from the others
}

func (s *seat) Status() *status.Watchdog { return &status.Watchdog{Self: s.number} }

// peers are those of one member; its clients may write.
func (l *ledger) peers(number, of int) *Peers {
	p := &Peers{Self: number}
	for n := range of {
		p.Members = append(p.Members, n)
	}
	p.Join = func(m *Machine) (Council, error) {
		l.order.Lock()
		defer l.order.Unlock()
		s := &seat{ledger: l, number: number, machine: m}
		l.locked(func() { l.seats = append(l.seats, s) })
		m.License(boottime() + time.Hour)
		return s, s.replay(l.commands)
	}
	return p
}

func (l *ledger) locked(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f()
}

func (s *seat) replay(commands [][]byte) (err error) {
	for _, c := range commands {
		err = s.machine.Apply(c)
	}
	return err
}

func (s *seat) Leads() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.leader == s.number && !s.cut
}

func (s *seat) Propose(_ context.Context, command []byte) (err error) {
	s.order.Lock()
	defer s.order.Unlock()
	if s.cut {
		return errors.New("no majority is connected")
	}
	s.commands = append(s.commands, command)
	for _, other := range s.seats {
		if other.cut {
			continue
		}
		if refused := other.machine.Apply(command); other == s {
			err = refused
		}
	}
	return err
}

func (s *seat) Tell(told []byte, _ uint64) {
	go func() {
		s.mu.Lock()
		i := slices.IndexFunc(s.seats, func(other *seat) bool { return other.number == s.leader })
		cut := s.cut || i < 0 || s.seats[i].cut
		s.mu.Unlock()
		if !cut {
			s.seats[i].machine.Sight(strconv.Itoa(s.number), told)
		}
	}()
}

func (s *seat) Unlicensed(member int, _ uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.ContainsFunc(s.seats, func(other *seat) bool { return other.number == member && other.cut })
}

// sever cuts a peer off: its licence is over, and another one leads.
func (l *ledger) sever(number, leader int) {
	l.order.Lock()
	defer l.order.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.leader = leader
	for _, s := range l.seats {
		if s.number == number {
			s.cut = true
			s.machine.License(0)
		}
	}
}

// TestPeersFailOver has three pgherds in front of a primary and two standbys. The one that leads is cut off, and then the primary is
// killed: the other two agree on another one, and write to it. The one that was cut off sends nothing to the primary, until
// it is told of all, and then writes where the others do.
func TestPeersFailOver(t *testing.T) {
	t.Parallel()
	h := herdtest.Start(t, herd.Settings{Standbys: 2})
	if _, err := h.Exec(t.Context(), "CREATE TABLE written (by int)"); err != nil {
		t.Fatal(err)
	}
	all := &ledger{}
	var proxies []*testProxy
	for n := range 3 {
		lines := []string{"backend_flag0 = ALLOW_TO_FAILOVER", "failover_wait_timeout = 2", "auth_user = postgres", "auth_password = postgres", "load_balance_mode = on"}
		for _, node := range h.Nodes() {
			lines = append(lines, fmt.Sprintf("backend_hostname%d = '127.0.0.1'", node.Index), fmt.Sprintf("backend_port%d = %d", node.Index, node.Port))
		}
		proxies = append(proxies, startAmong(t, h, all.peers(n, 3), map[string]string{
			"pool_hba.conf": "host all all 127.0.0.1/32 scram-sha-256\n", "pool_passwd": "alice:TEXTalice\n"}, lines...))
	}
	writes := func(n int) error {
		out, err := proxies[n].psql("user=postgres dbname=app", "postgres", fmt.Sprintf("INSERT INTO written VALUES (%d)", n))
		if err != nil {
			return errors.New(out)
		}
		return nil
	}
	for n := range proxies {
		herdtest.Eventually(t, fmt.Sprintf("pgherd %d writes", n), func() error { return writes(n) })
	}
	all.sever(0, 1)
	if err := writes(0); err == nil || !strings.Contains(err.Error(), "lost touch with the majority") {
		t.Errorf("a write through the pgherd that is cut off: error %v", err)
	}
	if err := h.Kill(0); err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{1, 2} {
		herdtest.Eventually(t, fmt.Sprintf("pgherd %d writes to another primary", n), func() error { return writes(n) })
	}
	if old := proxies[0].workers.Nodes(); old.Epoch != 1 {
		t.Errorf("the pgherd that is cut off knows of epoch %d", old.Epoch)
	}
	all.mend(t)
	herdtest.Eventually(t, "the pgherd that was cut off writes", func() error { return writes(0) })
	views := []string{}
	for _, p := range proxies {
		v := p.workers.Nodes()
		views = append(views, fmt.Sprint("epoch ", v.Epoch, " primary ", v.Primary().Index))
	}
	if len(slices.Compact(views)) != 1 {
		t.Errorf("the pgherds do not agree: %q", views)
	}
}

// mend connects all again. Who was cut off takes up what was decided, and has a licence once it has fenced.
func (l *ledger) mend(t *testing.T) {
	l.order.Lock()
	defer l.order.Unlock()
	for _, s := range l.seats {
		if !s.cut {
			continue
		}
		had := slices.IndexFunc(l.commands, func(c []byte) bool { return strings.Contains(string(c), `"fail"`) })
		if err := s.replay(l.commands[had:]); err != nil {
			t.Error(err)
		}
		herdtest.Eventually(t, "it has fenced", func() error {
			if s.machine.supervisor.Fenced() < s.machine.Epoch() {
				return fmt.Errorf("it has fenced epoch %d of %d", s.machine.supervisor.Fenced(), s.machine.Epoch())
			}
			return nil
		})
		l.locked(func() { s.cut = false })
		s.machine.License(boottime() + time.Hour)
	}
}
