package pool

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// crew is what surrounds a Home in a run of random events: workers with their
// shelves, sessions that come, use a server, give up and go, and messages that
// arrive late, in order per worker.
type crew struct {
	random  *rand.Rand
	home    *Home
	limits  Limits
	inbox   [][]func()
	shelves []*Shelf
	guests  []*guest
	live    map[Key]int // open or being opened, as the outside sees it
	started bool        // no new guests come
	now     time.Time
	err     error
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

func newCrew(seed uint64) *crew {
	c := &crew{random: rand.New(rand.NewPCG(seed, 3)), live: map[Key]int{}, now: start}
	c.limits = c.someLimits()
	c.home = NewHome(c.limits)
	workers := 1 + c.random.IntN(3)
	c.inbox = make([][]func(), workers)
	for range workers {
		c.shelves = append(c.shelves, NewShelf())
	}
	return c
}

func (c *crew) someLimits() (l Limits) {
	l.Node = 1 + c.random.IntN(4)
	if c.random.IntN(2) == 0 {
		l.Database = 1 + c.random.IntN(3)
	}
	if c.random.IntN(2) == 0 {
		l.User = 1 + c.random.IntN(3)
	}
	return l
}

func (c *crew) someKey() Key {
	return Target{Database: []string{"app", "web"}[c.random.IntN(2)],
		User: []string{"alice", "bob"}[c.random.IntN(2)], Params: []string{"", "x"}[c.random.IntN(2)]}.On(c.random.IntN(2))
}

func (c *crew) post(worker int, f func()) { c.inbox[worker] = append(c.inbox[worker], f) }

// atHome does what a worker's message to the home does.
func (c *crew) atHome(decide func() []Action) {
	c.post(0, func() {
		before := c.home.Waiting()
		for _, a := range decide() {
			c.look(a)
			c.post(a.Worker, func() { c.carryOut(a) })
		}
		c.check()
		if before == 0 && c.home.Waiting() > 0 {
			c.muster()
		}
	})
}

func (c *crew) muster() {
	for w := range c.shelves {
		c.post(w, func() {
			for _, s := range c.shelves[w].All() {
				c.spare(s.Key, w)
			}
		})
	}
}

func (c *crew) spare(key Key, worker int) {
	c.atHome(func() []Action { return c.home.Spare(key, worker) })
}

func (c *crew) gone(key Key) {
	c.atHome(func() []Action { c.live[key]--; return c.home.Gone(key) })
}

// look checks an order the moment it is given: nobody older was passed over.
func (c *crew) look(a Action) {
	if a.Deed == Evict {
		return
	}
	if a.Deed == Open {
		c.live[a.Ticket.Key]++
		c.within(a.Ticket.Key)
	}
	for _, older := range c.home.queue {
		if older.order < a.Ticket.order && older.Key == a.Ticket.Key {
			c.fail("session %d is served before session %d", a.Ticket.Session, older.Session)
		}
	}
}

func (c *crew) fail(format string, args ...any) {
	if c.err == nil {
		c.err = fmt.Errorf(format, args...)
	}
}

// within: with one more of this key no limit is exceeded. Limits that were
// lowered close nothing, so only what is opened is looked at.
func (c *crew) within(key Key) {
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

// check: the counts are right, and nobody waits for what is there.
func (c *crew) check() {
	total := 0
	for key, n := range c.live {
		total += n
		if c.home.Count(key) != n {
			c.fail("%d servers of %v are counted, there are %d", c.home.Count(key), key, n)
		}
	}
	if c.home.Total() != total {
		c.fail("%d servers are counted, there are %d", c.home.Total(), total)
	}
	for _, t := range c.home.queue {
		if c.home.shut(t.pool, 0) == nil {
			c.fail("session %d waits though there is room", t.Session)
		}
		for _, s := range c.home.spares {
			if s.pool == t.pool {
				c.fail("session %d waits though a server is spare", t.Session)
			}
		}
	}
}

// carryOut is what a worker does with an order.
func (c *crew) carryOut(a Action) {
	shelf := c.shelves[a.Worker]
	switch a.Deed {
	case Open:
		c.open(a.Ticket)
	case Move:
		if s := shelf.Take(a.Ticket.Key); s != nil {
			c.post(a.Ticket.Worker, func() { c.grant(a.Ticket, s) })
		} else {
			c.atHome(func() []Action { return c.home.AskAgain(a.Ticket) })
		}
	case Evict:
		if s := shelf.Oldest(a.Ticket.Key); s != nil {
			shelf.Remove(s)
			c.gone(s.Key)
		} else {
			c.atHome(func() []Action { return c.home.Kept(a.Ticket.Key) })
		}
	}
}

func (c *crew) guest(t Ticket) *guest {
	for _, g := range c.guests {
		if g.id == t.Session && g.wants && g.key == t.Key {
			return g
		}
	}
	return nil
}

func (c *crew) open(t Ticket) {
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
		c.gone(t.Key) // PostgreSQL would not let us in
		if g := c.guest(t); g != nil {
			g.wants, g.served = false, true
		}
	})
}

func (c *crew) grant(t Ticket, s *Server) {
	if g := c.guest(t); g != nil {
		g.wants, g.served, g.holds = false, true, s
		return
	}
	c.putBack(s, t.Worker)
}

func (c *crew) putBack(s *Server, worker int) {
	c.shelves[worker].Put(s, c.now)
	if c.home.Waiting() > 0 {
		c.spare(s.Key, worker)
	}
}

// arrive: a session wants a server.
func (c *crew) arrive() {
	g := &guest{id: uint32(len(c.guests) + 1), worker: c.random.IntN(len(c.inbox)), key: c.someKey()}
	c.guests = append(c.guests, g)
	if c.home.Waiting() == 0 {
		if g.holds = c.shelves[g.worker].Take(g.key); g.holds != nil {
			g.served = true
			return
		}
	}
	g.wants = true
	c.atHome(func() []Action { return c.home.Ask(Ticket{Key: g.key, Worker: g.worker, Session: g.id}) })
}

// act: a session goes on.
func (c *crew) act(g *guest) {
	switch {
	case g.holds != nil && c.random.IntN(5) == 0: // broken, or too old
		g.holds = nil
		c.gone(g.key)
	case g.holds != nil:
		s := take(&g.holds)
		c.putBack(s, g.worker)
	case g.wants && !c.started && c.random.IntN(30) == 0:
		g.wants, g.served = false, true
		c.atHome(func() []Action { c.home.Withdraw(g.worker, g.id); return nil })
	}
}

func take[T any](p *T) (v T) {
	v, *p = *p, v
	return v
}

// chore closes an idle server, opens one for a minimum, or changes the limits.
func (c *crew) chore() {
	switch c.random.IntN(40) {
	case 0:
		w := c.random.IntN(len(c.shelves))
		if all := c.shelves[w].All(); len(all) > 0 {
			c.shelves[w].Remove(all[0])
			c.gone(all[0].Key)
		}
	case 1:
		key, w := c.someKey(), c.random.IntN(len(c.shelves))
		c.post(0, func() {
			if c.home.Reserve(key) {
				c.live[key]++
				c.within(key)
				c.post(w, func() { c.putBack(&Server{Key: key}, w) })
			}
		})
	case 2:
		if limits := c.someLimits(); c.random.IntN(3) == 0 {
			c.atHome(func() []Action {
				c.limits = limits
				return c.home.SetLimits(limits)
			})
		}
	}
}

func (c *crew) step() {
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

func (c *crew) quiet() bool {
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

// Limits of a run.
const (
	busySteps  = 400
	quietSteps = 200_000 // by then everybody must have been served
)

func (c *crew) run() error {
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
	return fmt.Errorf("not everybody was served: %d wait, %d servers, limits %+v", c.home.Waiting(), c.home.Total(), c.limits)
}

// accounts: as many servers are counted as stand on shelves; with the last of
// them every counter is gone.
func (c *crew) accounts() error {
	n := 0
	for _, shelf := range c.shelves {
		for _, s := range shelf.All() {
			n++
			c.home.Gone(s.Key)
		}
	}
	h := c.home
	if left := len(h.nodes) + len(h.bases) + len(h.users) + len(h.pairs) + len(h.pools) + len(h.waiters); h.leaving != 0 || h.rubbing != 0 || h.Total() != 0 || left != 0 || h.Waiting() != 0 || len(h.spares) != 0 {
		return fmt.Errorf("%d servers were on shelves, %d are still counted, in %d counters", n, h.Total(), left)
	}
	return nil
}

// TestHomeSimulated: never over a limit, first come first served for each
// pool, nobody starves, nothing is lost.
func TestHomeSimulated(t *testing.T) {
	for seed := range uint64(500) {
		if err := newCrew(seed).run(); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
}
