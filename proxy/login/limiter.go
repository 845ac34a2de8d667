package login

import (
	"net/netip"
	"slices"
	"sync"
)

// maxWaiting is how many connections, of all addresses, may wait for their
// turn to log in; more are turned away.
const maxWaiting = 10_000

// limiter bounds the logins under way of one address, as one that is slow on
// purpose must leave places to others. Who comes on top waits its turn.
type limiter struct {
	mu      sync.Mutex
	sites   map[netip.Addr]*site
	waiting int
}

// site is an address with logins under way.
type site struct {
	inside int
	queue  []chan struct{} // closed when it is one's turn
}

// enter takes a place, or a place in the queue: turn is nil then or to be
// waited for. Both end with leave, or with giveUp before the turn came.
func (c *limiter) enter(addr netip.Addr, limit int) (turn chan struct{}, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.sites[addr]
	if s == nil {
		s = &site{}
		c.sites[addr] = s
	}
	switch {
	case limit == 0 || s.inside < limit:
		s.inside++
		return nil, true
	case c.waiting >= maxWaiting:
		return nil, false
	}
	turn = make(chan struct{})
	s.queue = append(s.queue, turn)
	c.waiting++
	return turn, true
}

// leave gives the place to the first in the queue.
func (c *limiter) leave(addr netip.Addr) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.sites[addr]
	if len(s.queue) > 0 {
		close(s.queue[0])
		s.queue = s.queue[1:]
		c.waiting--
		return
	}
	if s.inside--; s.inside == 0 {
		delete(c.sites, addr)
	}
}

// giveUp takes one out of the queue, whose turn may have come this moment.
func (c *limiter) giveUp(addr netip.Addr, turn chan struct{}) {
	c.mu.Lock()
	s := c.sites[addr]
	i := slices.Index(s.queue, turn)
	if i >= 0 {
		s.queue = slices.Delete(s.queue, i, i+1)
		c.waiting--
	}
	c.mu.Unlock()
	if i < 0 {
		c.leave(addr)
	}
}
