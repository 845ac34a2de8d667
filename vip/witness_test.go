package vip

import (
	"errors"
	"net/netip"
	"testing"

	"pgherd/vip/address"
	"pgherd/vip/lease"
)

// given has a member hold its address, without a kernel: it has nothing to act on, and says at once that it has acted.
func (m *started) given() *hand {
	h := &hand{orders: make(chan act, 4), ended: make(chan struct{})}
	m.ask(func() {
		m.set.Witness = false
		m.grips[0].hand = h
	})
	go func() {
		defer close(h.ended)
		for a := range h.orders {
			if a != renew {
				m.post(func() { m.acted(m.grips[0], a) })
			}
		}
	}()
	return h
}

// kill ends a member that gives nothing back.
func (c *cluster) kill(i int) {
	c.Helper()
	m := c.up[i]
	delete(c.up, i)
	close(m.stop)
	<-m.stopped
	for _, g := range m.grips {
		if g.hand != nil {
			close(g.hand.orders)
			<-g.hand.ended
			g.hand = nil
		}
	}
	if err := m.release(); err != nil {
		c.Error(err)
	}
}

// TestWitness has two members and a witness. The witness opens nothing on this host, holds nothing though it may lead, and
// promises: when one of the two is killed, the other one holds the address.
func TestWitness(t *testing.T) {
	c := newCluster(t)
	ip := netip.MustParsePrefix("192.0.2.7/24")
	c.change = func(s *Settings) {
		s.Witness, s.Addresses = true, []address.Address{{Prefix: ip}} // on no interface
	}
	hands := map[int]*hand{}
	for i := range 3 {
		if m := c.start(i); i < 2 {
			hands[i] = m.given()
		}
	}
	t.Cleanup(func() {
		for i := range c.up {
			c.kill(i)
		}
	})
	holds := func(i int) bool { return int64(boottime()) < hands[i].until.Load() }
	held := -1
	holder := func() {
		t.Helper()
		eventually(t, "one of those that may hold the address does", func() error {
			for i := range hands {
				if c.up[i] != nil && holds(i) {
					held = i
					return nil
				}
			}
			if w := c.up[2]; w.Leads() {
				return errors.Join(errors.New("the witness leads"), w.Resign())
			}
			return errors.New("none does")
		})
	}
	holder()
	c.kill(held)
	holder()
	if s := c.up[2].Status(); len(s.Addresses) != 1 || s.Addresses[0].State != lease.Idle || s.Enforced != "" || s.Why != "" {
		t.Errorf("the witness is %+v", s)
	}
}
