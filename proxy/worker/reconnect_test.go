package worker

import (
	"math/rand/v2"
	"testing"
	"time"

	"pgherd/proxy/pool"
	"pgherd/proxy/ring/ringtest"
	"pgherd/proxy/session"
	"pgherd/proxy/wire"
)

// inch lets one part, chosen at random, take one step.
func (y *yard) inch(random *rand.Rand) {
	y.t.Helper()
	switch n := random.IntN(6); n {
	case 0, 1, 2:
		if err := y.workers.all[n%len(y.workers.all)].Turn(0); err != nil {
			y.t.Fatal(err)
		}
	case 3:
		if len(y.jobs) > 0 {
			job := y.jobs[0]
			y.jobs = y.jobs[1:]
			job()
		}
	case 4:
		y.net.Step()
	case 5:
		for _, s := range y.servers {
			if err := s.act(random); err != nil {
				y.t.Fatal(err)
			}
		}
	}
}

// TestReconnectAtAnyMoment checks that a server does not stay, wherever it is when RECONNECT is asked
// for: on a list of idle servers, being opened, being moved, or with a client. A server that is opened
// later stays.
func TestReconnectAtAnyMoment(t *testing.T) {
	for _, mode := range []pool.Mode{pool.Session, pool.Transaction} {
		for seed := range uint64(400) {
			reconnectOnce(t, mode, seed)
			if t.Failed() {
				t.Fatalf("mode %v, seed %d", mode, seed)
			}
		}
	}
}

func reconnectOnce(t *testing.T, mode pool.Mode, seed uint64) {
	random := rand.New(rand.NewPCG(seed, 5))
	y := newYard(t, seed, 3, func(s *Settings) {
		s.Limits.Node, s.Session.Modes.Default, s.Session.Statements, s.Session.Catalogs = 2, mode, simStatements{}, simCatalogs()
	})
	y.shelve(y.workers.all[0], appKey) // one server will be moved, and one opened
	peers := []*ringtest.Peer{y.hurried(1), y.hurried(2), y.hurried(2)}
	for range random.IntN(200) {
		y.inch(random)
	}
	old := len(y.servers) + len(y.jobs) // these statements need no question about the catalog, so each job opens a server, in order
	y.workers.Reconnect(pool.AllDatabases)
	y.ahead += time.Second
	for range 200 {
		y.inch(random)
	}
	y.until("all clients have been served", func() bool {
		for _, p := range peers {
			p.Read()
		}
		return y.tasks() == 0 && len(y.jobs) == 0 && y.workers.allocator.Total() == y.shelved()
	})
	y.turns(20)
	for _, s := range y.servers[:old] {
		if s.peer.Closed() == nil {
			t.Errorf("server %d was opened before the RECONNECT and stays", s.pid)
		}
	}
	peer := y.guest(0)
	y.answered(peer, "1 ROWS 30")
	_, _ = peer.Write(wire.AppendTerminate(nil))
	y.until("the last server is given back", func() bool { return y.tasks() == 0 })
	if y.shelved() == 0 {
		t.Error("a server opened after the RECONNECT is closed, too")
	}
	y.close()
}

// hurried logs in a client that sends a query, and leaves without reading the end of the answer.
func (y *yard) hurried(worker int) *ringtest.Peer {
	fd, peer := y.net.Pair()
	y.workers.Adopt(uint64(worker), Login{Socket: Socket{FD: fd}, Client: session.Client{Target: appKey.Target()}})
	_, _ = peer.Write(wire.AppendQuery(nil, "1 ROWS 30"))
	_, _ = peer.Write(wire.AppendTerminate(nil))
	return peer
}

func (y *yard) tasks() (n int) {
	for _, w := range y.workers.all {
		n += len(w.tasks)
	}
	return n
}

// TestMissedMove checks that a ticket whose server no longer exists goes back into the queue if its
// session still has the same wait.
func TestMissedMove(t *testing.T) {
	y := newYard(t, 1, 2)
	y.workers.holdBack("app", "admin")
	fd, _ := y.net.Pair()
	y.workers.Adopt(1, Login{Socket: Socket{FD: fd}, Client: session.Client{Target: appKey.Target()}})
	y.until("the session waits", func() bool { return y.workers.allocator.Waiting() == 1 })
	var waits *task
	for _, w := range y.workers.all[1].tasks {
		waits = w
	}
	ticket := pool.Ticket{Key: appKey, Worker: 1, Session: waits.pid, Since: waits.want.since}
	for name, c := range map[string]struct {
		change func(*pool.Ticket)
		goes   bool
	}{
		"it still waits":            {func(*pool.Ticket) {}, true},
		"it waits for another pool": {func(t *pool.Ticket) { t.Key.Node++ }, false},
		"it has asked anew":         {func(t *pool.Ticket) { t.Since = t.Since.Add(-1) }, false},
		"it has ended":              {func(t *pool.Ticket) { t.Session += 1000 }, false},
	} {
		y.workers.allocate(func() []pool.Action { y.workers.allocator.Withdraw(1, waits.pid); return nil })
		missing := ticket
		c.change(&missing)
		y.workers.all[0].Post(func() { y.workers.all[0].carryOut(pool.Action{Deed: pool.Move, Ticket: missing}) })
		y.turns(10)
		if goes := y.workers.allocator.Waiting() == 1; goes != c.goes {
			t.Errorf("%s: the ticket is in the queue: %v, want the opposite", name, goes)
		}
	}
}
