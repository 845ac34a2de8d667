package worker

import (
	"context"
	"slices"
	"time"

	"pgherd/proxy/pool"
	"pgherd/proxy/session"
	"pgherd/proxy/wire"
)

const (
	// vacatePoll is how often it is looked whether a database is empty.
	vacatePoll = 5 * time.Millisecond
	// leaveWait is how long clients may take to leave it, as long as PostgreSQL waits.
	leaveWait = 5 * time.Second
	// holdLimit is how long nobody gets a server of it. PostgreSQL keeps others out
	// itself once the statement runs.
	holdLimit = 15 * time.Second
)

// vacate empties a database for a statement of the session with this number: it waits a
// while for other clients to leave, unless they are to stay; then nobody gets a server of it
// until free is called, or holdLimit has passed, and the idle ones are ended. It returns how
// many other clients have not left: then nothing is held.
func (c *Crew) vacate(ctx context.Context, database string, but uint32, stay bool) (clients int, free func()) {
	limited, cancel := context.WithTimeout(ctx, leaveWait)
	defer cancel()
	if !stay {
		clients = c.poll(limited, func(w *Worker) int { return w.clientsOf(database, but) })
	}
	if clients > 0 {
		return clients, func() {}
	}
	free = c.hold(database)
	c.poll(limited, func(w *Worker) int { return w.endIdle(database) })
	return 0, free
}

// poll asks every worker again and again until nothing is left, or it takes too long:
// then it is what all workers have answered last.
func (c *Crew) poll(ctx context.Context, count func(*Worker) int) (left int) {
	for left = 1; ; {
		answers, now := make(chan int, len(c.workers)), 0
		c.each(func(w *Worker) { answers <- count(w) })
		for range c.workers {
			select {
			case n := <-answers:
				now += n
			case <-ctx.Done():
				return left
			}
		}
		if left = now; left == 0 {
			return 0
		}
		select {
		case <-time.After(vacatePoll):
		case <-ctx.Done():
			return left
		}
	}
}

// clientsOf is how many clients are logged in to the database, but one.
func (w *Worker) clientsOf(database string, but uint32) (n int) {
	for pid, t := range w.tasks {
		if pid != but && t.session.Database() == database {
			n++
		}
	}
	return n
}

// endIdle ends the database's idle servers and tells how many PostgreSQL has not ended yet.
func (w *Worker) endIdle(database string) (left int) {
	for _, s := range w.idle.All() {
		if s.Key.Target().Database == database {
			w.idle.Remove(s)
			w.dismiss(s)
		}
	}
	for _, a := range w.aborting {
		if a.s.Key.Target().Database == database {
			left++
		}
	}
	return left
}

// hold has nobody get a server of the database for a moment.
func (c *Crew) hold(database string) (free func()) {
	it := &held{database: database}
	c.allocate(func() []pool.Action {
		it.since = c.workers[0].now
		c.holds = append(c.holds, it)
		c.allocator.Hold(database)
		c.tellPaused()
		return nil
	})
	return func() { c.allocate(func() []pool.Action { return c.free(it) }) }
}

// held is one hold; worker 0 has them all.
type held struct {
	database string
	since    time.Time
}

// free ends a hold, if that is not done yet.
func (c *Crew) free(it *held) []pool.Action {
	i := slices.Index(c.holds, it)
	if i < 0 {
		return nil
	}
	c.holds = slices.Delete(c.holds, i, i+1)
	actions := c.allocator.Free(it.database)
	c.tellPaused()
	return actions
}

// freeLate ends the holds that have lasted too long.
func (c *Crew) freeLate(now time.Time) {
	for _, it := range slices.Clone(c.holds) {
		if now.After(it.since.Add(holdLimit)) {
			c.settle(func() []pool.Action { return c.free(it) })
		}
	}
}

func (t *task) Vacate(database string, stay bool) (clients int, free func(), err error) {
	if err := t.Offload(func() { clients, free = t.w.crew.vacate(t.w.crew.life, database, t.pid, stay) }); err != nil {
		return 0, nil, err // what is held then is freed by holdLimit
	}
	return clients, free, nil
}

// SendAway ends the other sessions of a database, which is gone.
func (t *task) SendAway(database string) {
	t.w.crew.evictFrom(database, t.session)
}

// evictFrom ends the sessions of a database, but one.
func (c *Crew) evictFrom(database string, but *session.Session) {
	why := &wire.Fault{Severity: "FATAL", Code: "57P01", Message: "terminating connection due to administrator command"}
	c.each(func(w *Worker) {
		for _, t := range w.tasks {
			if t.session != but && of(database, t.session.Database()) {
				t.session.Evict(why)
				w.wake(t)
			}
		}
	})
}
