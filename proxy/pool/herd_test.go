package pool

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// herd is what surrounds an Allocator in a run of random events: workers with their lists of idle servers,
// sessions that come, use a server, give up and leave, and messages that arrive late, in order for each worker.
type herd struct {
	random    *rand.Rand
	allocator *Allocator
	limits    Limits
	inbox     [][]func()
	lists     []*IdleList
	guests    []*guest
	live      map[Key]int // servers that are open or being opened, counted apart from the Allocator
	started   bool        // no new sessions come
	now       time.Time
	err       error
}

// guest is a session.
type guest struct {
	id     uint32
	worker int
	key    Key
	wants  bool
	holds  *Server
	served bool
}

func newHerd(seed uint64) *herd {
	c := &herd{random: rand.New(rand.NewPCG(seed, 3)), live: map[Key]int{}, now: start}
	c.limits = c.someLimits()
	c.allocator = NewAllocator(c.limits)
	workers := 1 + c.random.IntN(3)
	c.inbox = make([][]func(), workers)
	for range workers {
		c.lists = append(c.lists, NewIdleList())
	}
	return c
}

func (c *herd) someLimits() (l Limits) {
	l.Node = 1 + c.random.IntN(4)
	if c.random.IntN(2) == 0 {
		l.Database = 1 + c.random.IntN(3)
	}
	if c.random.IntN(2) == 0 {
		l.User = 1 + c.random.IntN(3)
	}
	return l
}

func (c *herd) someKey() Key {
	return Target{Database: []string{"app", "web"}[c.random.IntN(2)],
		User: []string{"alice", "bob"}[c.random.IntN(2)], Params: []string{"", "x"}[c.random.IntN(2)]}.On(c.random.IntN(2))
}

func (c *herd) post(worker int, f func()) { c.inbox[worker] = append(c.inbox[worker], f) }

// allocate does what a worker's message to the allocator does.
func (c *herd) allocate(decide func() []Action) {
	c.post(0, func() {
		before := c.allocator.Waiting()
		for _, a := range decide() {
			c.look(a)
			c.post(a.Worker, func() { c.carryOut(a) })
		}
		c.check()
		if before == 0 && c.allocator.Waiting() > 0 {
			c.reportIdle()
		}
	})
}

func (c *herd) reportIdle() {
	for w := range c.lists {
		c.post(w, func() {
			for _, s := range c.lists[w].All() {
				c.spare(s.Key, w)
			}
		})
	}
}

func (c *herd) spare(key Key, worker int) {
	c.allocate(func() []Action { return c.allocator.Spare(key, worker) })
}

func (c *herd) gone(key Key) {
	c.allocate(func() []Action { c.live[key]--; return c.allocator.Gone(key) })
}

// look checks an order when it is given: no session that has waited longer was passed over.
func (c *herd) look(a Action) {
	if a.Deed == Evict {
		return
	}
	if a.Deed == Open {
		c.live[a.Ticket.Key]++
		c.within(a.Ticket.Key)
	}
	for _, older := range c.allocator.queue {
		if older.order < a.Ticket.order && older.Key == a.Ticket.Key {
			c.fail("session %d is served before session %d", a.Ticket.Session, older.Session)
		}
	}
}

func (c *herd) fail(format string, args ...any) {
	if c.err == nil {
		c.err = fmt.Errorf(format, args...)
	}
}

// within checks that with one more server of this key no limit is exceeded. A limit that was lowered closes no
// server, so only servers that are opened are checked.
func (c *herd) within(key Key) {
	node, base, user := 0, 0, 0
	for k, n := range c.live {
		if k.Node == key.Node {
			node += n
		}
		if k.Target().Database == key.Target().Database {
			base += n
		}
		if k.Target().User == key.Target().User {
			user += n
		}
	}
	l := c.limits
	if l.Node > 0 && node > l.Node || l.Database > 0 && base > l.Database || l.User > 0 && user > l.User {
		c.fail("%d servers of the node, %d of the database, %d of the user are open, the limits are %+v", node, base, user, l)
	}
}

// check checks that the counts are right, and that no session waits for a server that is there.
func (c *herd) check() {
	total := 0
	for key, n := range c.live {
		total += n
		if c.allocator.Count(key) != n {
			c.fail("%d servers of %v are counted, there are %d", c.allocator.Count(key), key, n)
		}
	}
	if c.allocator.Total() != total {
		c.fail("%d servers are counted, there are %d", c.allocator.Total(), total)
	}
	for _, t := range c.allocator.queue {
		if c.allocator.shut(t.pool, 0) == nil {
			c.fail("session %d waits though there is room", t.Session)
		}
		for _, s := range c.allocator.spares {
			if s.pool == t.pool {
				c.fail("session %d waits though a server is spare", t.Session)
			}
		}
	}
}

// carryOut does what a worker does with an order.
func (c *herd) carryOut(a Action) {
	idle := c.lists[a.Worker]
	switch a.Deed {
	case Open:
		c.open(a.Ticket)
	case Move:
		if s := idle.Take(a.Ticket.Key); s != nil {
			c.post(a.Ticket.Worker, func() { c.grant(a.Ticket, s) })
		} else {
			c.allocate(func() []Action { return c.allocator.AskAgain(a.Ticket) })
		}
	case Evict:
		if s := idle.Oldest(a.Ticket.Key); s != nil {
			idle.Remove(s)
			c.gone(s.Key)
		} else {
			c.allocate(func() []Action { return c.allocator.Kept(a.Ticket.Key) })
		}
	}
}

func (c *herd) guest(t Ticket) *guest {
	for _, g := range c.guests {
		if g.id == t.Session && g.wants && g.key == t.Key {
			return g
		}
	}
	return nil
}

func (c *herd) open(t Ticket) {
	g := c.guest(t)
	if g == nil {
		c.gone(t.Key)
		return
	}
	c.post(t.Worker, func() {
		if c.random.IntN(8) > 0 {
			c.grant(t, &Server{Key: t.Key})
			return
		}
		c.gone(t.Key) // PostgreSQL refuses the log-in
		if g := c.guest(t); g != nil {
			g.wants, g.served = false, true
		}
	})
}

func (c *herd) grant(t Ticket, s *Server) {
	if g := c.guest(t); g != nil {
		g.wants, g.served, g.holds = false, true, s
		return
	}
	c.putBack(s, t.Worker)
}

func (c *herd) putBack(s *Server, worker int) {
	c.lists[worker].Put(s, c.now)
	if c.allocator.Waiting() > 0 {
		c.spare(s.Key, worker)
	}
}

// arrive makes a session that asks for a server.
func (c *herd) arrive() {
	g := &guest{id: uint32(len(c.guests) + 1), worker: c.random.IntN(len(c.inbox)), key: c.someKey()}
	c.guests = append(c.guests, g)
	if c.allocator.Waiting() == 0 {
		if g.holds = c.lists[g.worker].Take(g.key); g.holds != nil {
			g.served = true
			return
		}
	}
	g.wants = true
	c.allocate(func() []Action { return c.allocator.Ask(Ticket{Key: g.key, Worker: g.worker, Session: g.id}) })
}

// act makes a session go on.
func (c *herd) act(g *guest) {
	switch {
	case g.holds != nil && c.random.IntN(5) == 0: // the server is broken, or too old
		g.holds = nil
		c.gone(g.key)
	case g.holds != nil:
		s := take(&g.holds)
		c.putBack(s, g.worker)
	case g.wants && !c.started && c.random.IntN(30) == 0:
		g.wants, g.served = false, true
		c.allocate(func() []Action { c.allocator.Withdraw(g.worker, g.id); return nil })
	}
}

func take[T any](p *T) (v T) {
	v, *p = *p, v
	return v
}

// chore closes an idle server, opens one for a minimum, or changes the limits.
func (c *herd) chore() {
	switch c.random.IntN(40) {
	case 0:
		w := c.random.IntN(len(c.lists))
		if all := c.lists[w].All(); len(all) > 0 {
			c.lists[w].Remove(all[0])
			c.gone(all[0].Key)
		}
	case 1:
		key, w := c.someKey(), c.random.IntN(len(c.lists))
		c.post(0, func() {
			if c.allocator.Reserve(key) {
				c.live[key]++
				c.within(key)
				c.post(w, func() { c.putBack(&Server{Key: key}, w) })
			}
		})
	case 2:
		if limits := c.someLimits(); c.random.IntN(3) == 0 {
			c.allocate(func() []Action {
				c.limits = limits
				return c.allocator.SetLimits(limits)
			})
		}
	}
}

func (c *herd) step() {
	c.now = c.now.Add(1)
	w := c.random.IntN(len(c.inbox))
	switch {
	case len(c.inbox[w]) > 0 && c.random.IntN(3) > 0:
		f := c.inbox[w][0]
		c.inbox[w] = c.inbox[w][1:]
		f()
	case !c.started && c.random.IntN(4) == 0:
		c.arrive()
	case !c.started && c.random.IntN(4) == 0:
		c.chore()
	case len(c.guests) > 0:
		c.act(c.guests[c.random.IntN(len(c.guests))])
	}
}

func (c *herd) quiet() bool {
	for _, inbox := range c.inbox {
		if len(inbox) > 0 {
			return false
		}
	}
	for _, g := range c.guests {
		if !g.served || g.holds != nil {
			return false
		}
	}
	return true
}

// These are the limits of a run.
const (
	busySteps  = 400
	quietSteps = 200_000 // after so many steps every session must have been served
)

func (c *herd) run() error {
	for range busySteps {
		if c.step(); c.err != nil {
			return c.err
		}
	}
	c.started = true
	for range quietSteps {
		if c.step(); c.err != nil {
			return c.err
		}
		if c.quiet() {
			return c.accounts()
		}
	}
	return fmt.Errorf("not every session was served: %d wait, there are %d servers, the limits are %+v", c.allocator.Waiting(), c.allocator.Total(), c.limits)
}

// accounts checks that the servers counted are those on lists, and that no counter is left without a server.
func (c *herd) accounts() error {
	n := 0
	for _, idle := range c.lists {
		for _, s := range idle.All() {
			n++
			c.allocator.Gone(s.Key)
		}
	}
	h := c.allocator
	if left := len(h.nodes) + len(h.bases) + len(h.users) + len(h.pairs) + len(h.pools) + len(h.waiters); h.leaving != 0 || h.rubbing != 0 || h.Total() != 0 || left != 0 || h.Waiting() != 0 || len(h.spares) != 0 {
		return fmt.Errorf("after all %d servers on lists were closed, %d are still counted, in %d counters", n, h.Total(), left)
	}
	return nil
}

// TestHomeSimulated checks that no limit is exceeded, that each pool serves in the order of
// requests, that every session is served, and that nothing is lost.
func TestHomeSimulated(t *testing.T) {
	for seed := range uint64(500) {
		if err := newHerd(seed).run(); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
}
