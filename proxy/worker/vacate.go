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
	// vacatePoll is how often the workers are asked whether a database is empty.
	vacatePoll = 5 * time.Millisecond
	// leaveWait is how long clients may take to leave it; PostgreSQL waits as long.
	leaveWait = 5 * time.Second
	// holdLimit is how long nobody gets a server of the database. PostgreSQL itself
	// keeps others out once the statement runs.
	holdLimit = 15 * time.Second
)

// vacate empties a database for a statement of the session with this number. It waits a
// while for other clients to leave, unless they may stay. Then nobody gets a server of the
// database until free is called or holdLimit has passed, and the idle servers are ended. If
// other clients have not left, it returns how many, and nothing is held.
func (ws *Workers) vacate(ctx context.Context, database string, but uint32, stay bool) (clients int, free func()) {
	limited, cancel := context.WithTimeout(ctx, leaveWait)
	defer cancel()
	if !stay {
		clients = ws.poll(limited, func(w *Worker) int { return w.clientsOf(database, but) })
	}
	if clients > 0 {
		return clients, func() {}
	}
	free = ws.hold(database)
	ws.poll(limited, func(w *Worker) int { return w.endIdle(database) })
	return 0, free
}

// poll asks every worker again and again until nothing is left or it takes too long. It
// returns what all workers answered last.
func (ws *Workers) poll(ctx context.Context, count func(*Worker) int) (left int) {
	for left = 1; ; {
		answers, now := make(chan int, len(ws.all)), 0
		ws.each(func(w *Worker) { answers <- count(w) })
		for range ws.all {
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

// clientsOf is how many clients are logged in to the database, except one.
func (w *Worker) clientsOf(database string, but uint32) (n int) {
	for pid, t := range w.tasks {
		if pid != but && t.session.Database() == database {
			n++
		}
	}
	return n
}

// endIdle ends the database's idle servers and returns how many PostgreSQL has not ended
// yet.
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

// hold lets nobody get a server of the database for a moment.
func (ws *Workers) hold(database string) (free func()) {
	it := &held{database: database}
	ws.allocate(func() []pool.Action {
		it.since = ws.all[0].now
		ws.holds = append(ws.holds, it)
		ws.allocator.Hold(database)
		ws.tellPaused()
		return nil
	})
	return func() { ws.allocate(func() []pool.Action { return ws.free(it) }) }
}

// held is one hold; worker 0 has them all.
type held struct {
	database string
	since    time.Time
}

// free ends a hold, unless it has ended already.
func (ws *Workers) free(it *held) []pool.Action {
	i := slices.Index(ws.holds, it)
	if i < 0 {
		return nil
	}
	ws.holds = slices.Delete(ws.holds, i, i+1)
	actions := ws.allocator.Free(it.database)
	ws.tellPaused()
	return actions
}

// freeLate ends the holds that have lasted too long.
func (ws *Workers) freeLate(now time.Time) {
	for _, it := range slices.Clone(ws.holds) {
		if now.After(it.since.Add(holdLimit)) {
			ws.settle(func() []pool.Action { return ws.free(it) })
		}
	}
}

func (t *task) Vacate(database string, stay bool) (clients int, free func(), err error) {
	if err := t.Offload(func() { clients, free = t.w.workers.vacate(t.w.workers.life, database, t.pid, stay) }); err != nil {
		return 0, nil, err // holdLimit ends what is held then
	}
	return clients, free, nil
}

// SendAway ends the other sessions of a database, which has been dropped.
func (t *task) SendAway(database string) {
	t.w.workers.evictFrom(database, t.session)
}

// evictFrom ends the sessions of a database, except one.
func (ws *Workers) evictFrom(database string, but *session.Session) {
	why := &wire.Fault{Severity: "FATAL", Code: "57P01", Message: "terminating connection due to administrator command"}
	ws.each(func(w *Worker) {
		for _, t := range w.tasks {
			if t.session != but && of(database, t.session.Database()) {
				t.session.Evict(why)
				w.wake(t)
			}
		}
	})
}
