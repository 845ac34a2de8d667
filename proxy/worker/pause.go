package worker

import (
	"context"
	"fmt"
	"slices"
	"time"

	"pgherd/proxy/pool"
	"pgherd/proxy/wire"
)

// pausePoll is how often a Pause looks whether the last server is back.
const pausePoll = 20 * time.Millisecond

// Paused says why clients of the database get no servers; those they have are closed when
// they are given back. False: they get servers.
func (c *Crew) Paused(database string) (pool.Pause, bool) {
	paused := c.paused.Load()
	if paused == nil {
		return pool.Pause{}, false
	}
	for _, name := range []string{pool.AllDatabases, database} {
		if why, ok := (*paused)[name]; ok {
			return why, true
		}
	}
	return pool.Pause{}, false
}

// tellPaused replaces what Paused tells. It runs on worker 0.
func (c *Crew) tellPaused() {
	paused := c.allocator.KeptBack()
	for _, it := range slices.Backward(c.holds) { // the first counts
		if paused[it.database].By == "" {
			paused[it.database] = pool.Pause{Since: it.since}
		}
	}
	c.paused.Store(&paused)
}

// Pause has nobody get a server of the database any more, and waits until the
// last one has been given back and closed. Clients stay and wait. When the
// context ends first the database stays paused.
func (c *Crew) Pause(ctx context.Context, database, by string) error {
	c.holdBack(database, by)
	for {
		left, err := c.countServers(ctx, database)
		if err != nil || left == 0 {
			return err
		}
		select {
		case <-time.After(pausePoll):
		case <-ctx.Done():
			return &wire.Fault{Severity: "ERROR", Code: "55006", Message: fmt.Sprintf("%d servers are still in use; it stays paused", left),
				Hint: "SHOW POOL_CLIENTS tells who has them. KILL sends them away, RESUME ends the pause."}
		}
	}
}

// holdBack begins a Pause.
func (c *Crew) holdBack(database, by string) {
	c.allocate(func() []pool.Action {
		c.allocator.Pause(database, c.workers[0].env.Now(), by)
		c.tellPaused()
		c.each(func(w *Worker) { w.retire(database) })
		return nil
	})
}

func (c *Crew) countServers(ctx context.Context, database string) (int, error) {
	answer := make(chan int, 1)
	c.allocate(func() []pool.Action {
		answer <- c.allocator.CountDatabase(database)
		return nil
	})
	select {
	case n := <-answer:
		return n, nil
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

// Resume ends a Pause; that of all databases ends every one. It returns once that is so.
func (c *Crew) Resume(ctx context.Context, database string) error {
	done := make(chan struct{})
	c.resume(database, func() { close(done) })
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// resume calls done, on worker 0's thread, when the pause has ended.
func (c *Crew) resume(database string, done func()) {
	c.allocate(func() []pool.Action {
		defer done()
		actions := c.allocator.Resume(database)
		c.tellPaused()
		return actions
	})
}

// Reconnect has every server of the database closed as soon as its session
// gives it back, and idle ones now.
func (c *Crew) Reconnect(database string) {
	now := c.workers[0].env.Now()
	c.allocate(func() []pool.Action {
		c.allocator.Renewals.Renew(database, now) // before the workers look, so that none slips through
		c.each(func(w *Worker) { w.retire(database) })
		return nil
	})
}

// Kill pauses the database and sends its clients away.
func (c *Crew) Kill(ctx context.Context, database, by string) error {
	c.evictFrom(database, nil)
	return c.Pause(ctx, database, by)
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
	for _, s := range w.idle.All() {
		if of(database, s.Key.Target().Database) {
			w.idle.Remove(s)
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
