package worker

import (
	"context"
	"fmt"
	"time"

	"pgherd/proxy/pool"
)

// pausePoll is how often a Pause looks whether the last server is back.
const pausePoll = 20 * time.Millisecond

// Paused says whether clients of the database get no servers; those they have
// are closed when they are given back.
func (c *Crew) Paused(database string) bool {
	paused := c.paused.Load()
	return paused != nil && ((*paused)[database] || (*paused)[pool.AllDatabases])
}

// tellPaused replaces the set. It runs on worker 0.
func (c *Crew) tellPaused() {
	paused := c.home.KeptBack()
	c.paused.Store(&paused)
}

// Pause has nobody get a server of the database any more, and waits until the
// last one has been given back and closed. Clients stay and wait. When the
// context ends first the database stays paused.
func (c *Crew) Pause(ctx context.Context, database string) error {
	c.holdBack(database)
	for {
		left, err := c.countServers(ctx, database)
		if err != nil || left == 0 {
			return err
		}
		select {
		case <-time.After(pausePoll):
		case <-ctx.Done():
			return fmt.Errorf("pause: %d servers are still in use; it stays paused", left)
		}
	}
}

// holdBack begins a Pause.
func (c *Crew) holdBack(database string) {
	c.atHome(func() []pool.Action {
		c.home.Pause(database)
		c.tellPaused()
		c.each(func(w *Worker) { w.retire(database) })
		return nil
	})
}

func (c *Crew) countServers(ctx context.Context, database string) (int, error) {
	answer := make(chan int, 1)
	c.atHome(func() []pool.Action {
		answer <- c.home.CountDatabase(database)
		return nil
	})
	select {
	case n := <-answer:
		return n, nil
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

// Resume ends a Pause.
func (c *Crew) Resume(database string) {
	c.atHome(func() []pool.Action {
		actions := c.home.Resume(database)
		c.tellPaused()
		return actions
	})
}

// Reconnect has every server of the database closed as soon as its session
// gives it back, and idle ones now.
func (c *Crew) Reconnect(database string) {
	now := c.workers[0].env.Now()
	c.atHome(func() []pool.Action {
		c.home.Renewals.Renew(database, now) // before the workers look, so that none slips through
		c.each(func(w *Worker) { w.retire(database) })
		return nil
	})
}

// Kill pauses the database and sends its clients away.
func (c *Crew) Kill(ctx context.Context, database string) error {
	c.evictFrom(database, nil)
	return c.Pause(ctx, database)
}

// each has every worker do something.
func (c *Crew) each(do func(*Worker)) {
	for _, w := range c.workers {
		w.Post(func() { do(w) })
	}
}

// retire ends the life of the database's servers: idle ones now, the others
// when they are given back.
func (w *Worker) retire(database string) {
	for _, s := range w.shelf.All() {
		if of(database, s.Key.Target().Database) {
			w.shelf.Remove(s)
			w.discard(s)
		}
	}
	for _, t := range w.tasks {
		if of(database, t.session.Database()) {
			t.session.Retire(w.now)
		}
	}
}

func of(wanted, database string) bool { return wanted == pool.AllDatabases || wanted == database }
