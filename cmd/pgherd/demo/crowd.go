package demo

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"pgherd/bench/herd"
)

// How many clients of each kind work during the chaos, and how fast.
const (
	idleClients        = 40
	readingClients     = 20
	writingClients     = 20
	transactingClients = 20
	pace               = 50 * time.Millisecond // a client rests so long after each answer
)

// The kinds of clients, as the report names them.
const (
	idling        = "idle"
	reading       = "reading"
	writing       = "writing"
	inTransaction = "in a transaction"
)

// crowd is the clients at work.
type crowd struct {
	stop context.CancelFunc
	runs sync.WaitGroup
	all  []*client
}

// client is one of them. The lock is over what follows it.
type client struct {
	kind  string
	proxy *herd.Proxy
	conn  *pgconn.PgConn
	base  int64 // its rows have numbers above it
	next  int64

	lock    sync.Mutex
	answers []answer       // since the reset
	lost    int            // how often it was disconnected
	failed  map[string]int // by SQLSTATE
	kept    []int64        // rows that were acknowledged
	undone  []int64        // rows that were reported as rolled back
}

// answer is a request that has succeeded.
type answer struct{ sent, got time.Time }

func connect(ctx context.Context, p *herd.Proxy) (*pgconn.PgConn, error) {
	return pgconn.Connect(ctx, dsn(p))
}

// gather connects all clients, and has them work.
func gather(ctx context.Context, p *herd.Proxy) (*crowd, error) {
	ctx, stop := context.WithCancel(ctx)
	c := &crowd{stop: stop}
	for _, k := range []struct {
		kind string
		many int
		turn func(*client, context.Context) error
	}{{idling, idleClients, (*client).idle}, {reading, readingClients, (*client).read}, {writing, writingClients, (*client).write}, {inTransaction, transactingClients, (*client).transact}} {
		for range k.many {
			one := &client{kind: k.kind, proxy: p, base: int64(len(c.all)+1) * 1_000_000_000, failed: map[string]int{}}
			var err error
			if one.conn, err = connect(ctx, p); err != nil {
				stop()
				c.runs.Wait()
				return nil, err
			}
			c.all = append(c.all, one)
			c.runs.Go(func() { one.run(ctx, k.turn) })
		}
	}
	return c, nil
}

func (c *crowd) size() int { return len(c.all) }

func (c *crowd) leave() {
	c.stop()
	c.runs.Wait()
}

// run has the client work until the context ends. One that is disconnected comes again.
func (c *client) run(ctx context.Context, turn func(*client, context.Context) error) {
	for ctx.Err() == nil {
		sent := time.Now()
		err := turn(c, ctx)
		if ctx.Err() != nil {
			break
		}
		c.note(sent, err)
		if c.conn.IsClosed() {
			if conn, err := connect(ctx, c.proxy); err == nil {
				c.conn = conn
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(pace):
		}
	}
	_ = c.conn.Close(context.WithoutCancel(ctx))
}

func (c *client) note(sent time.Time, err error) {
	c.lock.Lock()
	defer c.lock.Unlock()
	f, told := errors.AsType[*pgconn.PgError](err)
	switch {
	case err == nil:
		c.answers = append(c.answers, answer{sent, time.Now()})
		return
	case told:
		c.failed[f.Code]++
	default:
		c.failed["none"]++
	}
	if c.conn.IsClosed() {
		c.lost++
	}
}

func (c *client) ask(ctx context.Context, sql string) error {
	return c.conn.Exec(ctx, sql).Close()
}

// idle asks something once a second only.
func (c *client) idle(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-time.After(time.Second):
	}
	return c.ask(ctx, "SHOW application_name")
}

func (c *client) read(ctx context.Context) error {
	return c.ask(ctx, "SELECT count(*) FROM generate_series(1, 2000)")
}

func (c *client) write(ctx context.Context) error {
	id := c.number()
	err := c.ask(ctx, fmt.Sprintf("INSERT INTO chaos VALUES (%d)", id))
	c.wrote(err, id)
	return err
}

// transact writes two rows in a transaction of several statements.
func (c *client) transact(ctx context.Context) error {
	a, b := c.number(), c.number()
	for _, sql := range []string{"BEGIN", fmt.Sprintf("INSERT INTO chaos VALUES (%d)", a), fmt.Sprintf("INSERT INTO chaos VALUES (%d)", b), "COMMIT"} {
		if err := c.ask(ctx, sql); err != nil {
			c.wrote(err, a, b)
			if c.conn.TxStatus() != 'I' && !c.conn.IsClosed() {
				_ = c.ask(ctx, "ROLLBACK")
			}
			return err
		}
	}
	c.wrote(nil, a, b)
	return nil
}

func (c *client) number() int64 {
	c.next++
	return c.base + c.next
}

func (c *client) wrote(err error, ids ...int64) {
	c.lock.Lock()
	defer c.lock.Unlock()
	f, told := errors.AsType[*pgconn.PgError](err)
	switch {
	case err == nil:
		c.kept = append(c.kept, ids...)
	case told && f.Code == "40001":
		c.undone = append(c.undone, ids...)
	}
}

// reset begins to count anew; what was written stays known.
func (c *crowd) reset() {
	for _, one := range c.all {
		one.lock.Lock()
		one.answers, one.lost, one.failed = nil, 0, map[string]int{}
		one.lock.Unlock()
	}
}

// first is how long after the fault a request of one of these kinds succeeded that was sent
// when the node was down; nil: none has.
func (c *crowd) first(struck, down time.Time, kinds ...string) *float64 {
	took, found := time.Duration(0), false
	for _, one := range c.all {
		if !slices.Contains(kinds, one.kind) {
			continue
		}
		one.lock.Lock()
		for _, a := range one.answers {
			if d := a.got.Sub(struck); a.sent.After(down) && (!found || d < took) {
				took, found = d, true
			}
		}
		one.lock.Unlock()
	}
	if !found {
		return nil
	}
	return milliseconds(took)
}

// pause is the longest time since the fault in which no client of these kinds had an answer.
func (c *crowd) pause(struck time.Time, kinds ...string) *float64 {
	times := []time.Time{struck}
	for _, one := range c.all {
		if !slices.Contains(kinds, one.kind) {
			continue
		}
		one.lock.Lock()
		for _, a := range one.answers {
			if a.got.After(struck) {
				times = append(times, a.got)
			}
		}
		one.lock.Unlock()
	}
	slices.SortFunc(times, time.Time.Compare)
	longest := time.Duration(0)
	for i := range times[1:] {
		longest = max(longest, times[i+1].Sub(times[i]))
	}
	return milliseconds(longest)
}

// works says that every client that works has had an answer to what it has sent since.
func (c *crowd) works(since time.Time) error {
	for _, one := range c.all {
		one.lock.Lock()
		again := one.kind == idling || len(one.answers) > 0 && one.answers[len(one.answers)-1].sent.After(since)
		one.lock.Unlock()
		if !again {
			return fmt.Errorf("a client that is %s has had no answer", one.kind)
		}
	}
	return nil
}

// account fills in what the clients lost, and what of theirs is not in the database.
func (c *crowd) account(r *row, ask func(sql string) (string, error)) error {
	r.Lost, r.Failed = map[string]int{}, map[string]int{}
	var kept, undone []int64
	for _, one := range c.all {
		one.lock.Lock()
		if one.lost > 0 {
			r.Lost[one.kind] += one.lost
		}
		for code, n := range one.failed {
			r.Failed[code] += n
		}
		kept, undone = append(kept, one.kept...), append(undone, one.undone...)
		one.lock.Unlock()
	}
	text, err := ask("SELECT id FROM chaos") // after the clients have told what they know
	if err != nil {
		return err
	}
	there := map[string]bool{}
	for id := range strings.SplitSeq(text, "\n") {
		there[id] = true
	}
	for _, id := range kept {
		if !there[fmt.Sprint(id)] {
			r.CommitsLost++
		}
	}
	for _, id := range undone {
		if there[fmt.Sprint(id)] {
			r.Untrue++
		}
	}
	return nil
}
