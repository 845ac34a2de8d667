package login

import (
	"net/netip"
	"slices"
	"sync"
)

// maxWaiting limits how many connections, of all addresses, may wait for their turn to
// log in; more are refused.
const maxWaiting = 10_000

// limiter bounds the log-ins in progress from one address, because an address that is
// slow on purpose must leave places to others. Further log-ins wait for their turn.
type limiter struct {
	mu      sync.Mutex
	sites   map[netip.Addr]*site
	waiting int
}

// site is an address that has log-ins in progress.
type site struct {
	inside int
	queue  []chan struct{} // each is closed when its turn comes
}

// enter takes a place and returns nil, or a place in the queue and returns its turn,
// which the caller waits for. Both end with leave, or with giveUp before the turn
// comes.
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

// giveUp removes a waiter from the queue; its turn may have come at this moment.
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
