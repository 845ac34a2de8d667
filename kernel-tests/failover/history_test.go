package failover

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"pgherd/bench/herd/herdtest"
)

var (
	firstSeed = flag.Uint64("history.first", 1, "the first seed of the history checker")
	seeds     = flag.Uint64("history.seeds", 10, "how many runs the history checker makes")
	runFor    = flag.Duration("history.run", 3*time.Second, "how long the clients of one run work")
)

// The clients of a history share these, which are few, so that clients meet.
const (
	lists     = 3
	registers = 3
	workers   = 6
)

var historySchema = fmt.Sprintf(`CREATE TABLE lists (k int PRIMARY KEY, v text NOT NULL); CREATE TABLE registers (k int PRIMARY KEY, v bigint NOT NULL);
INSERT INTO lists SELECT i, '' FROM generate_series(1, %d) i; INSERT INTO registers SELECT i, 0 FROM generate_series(1, %d) i;
GRANT ALL ON lists, registers TO PUBLIC;`, lists, workers*registers)

// outcome is what a client knows about something that it wrote.
type outcome uint8

const (
	committed outcome = iota // acknowledged
	undone                   // reported as rolled back
	uncertain                // the client got 08007, or was disconnected
)

// worker is one client of a history. All that it writes is unique: it consists of its number and a count.
type worker struct {
	number int
	random *rand.Rand
	conn   *pgconn.PgConn
	count  int
	wrote  map[string][]outcome // the elements that it has appended, each to one list or to two
	pairs  [][2]string          // elements that were appended by one transaction
	// For each register: the newest value acknowledged, and the values of which that is not known.
	newest  [registers]int
	maybe   [registers]map[int]bool
	bad     []string
	settled int // number of answers
}

func (c *worker) run(stop <-chan struct{}) {
	turns := []func() error{c.appendOne, c.appendExtended, c.appendTwice, c.rollBack, c.set, c.get}
	for !stopped(stop) {
		if err := turns[c.random.IntN(len(turns))](); err != nil {
			c.bad = append(c.bad, err.Error())
			return
		}
		c.settled++
	}
}

// element makes a new unique element.
func (c *worker) element() string {
	c.count++
	return fmt.Sprintf("%d-%d", c.number, c.count)
}

func (c *worker) appending(element string) string {
	return fmt.Sprintf("UPDATE lists SET v = v || ' %s' WHERE k = %d", element, 1+c.random.IntN(lists))
}

// outcomeOf returns what an error means, or the error itself if it is not allowed.
func (c *worker) outcomeOf(err error) (outcome, error) {
	switch got := code(c.conn, err); got {
	case "":
		return committed, nil
	case "40001", "40P01", "25P02": // 40P01 is a deadlock between the clients
		return undone, nil
	case "08007":
		return uncertain, nil
	default:
		return uncertain, fmt.Errorf("client %d: %s: %w", c.number, got, err)
	}
}

func (c *worker) note(err error, elements ...string) error {
	what, bad := c.outcomeOf(err)
	for _, e := range elements {
		c.wrote[e] = append(c.wrote[e], what)
	}
	return bad
}

func (c *worker) appendOne() error {
	e := c.element()
	_, err := herdtest.Ask(c.conn, c.appending(e))
	return c.note(err, e)
}

func (c *worker) appendExtended() error {
	ctx, cancel := herdtest.Limited(herdtest.AnswerLimit)
	defer cancel()
	e := c.element()
	return c.note(c.conn.ExecParams(ctx, c.appending(e)+" AND $1::int = 1", [][]byte{[]byte("1")}, nil, nil, nil).Read().Err, e)
}

// appendTwice appends in a transaction of several statements, so that both elements are there, or none. Sometimes it
// sends all statements at once.
func (c *worker) appendTwice() error {
	a, b := c.element(), c.element()
	c.pairs = append(c.pairs, [2]string{a, b})
	steps := []string{"BEGIN", c.appending(a), c.appending(b), "COMMIT"}
	if c.random.IntN(2) == 0 {
		steps = []string{strings.Join(steps, ";")}
	}
	var err error
	for _, sql := range steps {
		if _, err = herdtest.Ask(c.conn, sql); err != nil {
			break
		}
	}
	bad := c.note(err, a, b)
	if c.conn.TxStatus() != 'I' {
		_, err := herdtest.Ask(c.conn, "ROLLBACK")
		_, also := c.outcomeOf(err)
		bad = errors.Join(bad, also)
	}
	return bad
}

// rollBack appends and rolls back, so that nothing is there, whatever the answer is.
func (c *worker) rollBack() error {
	e := c.element()
	c.wrote[e] = append(c.wrote[e], undone)
	for _, sql := range []string{"BEGIN", c.appending(e), "ROLLBACK"} {
		_, err := herdtest.Ask(c.conn, sql)
		if _, bad := c.outcomeOf(err); bad != nil || err != nil && c.conn.TxStatus() == 'I' {
			return bad // without the BEGIN the rest would be committed
		}
	}
	return nil
}

// set writes a register that no other client writes.
func (c *worker) set() error {
	r := c.random.IntN(registers)
	c.count++
	_, err := herdtest.Ask(c.conn, fmt.Sprintf("UPDATE registers SET v = %d WHERE k = %d", c.count, c.key(r)))
	what, bad := c.outcomeOf(err)
	switch what {
	case committed:
		c.newest[r], c.maybe[r] = c.count, map[int]bool{}
	case uncertain:
		c.maybe[r][c.count] = true
	}
	return bad
}

func (c *worker) key(r int) int { return 1 + c.number*registers + r }

// get reads a register, which has the value acknowledged last, or a later one of which that is not known. A value
// that was read counts as known from then on.
func (c *worker) get() error {
	r := c.random.IntN(registers)
	got, err := herdtest.Ask(c.conn, fmt.Sprintf("SELECT v FROM registers WHERE k = %d", c.key(r)))
	if _, bad := c.outcomeOf(err); bad != nil || err != nil {
		return bad
	}
	return c.holds(r, got)
}

func (c *worker) holds(r int, got string) error {
	var v int
	if _, err := fmt.Sscan(got, &v); err != nil || v != c.newest[r] && !c.maybe[r][v] {
		return fmt.Errorf("client %d: register %d has %q, want %d or one of %v", c.number, r, got, c.newest[r], c.maybe[r])
	}
	if v != c.newest[r] {
		c.newest[r] = v
		delete(c.maybe[r], v)
	}
	return nil
}

// check compares what the clients know with the lists and registers.
func (c *worker) check(there map[string]int, registers map[int]string) (bad []error) {
	for e, outcomes := range c.wrote {
		for _, what := range outcomes {
			switch n := there[e]; {
			case n > 1:
				bad = append(bad, fmt.Errorf("element %s is there %d times", e, n))
			case what == committed && n == 0:
				bad = append(bad, fmt.Errorf("element %s was acknowledged, but is not there", e))
			case what == undone && n > 0:
				bad = append(bad, fmt.Errorf("element %s was reported as rolled back, but is there", e))
			}
		}
	}
	for _, pair := range c.pairs {
		if there[pair[0]] != there[pair[1]] {
			bad = append(bad, fmt.Errorf("of one transaction element %s is there %d times, but %s %d times", pair[0], there[pair[0]], pair[1], there[pair[1]]))
		}
	}
	for r := range c.newest {
		if err := c.holds(r, registers[c.key(r)]); err != nil {
			bad = append(bad, fmt.Errorf("in the end: %w", err))
		}
	}
	return bad
}

// TestHistory has clients that append to lists and write registers while nodes are killed, frozen, stopped or crash, as
// a seed says. In the end every acknowledged commit is there once, nothing is there that was reported as rolled back,
// and what got 08007 is there once or not at all.
func TestHistory(t *testing.T) {
	for seed := *firstSeed; seed < *firstSeed+*seeds; seed++ {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			history(t, seed)
		})
	}
}

func history(t *testing.T, seed uint64) {
	random := rand.New(rand.NewPCG(seed, 1))
	mode := []string{"transaction", "session"}[random.IntN(2)]
	w := scene{sync: anyOne, sql: historySchema,
		config: []string{"pool_mode = " + mode, "health_check_timeout = 1", "restart_grace = 1", "auto_failback = on"}}.start(t)
	w.allUp()
	stop, done := make(chan struct{}), make(chan struct{})
	var all []*worker
	for i := range workers {
		c := &worker{number: i, random: rand.New(rand.NewPCG(seed, uint64(i+2))), conn: w.connect(), wrote: map[string][]outcome{}}
		for r := range c.maybe {
			c.maybe[r] = map[int]bool{}
		}
		all = append(all, c)
		go func() { c.run(stop); done <- struct{}{} }()
	}
	w.hurt(random, *runFor)
	close(stop)
	for range all {
		<-done
	}
	conn := w.connect()
	there, values, answers := map[string]int{}, map[int]string{}, 0
	for _, e := range strings.Fields(w.ask(conn, "SELECT string_agg(v, ' ') FROM lists")) {
		there[e]++
	}
	for i, v := range strings.Split(w.ask(conn, "SELECT v FROM registers ORDER BY k"), ",") {
		values[i+1] = v
	}
	for _, c := range all {
		answers += c.settled
		for _, bad := range c.bad {
			t.Error(bad)
		}
		for _, bad := range c.check(there, values) {
			t.Errorf("client %d: %v", c.number, bad)
		}
	}
	t.Logf("%s mode: %d answers, %d elements are there", mode, answers, len(there))
	if len(there) == 0 {
		t.Error("nothing was written")
	}
}

// hurt does one thing after another to the primary or a standby, and each time brings back enough nodes for commits to
// be acknowledged.
func (w *world) hurt(random *rand.Rand, whole time.Duration) {
	w.Helper()
	const faults = 2
	lead := 0
	for range faults {
		time.Sleep(time.Duration(random.Int64N(int64(whole / 2))))
		victim := lead
		if random.IntN(4) == 0 {
			victim = (lead + 1 + random.IntN(2)) % 3
		}
		what := []string{"killed", "killed", "frozen", "stopped"}[random.IntN(4)]
		w.Logf("node %d, primary %d: %s", victim, lead, what)
		switch what {
		case "killed":
			w.must(w.herd.Slay(victim))
		case "frozen":
			w.must(w.herd.Freeze(victim))
		case "stopped":
			w.must(w.herd.Shutdown(victim))
		}
		lead = number(w.leads(victim))
		if what == "frozen" {
			w.must(w.herd.Thaw(victim))
			time.Sleep(time.Duration(random.Int64N(int64(whole / 4))))
		}
		w.must(w.herd.Copy(w.ctx, victim, lead))
		w.allUp()
	}
	time.Sleep(whole / 4)
}

// leads waits until a node other than the victim is the primary.
func (w *world) leads(victim int) (lead string) {
	w.Helper()
	w.eventually("there is a primary", func() error {
		for node, is := range w.nodes() {
			if is.role == "primary" && is.status == "up" && node != name(victim) {
				lead = node
				return nil
			}
		}
		return errors.New("there is no other primary")
	})
	return lead
}
