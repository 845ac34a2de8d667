package worker

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"pgherd/proxy/catalog"
	"pgherd/proxy/nodes"
	"pgherd/proxy/pool"
	"pgherd/proxy/ring"
	"pgherd/proxy/ring/ringtest"
	"pgherd/proxy/route"
	"pgherd/proxy/session"
	"pgherd/proxy/wire"
)

var (
	simSeed  = flag.Uint64("sim.seed", 0, "replay this seed only")
	simSeeds = flag.Uint64("sim.seeds", 1000, "how many seeds to run")
	simTrace = flag.Bool("sim.trace", false, "print what servers get")
	simOnly  = flag.String("sim.only", "", "all seeds are about one thing: blocks, definitions, failover, meaning, rollbacks or statements")
	simFirst = flag.Uint64("sim.first", 1, "the first seed")
)

// simServer is one connection to the model of PostgreSQL.
type simServer struct {
	*postgres
	peer   *ringtest.Peer
	pid    uint32
	faulty bool // it breaks at some moment
	over   bool
	fate
}

// sim is pgherd's workers, clients and PostgreSQL on one thread. A seed decides the order of events.
type sim struct {
	seed         uint64
	random       *rand.Rand
	net          *ringtest.Network
	workers      *Workers
	clients      []*simClient
	servers      []*simServer
	jobs         []func() // what does not run on the workers' threads
	limit        int
	delay        int // a job is run one time in so many
	mode         pool.Mode
	rounds       []simRound // what clients do in this run
	apart        int        // distance of the numbers from which two rounds of a client are made
	patient      bool       // clients wait for each answer
	breaking     bool       // servers break
	administered bool       // an administrator pauses, reconnects and reloads
	set          *Settings
	view         *nodes.View
	granted      int // number of changes of what log-ins rest on
	changes      int // probability of the next change, in 2000ths
	faults       []error
	// canceling is, by server, the session that held it when the job that runs now was made.
	canceling map[uint32]uint32
	lastPID   uint32
	databases map[string]*simDatabase
	herd      *simHerd // its nodes are lost; nil: nodes are not lost
}

func newSim(seed uint64) *sim {
	s := &sim{seed: seed, random: rand.New(rand.NewPCG(seed, 7)), net: ringtest.New(seed), databases: map[string]*simDatabase{}}
	s.limit = 1 + s.random.IntN(4)
	s.delay = []int{1, 1, 50}[s.random.IntN(3)]
	s.breaking = s.random.IntN(3) == 0
	s.administered, s.changes = s.random.IntN(3) == 0, []int{0, 3, 12}[s.random.IntN(3)]
	if s.random.IntN(4) == 0 {
		s.net.ResetOneIn, s.breaking = 2000, true
	}
	s.mode = []pool.Mode{pool.Session, pool.Transaction, pool.Statement}[s.random.IntN(3)]
	s.mix()
	if s.herd != nil {
		s.loses()
	}
	env := &Environment{
		Connect: s, Log: slog.New(slog.DiscardHandler), Now: s.net.Now, BootTime: func() time.Duration { return s.net.Now().Sub(time.Unix(0, 0)) },
		Go:     s.goes,
		Key:    func(uint32) []byte { return []byte{byte(s.random.Uint32()), 1, 2, 3} },
		Chance: s.random.Float64,
		Jitter: func(d time.Duration) time.Duration { return d },
		Ended: func(v session.View, why error) {
			if *simTrace {
				fmt.Println("ended", v.PID, why)
			}
		},
		Failed: func(err error) { s.faults = append(s.faults, err) },
	}
	set := &Settings{
		Session: &session.Settings{Modes: pool.Modes{Default: s.mode}, Catalogs: simCatalogs(), Statements: simStatements{}, MaxPrepared: 1 + s.random.IntN(3), ServerFirst: s.random.IntN(2) == 0, ResetTimeout: time.Minute, KeepServers: true, ResetQueries: []string{"ABORT", "DISCARD ALL"}},
		Limits:  pool.Limits{Node: s.limit, Pair: s.random.IntN(3), Reserve: s.random.IntN(2), ReserveAfter: time.Second},
	}
	view := &nodes.View{Nodes: []nodes.Node{{Role: nodes.Primary, Status: nodes.Up, Weight: 1}}}
	routed := s.random.IntN(2) == 0
	if routed || s.herd != nil {
		view.Nodes = append(view.Nodes, nodes.Node{Index: 1, Role: nodes.Standby, Status: nodes.Up, Weight: 2})
	}
	if s.herd != nil {
		set.Session.FailoverWait, view.Epoch = simWait, 1
	}
	if routed {
		set.Session.Routing = s.routing()
		env.PollPositions = s.chase
	}
	s.set, s.view = set, view
	s.workers = NewWorkers(1+s.random.IntN(3), env, set, view)
	for _, w := range s.workers.all {
		w.Begin(ring.NewWith(s.net.Engine(), ring.Settings{Buffers: 64, BufferSize: 512, Quota: 4}))
	}
	s.workers.started.Store(true)
	return s
}

// mix chooses what clients do.
func (s *sim) mix() {
	s.rounds = simRounds
	if *simOnly == "failover" || *simOnly == "blocks" || *simOnly == "" && s.seed%4 == 0 {
		s.herd = &simHerd{alive: [2]bool{true, true}}
	}
	switch s.random.IntN(8) { // rare mixtures of requests are run often, so that they meet
	case 0, 1, 2:
		s.rounds = simSettings
	case 3:
		s.rounds, s.patient = simMeaning, true
	case 4, 5:
		s.rounds = simDefinitions
	}
	switch *simOnly {
	case "definitions":
		s.rounds, s.patient = simDefinitions, false
	case "meaning":
		s.rounds, s.patient = simMeaning, true
	case "rollbacks":
		s.mode, s.rounds, s.patient = pool.Transaction, simRollbacks, true
	case "statements":
		s.rounds, s.patient = simPrepared, false
	}
}

// routing spreads reads over the primary and a standby.
func (s *sim) routing() *session.Routing {
	return &session.Routing{Rules: route.Settings{Balance: true, OnWrite: route.OnWrite(s.random.IntN(4))},
		Balance: route.Balance{Policy: route.Policies["weight"]}, PerStatement: s.random.IntN(2) == 0,
		Consistency: route.Consistency(s.random.IntN(3)), ConsistencyWait: time.Duration(s.random.IntN(2)) * time.Millisecond}
}

// chase makes jobs that ask the nodes for their positions.
func (s *sim) chase() {
	for node := range 2 {
		s.jobs = append(s.jobs, func() { s.workers.NoteReplayed(node, uint64(10-s.random.IntN(2)*node), s.net.Now()) })
	}
}

// simCatalogs is the knowledge of databases in which no client has defined anything yet.
func simCatalogs() *catalog.Shared {
	c := catalog.NewShared()
	empty, err := catalog.Read(nil, new(simDatabase).catalog())
	if err != nil {
		panic(err)
	}
	for _, database := range []string{"db0", "db1", "app"} {
		e := c.Entry(database)
		e.Claim(time.Unix(0, 0), math.MaxInt64, false)
		e.Store(e.Ask(time.Unix(0, 0)), empty)
	}
	return c
}

// Open is the Connector's: it opens a simulated server.
func (s *sim) Open(_ context.Context, key pool.Key, _ any) (Opened, error) {
	if s.herd != nil && !s.herd.alive[key.Node] {
		return Opened{}, &wire.Fault{Severity: "FATAL", Code: "08001", Message: "could not connect"}
	}
	fd, peer := s.net.Pair()
	s.lastPID++
	server := &simServer{postgres: newPostgres(s.mode == pool.Session && key.Node == 0), peer: peer, pid: s.lastPID, faulty: s.breaking && s.random.IntN(4) == 0}
	server.standby, server.postgres.pid, server.node = key.Node != 0, s.lastPID, key.Node
	if s.herd != nil {
		s.herd.belongsTo(s, server)
	}
	server.database = s.database(key.Target().Database)
	s.servers = append(s.servers, server)
	server.letInOn, server.standing = s.granted, func() int { return s.granted }
	server.came = func(client int) int { return s.clients[client-1].came }
	if total := s.workers.allocator.Total(); total > 2*s.limit {
		s.faults = append(s.faults, fmt.Errorf("%d servers are counted, want %d of each node at most", total, s.limit))
	}
	return Opened{Socket: Socket{FD: fd}, PID: server.pid, Params: []wire.Param{{Name: "DateStyle", Value: "0"}}, Finding: server.finding()}, nil
}

// database returns what all servers of that name share.
func (s *sim) database(name string) *simDatabase {
	if s.databases[name] == nil {
		s.databases[name] = new(simDatabase)
	}
	return s.databases[name]
}

func (s *sim) Secret(string) (any, bool) { return nil, false }

// goes makes f a job, which runs later, and not on a worker's thread.
func (s *sim) goes(f func()) {
	held := map[uint32]uint32{}
	for _, w := range s.workers.all {
		for _, t := range w.tasks {
			if v := t.session.View(); v.Server != nil {
				held[v.Server.PID] = v.PID
			}
		}
	}
	s.jobs = append(s.jobs, func() {
		s.canceling = held
		f()
	})
}

// Cancel is the Connector's. It arrives late. The session for which it was sent must then still hold
// the server, or none does because the server is closed (I10).
//
// Sometimes the request gets no answer: the error comes first, and the cancel strikes later.
func (s *sim) Cancel(_ context.Context, _ int, pid uint32, _ []byte) error {
	asker := s.canceling[pid]
	if s.random.IntN(4) == 0 {
		s.jobs = append(s.jobs, func() { s.strike(pid, asker) })
		return errors.New("no answer")
	}
	s.strike(pid, asker)
	return nil
}

func (s *sim) strike(pid, asker uint32) {
	for _, w := range s.workers.all {
		for _, v := range w.idle.All() {
			if v.PID == pid {
				s.faults = append(s.faults, fmt.Errorf("a cancel reached server %d in the list of idle servers", pid))
			}
		}
		for _, t := range w.tasks {
			if v := t.session.View(); v.Server != nil && v.Server.PID == pid && v.PID != asker {
				s.faults = append(s.faults, fmt.Errorf("a cancel for session %d reached session %d", asker, v.PID))
			}
		}
	}
}

// arrive logs in a client.
func (s *sim) arrive() {
	fd, peer := s.net.Pair()
	id := len(s.clients) + 1
	c := newSimClient(id, peer, s.random, s.mode, s.rounds, s.patient, s.apart)
	c.breaking, c.came = s.breaking, s.granted
	if s.herd != nil {
		s.herd.expectLosses(s, c)
	}
	s.clients = append(s.clients, c)
	target := pool.Target{Database: fmt.Sprint("db", s.random.IntN(2)), User: "u"}
	c.database = target.Database
	s.workers.Adopt(s.random.Uint64(), Login{Socket: Socket{FD: fd}, Client: session.Client{Target: target}})
}

// step lets one part of the simulation do one thing.
func (s *sim) step() error {
	s.administer()
	if s.herd != nil {
		if err := s.herd.turn(s); err != nil {
			return err
		}
	}
	switch s.random.IntN(6) {
	case 0:
		s.net.Step()
	case 1:
		if len(s.jobs) > 0 && s.random.IntN(s.delay) == 0 {
			i := s.random.IntN(len(s.jobs))
			job := s.jobs[i]
			s.jobs = append(s.jobs[:i], s.jobs[i+1:]...)
			job()
		}
	case 2, 3:
		return s.workers.all[s.random.IntN(len(s.workers.all))].Turn(0)
	case 4:
		if len(s.clients) > 0 {
			c := s.clients[s.random.IntN(len(s.clients))]
			s.cancelSometimes(c)
			return c.act(s.random)
		}
	case 5:
		if len(s.servers) > 0 {
			return s.servers[s.random.IntN(len(s.servers))].act(s.random)
		}
	}
	if len(s.faults) > 0 {
		return errors.Join(s.faults...)
	}
	return nil
}

// administer sometimes pauses, resumes or reconnects the servers of a database, reloads the same
// configuration, publishes the same View, or changes what log-ins rest on through pgherd. Clients only
// wait because of that.
func (s *sim) administer() {
	if !s.administered {
		return
	}
	if s.random.IntN(2000) < s.changes {
		s.granted++
		s.workers.Doubt()
	}
	switch s.random.IntN(2000) {
	case 6, 7, 8, 9, 10, 11, 12, 13, 14, 15:
		again := *s.set
		session := *s.set.Session
		again.Session = &session
		s.workers.Configure(&again)
	case 16, 17:
		again := *s.view
		s.workers.Publish(&again)
	case 0:
		s.workers.holdBack("db1", "admin")
	case 1:
		s.workers.Reconnect(pool.AllDatabases)
	case 2, 3, 4, 5:
		s.workers.resume(pool.AllDatabases, func() {})
	case 18:
		s.jobs = append(s.jobs, s.workers.hold("db0"))
		s.workers.each(func(w *Worker) { w.endIdle("db0") })
	}
}

// cancelSometimes sends a cancel for the present request of c, at any moment.
func (s *sim) cancelSometimes(c *simClient) {
	if !c.greeted || c.done || s.random.IntN(12) > 0 {
		return
	}
	at, ok := s.workers.numbers.Find(c.pid)
	if !ok {
		return
	}
	w := s.workers.all[at.Worker]
	c.cancels, c.cancel = c.cancels+1, true
	w.Post(func() { w.cancel(at.Session, c.key, func() { c.cancels-- }) })
}

// act reads and answers. A faulty server sometimes ends or sends nonsense.
func (v *simServer) act(random *rand.Rand) error {
	if v.over || v.lost {
		return v.checkFence()
	}
	in := v.peer.ReadSome(1 + random.IntN(4000))
	over := v.feed(in)
	if v.fault != "" {
		return fmt.Errorf("server %d: %s", v.pid, v.fault)
	}
	if v.dead {
		v.die(random)
		return nil
	}
	if v.faulty && random.IntN(60) == 0 {
		switch random.IntN(3) {
		case 0:
			v.peer.Reset()
		case 1:
			v.out = append(v.out, "nonsense that no server says"...)
			v.faulty = false
		case 2:
			over = true
		}
	}
	if len(v.out) > 0 && (!v.copying || random.IntN(2) == 0) {
		_, _ = v.peer.Write(v.out)
		v.out = nil
	}
	if over || v.peer.Closed() != nil {
		v.over = true
		v.peer.CloseWrite()
	}
	return nil
}

// These are the limits of a run: the number of clients, and the steps until all are done and all is
// quiet.
const (
	simClients  = 8
	simPatience = 2_000_000
)

// run plays the seed to its end.
func (s *sim) run() error {
	clients := 1 + s.random.IntN(simClients)
	for range simPatience {
		if len(s.clients) < clients && s.random.IntN(50) == 0 {
			s.arrive()
		}
		if err := s.step(); err != nil {
			return err
		}
		if len(s.clients) == clients && s.quiet() {
			if err := s.accounts(); err != nil || s.herd == nil {
				return err
			}
			return s.auditRows()
		}
	}
	return fmt.Errorf("not done after %d steps: %s", simPatience, s.state())
}

// quiet says that every client is done and every session has ended.
func (s *sim) quiet() bool {
	for _, c := range s.clients {
		if !c.done || c.cancels > 0 {
			return false
		}
	}
	for _, w := range s.workers.all {
		if len(w.tasks) > 0 || w.inbox.some.Load() || len(w.run) > 0 {
			return false
		}
	}
	return len(s.jobs) == 0 && s.settled()
}

// settled says that the servers counted are those in the lists of idle servers.
func (s *sim) settled() bool { return s.workers.allocator.Total() == s.shelved() }

func (s *sim) shelved() (n int) {
	for _, w := range s.workers.all {
		n += w.idle.Len()
	}
	return n
}

// accounts checks that no server, ticket or number is lost, shared or dirty.
func (s *sim) accounts() error {
	if n := s.workers.allocator.Waiting(); n > 0 {
		return fmt.Errorf("%d tickets wait, but no session does", n)
	}
	if known := s.workers.processes.Len(); known != s.shelved() {
		return fmt.Errorf("%d servers are listed by process number, want %d", known, s.shelved())
	}
	if left := s.workers.numbers.Len(); left > 0 {
		return fmt.Errorf("%d process numbers of clients are still taken, but all clients have left", left)
	}
	for _, w := range s.workers.all {
		for _, v := range w.idle.All() {
			if server := s.servers[v.PID-1]; server.owner != 0 || server.secret != 0 || server.status != wire.Idle {
				return fmt.Errorf("server %d is in the list of idle servers with the state of client %d", v.PID, server.owner+server.secret)
			}
		}
	}
	return nil
}

func (s *sim) state() (text string) {
	for _, c := range s.clients {
		text += fmt.Sprintf("client %d done=%v greeted=%v rounds=%d owed=%q; ", c.id, c.done, c.greeted, len(c.rounds), clip(c.model.out))
	}
	for _, w := range s.workers.all {
		for _, t := range w.tasks {
			v := t.session.View()
			text += fmt.Sprintf("session %d on %d %v server=%v want=%+v until %v; ", v.PID, w.index, v.State, v.Server != nil, t.want, t.deadline)
		}
	}
	return text + fmt.Sprintf("now %v %+v %+v servers counted %d, on shelves %d, waiting %d, jobs %d", s.net.Now(), s.herd, s.view, s.workers.allocator.Total(), s.shelved(), s.workers.allocator.Waiting(), len(s.jobs))
}

// TestSimulatedRestore checks that a DISCARD beside it changes no setting of the model.
func TestSimulatedRestore(t *testing.T) {
	p := newPostgres(false)
	p.feed(wire.AppendQuery(nil, `SET "param" TO 35;RESET "datestyle";DISCARD SEQUENCES;`))
	if want := (settings{param: "35", style: "0"}); p.now != want || p.lasting != want {
		t.Errorf("settings in force are %v and lasting ones %v, want %v", p.now, p.lasting, want)
	}
}

// TestSimulation is the oracle for I1, I2 and I10. Each client gets exactly the answers to its own
// requests, in order; no server is shared, lost or handed over dirty; no cancel reaches another
// client's query.
func TestSimulation(t *testing.T) {
	first, count := *simFirst, *simSeeds
	if *simSeed != 0 {
		first, count = *simSeed, 1
	}
	for seed := first; seed < first+count; seed++ {
		if err := newSim(seed).run(); err != nil {
			t.Fatalf("seed %d: %v\nreplay: go test ./proxy/worker -run TestSimulation -sim.seed %d", seed, err, seed)
		}
	}
}
