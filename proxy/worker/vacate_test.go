package worker

import (
	"context"
	"testing"
	"time"

	"pgherd/proxy/pool"
)

// vacated begins to vacate app. The result comes once that is done.
func (y *yard) vacated(ctx context.Context, stay bool) (clients func() (n int, done bool), free func()) {
	type answer struct {
		n    int
		free func()
	}
	answers := make(chan answer, 1)
	go func() {
		n, free := y.workers.vacate(ctx, "app", 0, stay)
		answers <- answer{n, free}
	}()
	var last answer
	over := false
	clients = func() (int, bool) {
		select {
		case last = <-answers:
			over = true
		case <-time.After(time.Millisecond): // Vacate polls by the real clock
		}
		return last.n, over
	}
	return clients, func() { last.free() }
}

// TestVacateEndsIdleServers checks that only that database's servers end, and that Vacate waits until
// PostgreSQL has ended them.
func TestVacateEndsIdleServers(t *testing.T) {
	y := newYard(t, 7, 2)
	other := pool.Target{Database: "other", User: "alice"}.On(0)
	gone := []*simServer{y.shelve(y.workers.all[0], appKey), y.shelve(y.workers.all[1], appKey)}
	y.shelve(y.workers.all[1], other)
	clients, free := y.vacated(t.Context(), false)
	y.until("the database is empty", func() bool { _, done := clients(); return done })
	for _, s := range gone {
		if !s.over {
			t.Error("a server of the database has not ended")
		}
	}
	if y.shelved() != 1 || y.workers.allocator.Count(appKey) != 0 || y.workers.allocator.Count(other) != 1 {
		t.Errorf("%d servers are idle; %d are counted of the database, %d of the other one", y.shelved(), y.workers.allocator.Count(appKey), y.workers.allocator.Count(other))
	}
	if !paused(y, "app") || paused(y, "other") || y.workers.allocator.Reserve(appKey) {
		t.Error("a client gets a server of the database, or none of another database")
	}
	free()
	free() // a second call has no effect
	y.until("clients get servers again", func() bool { return !paused(y, "app") })
	if !y.workers.allocator.Reserve(appKey) {
		t.Error("a client gets no server after the database was freed")
	}
	y.workers.gone(appKey)
	y.turns(5)
}

func paused(y *yard, database string) bool {
	_, is := y.workers.Paused(database)
	return is
}

// TestPausesSayWhy checks that a pause says who has ordered it, when, and that it is of all databases,
// and that a hold has no author.
func TestPausesSayWhy(t *testing.T) {
	y := newYard(t, 7, 2)
	y.workers.hold("app")
	y.workers.holdBack("db1", "alice")
	y.turns(5)
	began := y.workers.all[0].env.Now()
	y.later(time.Second)
	y.workers.holdBack("db1", "bob") // the earlier pause stays as it is
	y.workers.holdBack(pool.AllDatabases, "carol")
	y.turns(5)
	if why, _ := y.workers.Paused("db1"); why.By != "carol" || !why.All {
		t.Errorf("the pause is %+v", why)
	}
	y.workers.resume(pool.AllDatabases, func() {})
	y.turns(5)
	if why, is := y.workers.Paused("app"); !is || why.By != "" || why.All || why.Since.IsZero() {
		t.Errorf("the pause is %+v", why)
	}
	if paused(y, "db1") {
		t.Error("a pause is left after RESUME")
	}
	y.workers.holdBack("db1", "alice")
	y.turns(5)
	if why, _ := y.workers.Paused("db1"); why.By != "alice" || why.Since.Before(began) {
		t.Errorf("the pause is %+v", why)
	}
}

// TestHoldsEnd checks that a hold ends by itself, and is independent of an administrator's pause.
func TestHoldsEnd(t *testing.T) {
	y := newYard(t, 7, 2)
	y.workers.hold("app")
	free := y.workers.hold("app")
	y.workers.holdBack("app", "admin")
	y.turns(5)
	free()
	y.later(holdLimit + 2*time.Second)
	if len(y.workers.holds) != 0 || !paused(y, "app") {
		t.Errorf("%d holds are left, want none; the database is paused: %v", len(y.workers.holds), paused(y, "app"))
	}
	y.workers.hold("app")
	y.workers.resume(pool.AllDatabases, func() {})
	y.turns(5)
	if !paused(y, "app") {
		t.Error("RESUME has ended a hold, want it kept")
	}
}

// TestTemplatesAreNotKept checks that servers of template1 are not kept, because an idle one would be in the
// way of CREATE DATABASE.
func TestTemplatesAreNotKept(t *testing.T) {
	for name, want := range map[string]bool{"template0": false, "template1": false, "app": true} {
		if kept(pool.Target{Database: name}.On(0)) != want {
			t.Errorf("database %s: a server is kept: not %v", name, want)
		}
	}
	if kept(pool.Target{Database: "app", Replication: true}.On(0)) {
		t.Error("a replication server is kept")
	}
}

// TestNobodyAnsweredIsNotEmpty checks that a database does not count as empty if a worker does not
// answer, because that worker may have clients of it.
func TestNobodyAnsweredIsNotEmpty(t *testing.T) {
	y := newYard(t, 7, 2)
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if n, free := y.workers.vacate(over, "app", 0, false); n == 0 || len(y.workers.holds) != 0 {
		free()
		t.Error("the database counts as empty though no worker has answered")
	}
	y.turns(5)
}
