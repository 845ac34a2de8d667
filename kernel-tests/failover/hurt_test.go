package failover

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"pgherd/bench/herd"
	"pgherd/bench/herd/herdtest"
)

var (
	firstSeed = flag.Uint64("history.first", 1, "the first seed of the history checker")
	seeds     = flag.Uint64("history.seeds", 10, "how many runs the history checker makes")
	runFor    = flag.Duration("history.run", 3*time.Second, "how long the clients of one run work")
	only      = flag.String("history.only", "", "the only thing that happens to nodes: killed, frozen, stopped, \"cut off\" or \"thawed early\"")
	program   = flag.String("history.program", "", "a pgherd that is built already, instead of one that the tests build")
)

// history is one run of the checker.
type history struct {
	*world
	seed   uint64
	random *rand.Rand
	told   acknowledged
	all    []*worker
	client func(*worker)
	runs   sync.WaitGroup
	stop   chan struct{}
}

// TestHistory has clients that append to lists and write registers while nodes are killed, frozen, stopped or cut off, as
// a seed says, with BPF or without. A read finds what was acknowledged before it began. In the end every acknowledged commit is there once,
// nothing is there that was reported as rolled back, and what got 08007 is there once or not at all.
func TestHistory(t *testing.T) {
	for seed := *firstSeed; seed < *firstSeed+*seeds; seed++ {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			random := rand.New(rand.NewPCG(seed, 1))
			mode := []string{"transaction", "session", "statement"}[random.IntN(3)]
			w := scene{sync: anyOne, sql: historySchema,
				config: []string{"pool_mode = " + mode, "bpf = " + []string{"auto", "off"}[seed%2], "health_check_timeout = 1", "restart_grace = 1", "auto_failback = on", "auto_failback_interval = 1"}}.start(t)
			w.allUp()
			h := &history{world: w, seed: seed, random: random, client: (*worker).run, stop: make(chan struct{})}
			if mode == "statement" {
				h.client = (*worker).runSingly
			}
			for range workers {
				h.join(w.connect(), h.client)
			}
			h.hurt(*runFor)
			close(h.stop)
			h.runs.Wait()
			h.judge(mode)
		})
	}
}

// join has one more client work.
func (h *history) join(conn *pgconn.PgConn, run func(*worker)) {
	c := newWorker(len(h.all), h.seed, conn, &h.told, h.stop)
	h.all = append(h.all, c)
	h.runs.Go(func() { run(c) })
}

// judge compares what the clients know with what is there.
func (h *history) judge(mode string) {
	h.Helper()
	conn := h.connect()
	there, values, answers := map[string]int{}, map[int]string{}, 0
	for _, e := range strings.Fields(h.ask(conn, "SELECT string_agg(v, ' ') FROM lists")) {
		there[e]++
	}
	for i, v := range strings.Split(h.ask(conn, "SELECT v FROM registers ORDER BY k"), ",") {
		values[i+1] = v
	}
	for _, c := range h.all {
		answers += c.settled
		for _, bad := range c.bad {
			h.Error(violation, bad)
		}
		for _, bad := range c.check(there, values) {
			h.Errorf("%s client %d: %v", violation, c.number, bad)
		}
	}
	h.Logf("%s mode: %d answers, %d elements are there", mode, answers, len(there))
	if len(there) == 0 {
		h.Error("nothing was written")
	}
}

// violation begins what the checker says of a history that must not be.
const violation = "violation:"

// hurt is something that happens to a node.
type hurt struct {
	name  string
	do    func(*history, int)
	lives bool // it takes part again after a while: what is left of its connections gets answers
}

var hurts = []hurt{
	{"killed", func(h *history, n int) { h.must(h.herd.Slay(n)) }, false},
	{"frozen", func(h *history, n int) { h.must(h.herd.Freeze(n)) }, true},
	{"stopped", func(h *history, n int) { h.must(h.herd.Shutdown(n)) }, false},
	{"cut off", (*history).cut, true},
	{"thawed early", (*history).thawEarly, true},
}

// next is what happens next.
func (h *history) next() hurt {
	if at := slices.IndexFunc(hurts, func(one hurt) bool { return one.name == *only }); at >= 0 {
		return hurts[at]
	}
	return hurts[h.random.IntN(len(hurts))]
}

// hurt does one thing after another to the primary or a standby, and each time brings back enough nodes for commits to
// be acknowledged.
func (h *history) hurt(whole time.Duration) {
	h.Helper()
	const faults = 2
	lead := 0
	for range faults {
		h.rest(whole / 2)
		victim := lead
		if h.random.IntN(5) == 0 {
			victim = (lead + 1 + h.random.IntN(2)) % 3
		}
		behind := -1
		if victim == lead {
			h.join(h.beside(lead), (*worker).runBeside)
			behind = h.leaveBehind(lead, whole)
		}
		what := h.next()
		h.Logf("node %d, primary %d, behind %d: %s", victim, lead, behind, what.name)
		what.do(h, victim)
		if lead = h.leads(what, victim); lead == victim {
			continue
		}
		if what.lives {
			h.join(h.connect(), h.client)
			h.rest(whole / 4)
			h.must(h.herd.Thaw(victim))
			h.rest(whole / 4)
		}
		h.must(h.herd.Copy(h.ctx, victim, lead))
		h.allUp()
	}
	time.Sleep(whole / 4)
}

// rest lets the clients work for a time of the seed's.
func (h *history) rest(most time.Duration) { time.Sleep(time.Duration(h.random.Int64N(int64(most)))) }

// beside connects to a node itself. pgherd does not use the node's Unix socket.
func (h *history) beside(node int) *pgconn.PgConn {
	h.Helper()
	conn, err := herdtest.Connect(fmt.Sprintf("host=%s port=%d user=%s dbname=%s sslmode=disable", h.herd.Dir, h.herd.Nodes()[node].Port, herd.Superuser, herd.Database))
	h.must(err)
	h.Cleanup(func() { herdtest.Close(conn) })
	return conn
}

// leaveBehind has one of the standbys receive nothing for a moment, so that it does not have what the other one
// acknowledges meanwhile. pgherd has it receive again once a probe has seen that. Sometimes there is none: -1.
func (h *history) leaveBehind(lead int, whole time.Duration) (behind int) {
	h.Helper()
	if h.random.IntN(2) == 0 {
		return -1
	}
	behind = (lead + 1 + h.random.IntN(2)) % 3
	h.on(behind, fmt.Sprintf("ALTER SYSTEM SET primary_conninfo = 'host=/nowhere user=%[1]s password=%[1]s application_name=node%[2]d'", herd.Superuser, behind))
	h.on(behind, "SELECT pg_reload_conf()")
	h.eventually("a standby is left behind", func() error {
		const stopped = "SELECT NOT EXISTS (SELECT FROM pg_stat_wal_receiver) OR current_setting('primary_conninfo') NOT LIKE '%/nowhere%'"
		if h.on(behind, stopped) != "t" {
			return errors.New("it receives")
		}
		return nil
	})
	h.rest(whole / 10)
	return behind
}

// cut stops those processes of a node that answer to pgherd. To pgherd the node is as if its network were cut; its
// standbys and the clients of its Unix socket notice nothing.
func (h *history) cut(node int) {
	h.Helper()
	eye := h.beside(node)
	pids := fmt.Sprint(h.herd.Nodes()[node].PID) // it starts no other one from then on
	for range 3 {                                // one that has just been started is shown a little later
		for pid := range strings.SplitSeq(pids, ",") {
			if n, err := strconv.Atoi(pid); err == nil && n > 1 {
				_ = syscall.Kill(n, syscall.SIGSTOP) // it may have ended
			}
		}
		time.Sleep(pace)
		pids = h.ask(eye, "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND client_addr IS NOT NULL")
	}
}

// thawEarly freezes a node, and thaws it as soon as pgherd has given it up, so that it is there while another one is
// promoted.
func (h *history) thawEarly(node int) {
	h.Helper()
	gone := fmt.Sprintf("herd: fail %d ", node)
	if h.nodes()[name(node)].role != "primary" {
		gone = fmt.Sprintf("herd: down %d ", node)
	}
	times := strings.Count(h.log(), gone)
	h.must(h.herd.Freeze(node))
	for deadline := time.Now().Add(herdtest.SettleLimit); strings.Count(h.log(), gone) == times; time.Sleep(pace) {
		if time.Now().After(deadline) {
			h.Fatalf("node %d is frozen, and pgherd does not notice", node)
		}
	}
	h.must(h.herd.Thaw(node))
}

// leads waits until there is a primary, which is another node than the victim, unless that was thawed early.
func (h *history) leads(what hurt, victim int) (lead int) {
	h.Helper()
	h.eventually("there is a primary", func() error {
		for node, is := range h.nodes() {
			lead = number(node)
			if is.role == "primary" && is.status == "up" && (lead != victim || what.name == "thawed early") {
				return nil
			}
		}
		return errors.New("there is no other primary")
	})
	return lead
}
