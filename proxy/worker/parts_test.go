package worker

import (
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"pgherd/proxy/nodes"
	"pgherd/proxy/pool"
	"pgherd/proxy/ring"
	"pgherd/proxy/ring/ringtest"
	"pgherd/proxy/session"
	"pgherd/proxy/wire"
)

// yard has workers on a simulated network, a clock that a test can advance, and servers that the
// simulation plays.
type yard struct {
	t       *testing.T
	net     *ringtest.Network
	boot    time.Duration // CLOCK_BOOTTIME
	ahead   time.Duration // how far the clock is ahead of the network's
	workers *Workers
	set     *Settings
	jobs    []func()
	servers []*simServer
	secrets bool // every user's credentials are stored
	fails   error
}

func newYard(t *testing.T, seed uint64, workers int, change ...func(*Settings)) *yard {
	y := &yard{t: t, net: ringtest.New(seed)}
	y.set = &Settings{Session: &session.Settings{ResetTimeout: time.Minute, KeepServers: true, ResetQueries: []string{"ABORT", "DISCARD ALL"}}}
	for _, f := range change {
		f(y.set)
	}
	env := &Environment{
		Connect: &simConnector{y}, Log: slog.New(slog.DiscardHandler), Now: y.now, BootTime: func() time.Duration { return y.boot },
		Go:     func(f func()) { y.jobs = append(y.jobs, f) },
		Key:    func(uint32) []byte { return []byte{1, 2, 3, 4} },
		Chance: func() float64 { return 0 },
		Jitter: func(d time.Duration) time.Duration { return d },
		Ended:  func(session.View, error) {},
		Failed: func(err error) { t.Error(err) },
	}
	y.workers = NewWorkers(workers, env, y.set, &nodes.View{Nodes: []nodes.Node{{Role: nodes.Primary, Status: nodes.Up}}})
	for _, w := range y.workers.all {
		w.Begin(ring.NewWith(y.net.Engine(), ring.Settings{Buffers: 64, BufferSize: 512, Quota: 8}))
	}
	t.Cleanup(y.close)
	return y
}

func (y *yard) now() time.Time { return y.net.Now().Add(y.ahead) }

func (y *yard) close() {
	y.workers.Stop()
	y.turns(20)
	for _, w := range y.workers.all {
		if !w.Over() {
			y.t.Errorf("worker %d is not over 20 turns after Stop", w.index)
		}
	}
}

// turns lets every part take n turns.
func (y *yard) turns(n int) {
	for range n {
		for _, w := range y.workers.all {
			if !w.Over() {
				if err := w.Turn(0); err != nil {
					y.t.Fatal(err)
				}
			}
		}
		y.net.Step()
		for _, job := range take(&y.jobs) {
			job()
		}
		for _, s := range y.servers {
			if err := s.act(rand.New(rand.NewPCG(1, 1))); err != nil {
				y.t.Fatal(err)
			}
		}
	}
}

func take[T any](p *T) (v T) {
	v, *p = *p, v
	return v
}

// until lets every part take turns until the condition holds.
func (y *yard) until(what string, so func() bool) {
	y.t.Helper()
	for range 5000 {
		if so() {
			return
		}
		y.turns(1)
	}
	y.t.Fatalf("this never happened: %s", what)
}

// later advances the clock and lets the workers do their chores.
func (y *yard) later(d time.Duration) {
	y.ahead += d
	y.turns(20)
}

func (y *yard) shelved() (n int) {
	for _, w := range y.workers.all {
		n += w.idle.Len()
	}
	return n
}

var appKey = pool.Target{Database: "app", User: "alice"}.On(0)

// shelve opens a server for no session, so that it comes to a worker's list of idle servers.
func (y *yard) shelve(w *Worker, key pool.Key) *simServer {
	y.t.Helper()
	n := w.idle.Len()
	y.workers.all[0].Post(func() {
		if !y.workers.allocator.Reserve(key) {
			y.t.Error("the allocator permits no more servers")
		}
		w.Post(func() { w.openServer(pool.Ticket{Key: key, Worker: w.index}) })
	})
	y.until("a server is in the list of idle servers", func() bool { return w.idle.Len() > n })
	return y.servers[len(y.servers)-1]
}

// TestAlarms checks that a task is woken at the deadline of its present wait, not before, and not at
// the deadline of a wait that was given up.
func TestAlarms(t *testing.T) {
	start := time.Unix(1_000_000_000, 0)
	at := func(s int) time.Time { return start.Add(time.Duration(s) * time.Second) }
	w := &Worker{now: start}
	a, b := &task{w: w, pid: 1}, &task{w: w, pid: 2}
	woken := func(second int) (pids []uint32) {
		w.now = at(second)
		w.ringAlarms()
		for _, t := range w.run {
			pids = append(pids, t.pid)
			t.queued = false
		}
		w.run = nil
		return pids
	}
	check := func(second int, want ...uint32) {
		t.Helper()
		if got := woken(second); !slices.Equal(got, want) {
			t.Errorf("second %d: woken %v, want %v", second, got, want)
		}
	}
	w.arm(a, at(10))
	w.arm(b, at(5))
	check(4)
	check(5, 2)
	w.arm(b, at(20))
	w.arm(a, at(15)) // moved later
	check(10)
	check(15, 1)
	w.arm(a, at(30))
	w.arm(a, at(18)) // moved earlier
	w.arm(b, session.Forever)
	check(18, 1)
	check(25)
	w.arm(a, at(40))
	w.arm(b, at(40))
	w.arm(a, session.Forever)
	w.arm(a, at(35)) // armed again
	check(30)
	check(35, 1)
	check(50, 2)
	w.arm(a, at(45)) // a deadline in the past wakes the task at once
	check(50, 1)
	if len(w.alarms) != 0 {
		t.Errorf("%d alarms are left, want none", len(w.alarms))
	}
}

// TestAlarmsOfManyTasks compares the alarms of many tasks with a plain list of deadlines.
func TestAlarmsOfManyTasks(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 5))
	w := &Worker{now: time.Unix(1_000_000_000, 0)}
	tasks := make([]*task, 50)
	for i := range tasks {
		tasks[i] = &task{w: w, pid: uint32(i)}
	}
	for range 5000 {
		k := tasks[random.IntN(len(tasks))]
		if random.IntN(4) == 0 {
			w.arm(k, session.Forever)
		} else {
			w.arm(k, w.now.Add(time.Duration(1+random.IntN(1000))))
		}
		w.now = w.now.Add(time.Duration(random.IntN(20)))
		w.ringAlarms()
		for _, k := range tasks {
			if due := !k.deadline.IsZero() && !k.deadline.After(w.now); due != k.queued {
				t.Fatalf("task %d: due=%v, woken=%v", k.pid, due, k.queued)
			}
			if k.queued {
				k.queued = false
				w.arm(k, session.Forever)
			}
		}
		w.run = w.run[:0]
	}
}

var ready = wire.AppendReadyForQuery(nil, wire.Idle)

func TestPatience(t *testing.T) {
	y := newYard(t, 1, 1)
	w := y.workers.all[0]
	w.now = y.now()
	w.chores = w.now.Add(time.Second)
	check := func(what string, want time.Duration) {
		t.Helper()
		if got := w.patience(); got != want {
			t.Errorf("%s: got %v, want %v", what, got, want)
		}
	}
	check("until the chores", time.Second)
	k := &task{w: w}
	w.arm(k, w.now.Add(time.Millisecond))
	check("until an alarm", time.Millisecond)
	y.ahead += time.Hour
	check("it is late already", 0)
	y.ahead -= time.Hour
	w.inbox.some.Store(true)
	check("a message is there", 0)
	w.inbox.some.Store(false)
	w.run = []*task{k}
	check("somebody is to be resumed", 0)
	w.run, w.alarms = nil, nil
}

func TestInbox(t *testing.T) {
	var b inbox
	var got []int
	wakes := 0
	if b.take() != nil {
		t.Error("an empty inbox has a message")
	}
	for i := range 3 {
		if !b.put(func() { got = append(got, i) }, func() { wakes++ }) {
			t.Error("an open inbox refused a message")
		}
	}
	for _, message := range b.take() {
		message()
	}
	if !slices.Equal(got, []int{0, 1, 2}) || wakes != 3 || b.take() != nil {
		t.Errorf("got messages %v, and %d wake-ups", got, wakes)
	}
	_ = b.put(func() {}, func() {})
	b.close()
	if b.put(func() { t.Error("a refused message was run") }, func() { t.Error("the worker was woken for a refused message") }) {
		t.Error("a closed inbox took a message")
	}
	if len(b.take()) != 1 {
		t.Error("a message that was put before the close is lost")
	}
}

// TestInboxOfManySenders checks that no message is lost, and that each sender's order is kept.
func TestInboxOfManySenders(t *testing.T) {
	var b inbox
	var senders sync.WaitGroup
	const each = 1000
	for s := range 4 {
		senders.Go(func() {
			for i := range each {
				_ = b.put(func() { panic(fmt.Sprint(s, i)) }, func() {})
			}
		})
	}
	counts, total := map[string]int{}, 0
	for total < 4*each {
		for _, message := range b.take() {
			s, i := "", 0
			func() {
				defer func() { _, _ = fmt.Sscan(recover().(string), &s, &i) }()
				message()
			}()
			if counts[s] != i {
				t.Fatalf("sender %[2]s: message %[1]d came as number %[3]d", i, s, counts[s])
			}
			counts[s]++
			total++
		}
	}
	senders.Wait()
}

// TestNextPID checks that numbers are positive as PostgreSQL's are, that each belongs to one session
// at a time, and that the remainder tells the worker, also when the numbers begin again.
func TestNextPID(t *testing.T) {
	for _, workers := range []int{1, 2, 3, 64} {
		ws := NewWorkers(workers, &Environment{Now: time.Now}, &Settings{}, &nodes.View{})
		seen := map[uint32]bool{}
		for _, w := range ws.all {
			w.lastPID = 1<<31/uint32(workers) - 50
			for range 100 {
				pid := w.nextPID()
				if int32(pid) <= 0 || pid%uint32(workers) != uint32(w.index) || seen[pid] {
					t.Fatalf("%d workers: worker %d gave the number %d", workers, w.index, pid)
				}
				seen[pid] = true
				w.tasks[pid] = &task{}
			}
			w.lastPID = 1<<31/uint32(workers) - 50 // the numbers begin again, while all are taken
			if pid := w.nextPID(); seen[pid] {
				t.Fatalf("%d was given twice", pid)
			}
		}
	}
}

// TestPublish checks that templates are forgotten when roles of nodes change, because a node may
// report other parameters at the log-in in another role.
func TestPublish(t *testing.T) {
	view := func(roles ...nodes.Role) *nodes.View {
		v := &nodes.View{}
		for i, r := range roles {
			v.Nodes = append(v.Nodes, nodes.Node{Index: i, Role: r})
		}
		return v
	}
	for name, c := range map[string]struct {
		next   *nodes.View
		forgot bool
	}{
		"the same":         {view(nodes.Primary, nodes.Standby), false},
		"swapped":          {view(nodes.Standby, nodes.Primary), true},
		"a node is gone":   {view(nodes.Primary), true},
		"there is no node": {view(), true},
	} {
		workers := NewWorkers(1, &Environment{Now: time.Now}, &Settings{}, view(nodes.Primary, nodes.Standby))
		workers.templates.Learn(&pool.Server{Key: appKey, Params: []wire.Param{{Name: "a"}}})
		workers.Publish(c.next)
		if params, _ := workers.templates.Find(appKey); (params == nil) != c.forgot || workers.Nodes() != c.next {
			t.Errorf("%s: the template is %v, or the view is not the published one", name, params)
		}
	}
}

// TestDetach checks that the descriptor stays non-blocking and is closed on exec, and that the
// net.Conn is closed while the connection lives on.
func TestDetach(t *testing.T) {
	here, there := connected(t)
	fd, err := Detach(here)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0); err != nil || flags&unix.O_NONBLOCK == 0 {
		t.Errorf("want a non-blocking descriptor: flags %x, %v", flags, err)
	}
	if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
		t.Errorf("want a descriptor that is closed on exec: flags %x, %v", flags, err)
	}
	if _, err := here.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
		t.Errorf("write to the net.Conn: got %v, want net.ErrClosed", err)
	}
	if _, err := unix.Write(fd, []byte("alive")); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 5)
	if _, err := there.Read(got); err != nil || string(got) != "alive" {
		t.Errorf("the far side got %q, %v", got, err)
	}
}

func TestDetachFails(t *testing.T) {
	pipe, other := net.Pipe()
	defer other.Close()
	if _, err := Detach(pipe); err == nil {
		t.Error("Detach of a pipe, which has no descriptor, succeeded")
	}
	if _, err := pipe.Write(nil); err == nil {
		t.Error("the pipe was not closed")
	}
	here, _ := connected(t)
	here.Close()
	if fd, err := Detach(here); err == nil || fd != -1 {
		t.Errorf("Detach of a closed connection returned %d, %v", fd, err)
	}
}

// connected returns both ends of a connection on loopback.
func connected(t *testing.T) (here, there net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if there, err = net.Dial("tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if here, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		here.Close()
		there.Close()
	})
	return here, there
}
