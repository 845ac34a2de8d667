package worker

import (
	"context"
	"fmt"
	"slices"
	"time"

	"pgherd/proxy/pool"
	"pgherd/proxy/wire"
)

// pausePoll is how often Pause checks whether the last server has come back.
const pausePoll = 20 * time.Millisecond

// Paused says why clients of the database get no servers. Servers that they have are
// closed when they are given back. It is false if they get servers.
func (ws *Workers) Paused(database string) (pool.Pause, bool) {
	paused := ws.paused.Load()
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

// tellPaused replaces what Paused returns. It runs on worker 0.
func (ws *Workers) tellPaused() {
	paused := ws.allocator.KeptBack()
	for _, it := range slices.Backward(ws.holds) { // the first one counts
		if paused[it.database].By == "" {
			paused[it.database] = pool.Pause{Since: it.since}
		}
	}
	ws.paused.Store(&paused)
}

// Pause lets nobody get a server of the database any more, and waits until the last one
// has been given back and closed. Clients stay and wait. If the context ends first, the
// database stays paused.
func (ws *Workers) Pause(ctx context.Context, database, by string) error {
	ws.holdBack(database, by)
	for {
		left, err := ws.countServers(ctx, database)
		if err != nil || left == 0 {
			return err
		}
		select {
		case <-time.After(pausePoll):
		case <-ctx.Done():
			return &wire.Fault{Severity: "ERROR", Code: "55006", Message: fmt.Sprintf("%d servers are still in use; the pause goes on", left),
				Hint: "SHOW POOL_CLIENTS tells who has them. KILL sends them away, RESUME ends the pause."}
		}
	}
}

// holdBack begins a Pause.
func (ws *Workers) holdBack(database, by string) {
	ws.allocate(func() []pool.Action {
		ws.allocator.Pause(database, ws.all[0].env.Now(), by)
		ws.tellPaused()
		ws.each(func(w *Worker) { w.retire(database) })
		return nil
	})
}

func (ws *Workers) countServers(ctx context.Context, database string) (int, error) {
	answer := make(chan int, 1)
	ws.allocate(func() []pool.Action {
		answer <- ws.allocator.CountDatabase(database)
		return nil
	})
	select {
	case n := <-answer:
		return n, nil
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

// Resume ends a Pause; for AllDatabases it ends every one. It returns once that is done.
func (ws *Workers) Resume(ctx context.Context, database string) error {
	done := make(chan struct{})
	ws.resume(database, func() { close(done) })
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// resume calls done, on worker 0's thread, when the pause has ended.
func (ws *Workers) resume(database string, done func()) {
	ws.allocate(func() []pool.Action {
		defer done()
		actions := ws.allocator.Resume(database)
		ws.tellPaused()
		return actions
	})
}

// Reconnect closes the database's idle servers now, and every other one as soon as its
// session gives it back.
func (ws *Workers) Reconnect(database string) {
	now := ws.all[0].env.Now()
	ws.allocate(func() []pool.Action {
		ws.allocator.Renewals.Renew(database, now) // before the workers look, so that none is missed
		ws.each(func(w *Worker) { w.retire(database) })
		return nil
	})
}

// Kill pauses the database and ends the sessions of its clients.
func (ws *Workers) Kill(ctx context.Context, database, by string) error {
	ws.evictFrom(database, nil)
	return ws.Pause(ctx, database, by)
}

// each makes every worker do something.
func (ws *Workers) each(do func(*Worker)) {
	for _, w := range ws.all {
		w.Post(func() { do(w) })
	}
}

// retire ends the life of the database's servers: of idle ones now, of the others when
// they are given back.
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
