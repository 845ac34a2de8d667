package leaks_test

import (
	"net"
	"slices"
	"strings"
	sy "sync"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"

	"pgherd/bench/herd"
)

// relay is a pool with the worst faults: after each transaction a server goes to the next client with all that the last
// client has left on it.
type relay struct {
	listener net.Listener

	mu   sy.Mutex
	idle []*talk // the server given back last is taken first
	all  []*talk
}

func startRelay(t *testing.T) *relay {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{listener: listener}
	t.Cleanup(func() {
		listener.Close()
		_ = r.drop()
	})
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go r.serve(conn)
		}
	}()
	return r
}

// drop ends all servers.
func (r *relay) drop() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, t := range r.all {
		t.conn.Close() // a client's relay may wait for it
	}
	r.idle, r.all = nil, nil
	return nil
}

func (r *relay) take(as who) (*talk, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n := len(r.idle); n > 0 {
		t := r.idle[n-1]
		r.idle = r.idle[:n-1]
		return t, nil
	}
	t, err := open(world.direct, as)
	if err == nil {
		r.all = append(r.all, t)
	}
	return t, err
}

// give puts a server back, unless it has been dropped.
func (r *relay) give(t *talk) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if slices.Contains(r.all, t) {
		r.idle = append(r.idle, t)
	}
}

// serve is one client's life. It has one server at a time, until the transaction ends.
func (r *relay) serve(conn net.Conn) {
	defer conn.Close()
	client := pgproto3.NewBackend(conn, conn)
	start, err := client.ReceiveStartupMessage()
	if err != nil {
		return
	}
	packet, ok := start.(*pgproto3.StartupMessage)
	if !ok {
		return
	}
	as := who{user: packet.Parameters["user"], database: packet.Parameters["database"]}
	server, err := r.take(as)
	if err != nil {
		return
	}
	client.Send(&pgproto3.AuthenticationOk{})
	for _, line := range server.parameters() {
		name, value, _ := strings.Cut(line, " = ")
		client.Send(&pgproto3.ParameterStatus{Name: name, Value: value})
	}
	client.Send(&pgproto3.ReadyForQuery{TxStatus: 'I'})
	r.give(server)
	for client.Flush() == nil && r.transaction(client, as) {
	}
}

// transaction relays until the server is idle. It is false if the client has ended.
func (r *relay) transaction(client *pgproto3.Backend, as who) bool {
	request, err := client.Receive()
	if err != nil {
		return false
	}
	server, err := r.take(as)
	if err != nil {
		return false
	}
	defer func() {
		if server.status == 'I' {
			r.give(server)
			return
		}
		server.leave(true) // the client has left in the middle
	}()
	for ; err == nil; request, err = client.Receive() {
		if _, bye := request.(*pgproto3.Terminate); bye {
			return false
		}
		server.wire.Send(request)
		switch request.(type) {
		case *pgproto3.Query, *pgproto3.Sync:
			if !answer(client, server) {
				return false
			}
			if server.status == 'I' {
				return true
			}
		}
	}
	return false
}

// answer relays up to ReadyForQuery.
func answer(client *pgproto3.Backend, server *talk) bool {
	if server.wire.Flush() != nil {
		return false
	}
	for {
		m, err := server.wire.Receive()
		if err != nil {
			server.status = 0
			return false
		}
		server.take(m)
		client.Send(m)
		if _, ready := m.(*pgproto3.ReadyForQuery); ready {
			return client.Flush() == nil
		}
	}
}

// startLeaky is an arena of the relay.
func startLeaky(t *testing.T) *arena {
	t.Helper()
	r := startRelay(t)
	a := &arena{address: r.listener.Addr().String(), direct: world.direct, leaveTime: 20 * pollEvery, prepared: true, renew: r.drop}
	t.Cleanup(a.close)
	return a
}

// leak is a script of two clients with one leak in it.
type leak struct {
	name  string
	seen  string // the text in the difference
	steps []step
}

func (l leak) script() script {
	return script{stage: plain, user: herd.User, clients: 2, steps: l.steps}
}

// leaks are leaks that the test must find.
var leaks = []leak{
	{"setting", "work_mem", []step{line(1, "SET work_mem = '7MB'"), {client: 2, act: looks}}},
	{"setting lost", "work_mem", []step{line(1, "SET work_mem = '7MB'"), line(2, "SET work_mem = '8MB'"), {client: 1, act: looks}}},
	{"setting in a function", "work_mem", []step{line(1, "SELECT public.run('SET work_mem = 777')"), {client: 2, act: looks}}},
	{"setting known to the client", "DateStyle", []step{line(1, "SET DateStyle = 'German'"), {client: 2, act: looks}}},
	{"placeholder", "app.tenant", []step{line(1, "SELECT x FROM public.guarded"), {client: 2, act: looks}}},
	{"role", "reader", []step{line(1, "SET ROLE reader"), {client: 2, act: looks}}},
	{"prepared statement", "prepared p1", []step{line(1, "PREPARE p1 AS SELECT 1"), {client: 2, act: looks}}},
	{"unnamed statement", "26000", []step{
		{client: 1, act: says, send: join(once("", "SELECT 7"), synced)}, {client: 2, act: says, send: join(again(""), synced)}}},
	{"temporary table", "tmp1", []step{line(1, "CREATE TEMP TABLE tmp1 (x int)"), {client: 2, act: looks}}},
	{"temporary function", "tmp1", []step{line(1, "CREATE FUNCTION pg_temp.tmp1() RETURNS int LANGUAGE sql AS 'SELECT 1'"), {client: 2, act: looks}}},
	{"cursor", "cur1", []step{line(1, "DECLARE cur1 CURSOR WITH HOLD FOR SELECT 1"), {client: 2, act: looks}}},
	{"channel", "news", []step{line(1, "LISTEN news"), {client: 2, act: looks}}},
	{"notification", "news", []step{line(1, "LISTEN news"), line(1, "NOTIFY news, 'x'"), line(1, "UNLISTEN *"), line(2, "SELECT 1"),
		line(2, "LISTEN news"), line(1, "BEGIN"), line(2, "NOTIFY news"), line(1, "COMMIT"), {client: 2, act: looks}}},
	{"advisory lock", "101", []step{line(1, "SELECT pg_advisory_lock(101)"), {client: 2, act: looks}}},
	{"lock of a client that has left", "101", []step{line(1, "SELECT pg_advisory_lock(101)"), {client: 1, act: vanishes}}},
	{"sequence", "55000", []step{line(1, "SELECT nextval('public.s1')"), line(2, "SELECT lastval()")}},
	{"random()", "row", []step{
		{client: 1, act: seeds, send: simple("SELECT setseed(0.5)")}, line(2, "SELECT count(random())"), {client: 1, act: draws, send: simple("SELECT random()")}}},
}

func line(client int, sql string) step { return step{client: client, act: says, send: simple(sql)} }

// TestSeesLeaks checks that every kind of leak is found, and is not found without the relay. (They
// are tried one after the other, because an arena waits for the end of all servers of its
// database.)
func TestSeesLeaks(t *testing.T) {
	sound := startDirect(t)
	for _, leak := range leaks {
		if d := mustPlay(t, sound, leak.script()); d != nil {
			t.Errorf("%s: differs even without a pool: %s", leak.name, d)
		}
	}
	leaky := startLeaky(t)
	for _, leak := range leaks {
		if d := mustPlay(t, leaky, leak.script()); d == nil || !strings.Contains(d.String(), leak.seen) {
			t.Errorf("%s: got difference %[3]v, want one with %[2]q", leak.name, leak.seen, d)
		}
	}
}

// TestShrinksLeaks checks that seeds find the relay's leaks, and that the script that is left is
// short and fails again in the same way.
func TestShrinksLeaks(t *testing.T) {
	leaky := startLeaky(t)
	for seed := range uint64(6) {
		s := generate(seed+1, world.settings)
		d := mustPlay(t, leaky, s)
		if d == nil {
			t.Errorf("seed %d: no leak was found", seed+1)
			continue
		}
		small, why := shrink(s, d, func(s script) *difference { return mustPlay(t, leaky, s) })
		t.Logf("seed %d, shrunk from %d steps: %s%s", seed+1, d.at+1, small, why)
		if len(small.steps) > 5 {
			t.Errorf("seed %d: %d steps are left after the shrink, but a leak needs only a few", seed+1, len(small.steps))
		}
		if again := mustPlay(t, leaky, small); again == nil || again.String() != why.String() {
			t.Errorf("the shrunk script gave %s, but the second time %s", why, again)
		}
	}
}

// TestNoFalseAlarms checks that clients that share nothing see the same as their twins.
func TestNoFalseAlarms(t *testing.T) {
	sound := startDirect(t)
	for seed := range uint64(10) {
		if d := mustPlay(t, sound, generate(seed+1, world.settings)); d != nil {
			t.Errorf("seed %d: %s", seed+1, d)
		}
	}
}

// startDirect is an arena whose clients connect without pgherd, as their twins do.
func startDirect(t *testing.T) *arena {
	t.Helper()
	a := &arena{address: world.direct, direct: world.direct, leaveTime: leaveLimit, prepared: true, renew: func() error { return nil }}
	t.Cleanup(a.close)
	return a
}

func mustPlay(t *testing.T, a *arena, s script) *difference {
	t.Helper()
	d, _, err := play(a, s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}
