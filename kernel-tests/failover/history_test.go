package failover

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"pgherd/bench/herd/herdtest"
)

// The clients of a history share these, which are few, so that clients meet.
const (
	lists     = 3
	besides   = lists + 1 // the list of the clients that are connected to a node itself
	registers = 3         // of each client
	workers   = 6         // at the beginning
	most      = 20        // clients of a history
)

// lingers is how long a block of reads may pause, which is longer than a failover takes.
const lingers = 4 * time.Second

var historySchema = fmt.Sprintf(`CREATE TABLE lists (k int PRIMARY KEY, v text NOT NULL); CREATE TABLE registers (k int PRIMARY KEY, v bigint NOT NULL);
INSERT INTO lists SELECT i, '' FROM generate_series(1, %d) i; INSERT INTO registers SELECT i, 0 FROM generate_series(1, %d) i;
GRANT ALL ON lists, registers TO PUBLIC;`, besides, most*registers)

// acknowledged are the elements of each list that were acknowledged to any client. A read that begins later finds them.
type acknowledged struct {
	lock sync.Mutex
	in   [besides + 1][]string
}

func (a *acknowledged) add(list int, element string) {
	a.lock.Lock()
	defer a.lock.Unlock()
	a.in[list] = append(a.in[list], element)
}

func (a *acknowledged) of(list int) []string {
	a.lock.Lock()
	defer a.lock.Unlock()
	return slices.Clip(a.in[list])
}

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
	told   *acknowledged
	stop   <-chan struct{}
	count  int
	list   map[string]int     // to which its elements are appended
	wrote  map[string]outcome // its elements
	pairs  [][2]string        // elements that were appended by one transaction
	// For each register: the newest value acknowledged, and the values of which that is not known.
	newest  [registers]int
	maybe   [registers]map[int]bool
	bad     []string
	settled int // number of answers
}

func newWorker(number int, seed uint64, conn *pgconn.PgConn, told *acknowledged, stop <-chan struct{}) *worker {
	c := &worker{number: number, random: rand.New(rand.NewPCG(seed, uint64(number+2))), conn: conn, told: told, stop: stop,
		list: map[string]int{}, wrote: map[string]outcome{}}
	for r := range c.maybe {
		c.maybe[r] = map[int]bool{}
	}
	return c
}

// run is a client of pgherd's.
func (c *worker) run() {
	c.turns(c.appendOne, c.appendExtended, c.appendTwice, c.rollBack, c.set, c.get, c.look, c.linger)
}

// runSingly is a client of pgherd's in statement mode, which has no transactions of several statements.
func (c *worker) runSingly() { c.turns(c.appendOne, c.appendExtended, c.set, c.get, c.look) }

// turns does one of these after another.
func (c *worker) turns(all ...func() error) {
	for !stopped(c.stop) {
		if err := all[c.random.IntN(len(all))](); err != nil {
			c.bad = append(c.bad, err.Error())
			return
		}
		c.settled++
	}
}

// runBeside is a client that is connected to a primary itself. It goes on writing there, also when pgherd has given up
// that node, until the node is stopped. What the node has acknowledged to it counts as much as anything else.
func (c *worker) runBeside() {
	for !stopped(c.stop) {
		e := c.element(besides)
		if _, err := herdtest.Ask(c.conn, c.appending(e)); err != nil {
			c.record(uncertain, e)
			return
		}
		c.record(committed, e)
		c.settled++
	}
}

// element makes a new unique element of a list.
func (c *worker) element(list int) (e string) {
	c.count++
	e = fmt.Sprintf("%d-%d", c.number, c.count)
	c.list[e] = list
	return e
}

func (c *worker) anyList() int { return 1 + c.random.IntN(lists) }

func (c *worker) appending(element string) string {
	return fmt.Sprintf("UPDATE lists SET v = v || ' %s' WHERE k = %d", element, c.list[element])
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
	c.record(what, elements...)
	return bad
}

func (c *worker) record(what outcome, elements ...string) {
	for _, e := range elements {
		if c.wrote[e] = what; what == committed {
			c.told.add(c.list[e], e)
		}
	}
}

func (c *worker) appendOne() error {
	e := c.element(c.anyList())
	_, err := herdtest.Ask(c.conn, c.appending(e))
	return c.note(err, e)
}

func (c *worker) appendExtended() error {
	ctx, cancel := herdtest.Limited(herdtest.AnswerLimit)
	defer cancel()
	e := c.element(c.anyList())
	return c.note(c.conn.ExecParams(ctx, c.appending(e)+" AND $1::int = 1", [][]byte{[]byte("1")}, nil, nil, nil).Read().Err, e)
}

// appendTwice appends in a transaction of several statements, so that both elements are there, or none. Sometimes it
// sends all statements at once.
func (c *worker) appendTwice() error {
	a, b := c.element(c.anyList()), c.element(c.anyList())
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
	e := c.element(c.anyList())
	c.record(undone, e)
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

// look reads a list. Everything is in it that was acknowledged to anybody before the read began.
func (c *worker) look() error {
	list := c.anyList()
	before := c.told.of(list)
	got, err := herdtest.Ask(c.conn, fmt.Sprintf("SELECT v FROM lists WHERE k = %d", list))
	if _, bad := c.outcomeOf(err); bad != nil || err != nil {
		return bad
	}
	there := map[string]bool{}
	for _, e := range strings.Fields(got) {
		there[e] = true
	}
	for _, e := range before {
		if !there[e] {
			return fmt.Errorf("client %d: element %s was acknowledged, but a read that began later does not find it", c.number, e)
		}
	}
	return nil
}

// linger looks in a block, sometimes for so long that the primary is lost and replaced meanwhile.
func (c *worker) linger() error {
	pause := time.Duration(0)
	if c.random.IntN(5) == 0 {
		pause = time.Duration(c.random.Int64N(int64(lingers)))
	}
	steps := []func() error{c.does("BEGIN"), c.look, func() error { c.rest(pause); return nil }, c.look, c.does("ROLLBACK")}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func (c *worker) rest(pause time.Duration) {
	select {
	case <-c.stop:
	case <-time.After(pause):
	}
}

// does is a statement that may fail with the primary.
func (c *worker) does(sql string) func() error {
	return func() error {
		_, err := herdtest.Ask(c.conn, sql)
		_, bad := c.outcomeOf(err)
		return bad
	}
}

// check compares what the clients know with the lists and registers.
func (c *worker) check(there map[string]int, registers map[int]string) (bad []error) {
	for e, what := range c.wrote {
		switch n := there[e]; {
		case n > 1:
			bad = append(bad, fmt.Errorf("element %s is there %d times", e, n))
		case what == committed && n == 0:
			bad = append(bad, fmt.Errorf("element %s was acknowledged, but is not there", e))
		case what == undone && n > 0:
			bad = append(bad, fmt.Errorf("element %s was reported as rolled back, but is there", e))
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
