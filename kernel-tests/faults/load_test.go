package faults_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// errWrong is the error for the answer to another client's question, or for half an answer (I1).
var errWrong = errors.New("wrong answer")

// load is a number of clients that send queries all the time, and check every answer.
type load struct {
	dsn      string
	rest     time.Duration
	tolerate func(error) bool // says which errors the test has caused; nil: none
	clients  []*client
	stop     context.CancelFunc
	running  sync.WaitGroup

	mu  sync.Mutex
	bad []error
}

// client is one of these clients. Its rows in table log have its name, so it knows which rows must be there.
type client struct {
	name   string
	random *rand.Rand
	conn   *pgconn.PgConn
	done   atomic.Int64 // number of answers, all of them right
	broken atomic.Int64 // number of tolerated errors
	seq    int          // number of rows known to be committed
}

// startLoad starts n clients.
func startLoad(dsn string, n int, tolerate func(error) bool) *load {
	return startPaced(dsn, n, 0, tolerate)
}

// startPaced is startLoad with clients that pause after each answer.
func startPaced(dsn string, n int, rest time.Duration, tolerate func(error) bool) *load {
	ctx, stop := context.WithCancel(context.Background())
	l := &load{dsn: dsn, rest: rest, tolerate: tolerate, stop: stop}
	tag := rand.Uint32() // so that no other client's rows have the same name
	for i := range n {
		c := &client{name: fmt.Sprintf("c%d-%d", tag, i), random: rand.New(rand.NewPCG(uint64(i), uint64(n)))}
		l.clients = append(l.clients, c)
		l.running.Go(func() { l.run(ctx, c) })
	}
	return l
}

func (l *load) run(ctx context.Context, c *client) {
	for ctx.Err() == nil {
		if err := c.turn(l.dsn); err != nil {
			if errors.Is(err, errWrong) || errors.Is(err, errHung) || l.tolerate == nil || !l.tolerate(err) {
				l.mu.Lock()
				l.bad = append(l.bad, fmt.Errorf("client %s after %d answers: %w", c.name, c.done.Load(), err))
				l.mu.Unlock()
				break
			}
			c.broken.Add(1)
			c.leave()
			time.Sleep(20 * time.Millisecond)
			continue
		}
		c.done.Add(1)
		time.Sleep(l.rest)
	}
	c.leave()
}

func (c *client) leave() {
	if c.conn != nil {
		closeConn(c.conn)
		c.conn = nil
	}
}

// end stops the clients, and returns their errors.
func (l *load) end() error {
	l.stop()
	l.running.Wait()
	return errors.Join(l.bad...)
}

func (l *load) failed() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return errors.Join(l.bad...)
}

// progress waits until each client has had n more right answers.
func (l *load) progress(n int64) error {
	var goal []int64
	for _, c := range l.clients {
		goal = append(goal, c.done.Load()+n)
	}
	deadline := time.Now().Add(settleLimit)
	for i, c := range l.clients {
		for c.done.Load() < goal[i] {
			if err := l.failed(); err != nil {
				return err
			}
			if time.Now().After(deadline) {
				return fmt.Errorf("client %s has had %d answers, want %d: %w", c.name, c.done.Load(), goal[i], errHung)
			}
			time.Sleep(pollEvery)
		}
	}
	return nil
}

func (l *load) answers() (right, broken int64) {
	for _, c := range l.clients {
		right, broken = right+c.done.Load(), broken+c.broken.Load()
	}
	return right, broken
}

// turn sends one query and checks the answer, sometimes on a new connection.
func (c *client) turn(dsn string) error {
	ctx, cancel := limited(answerLimit)
	defer cancel()
	if c.conn != nil && c.random.IntN(40) == 0 {
		c.leave()
	}
	if c.conn == nil {
		conn, err := pgconn.Connect(ctx, dsn)
		if err != nil {
			return hung(ctx, err)
		}
		c.conn = conn
	}
	turns := []func(context.Context) error{c.insert, c.echo, c.pipeline, c.rollBack, c.copyOut, c.copyIn, c.failing, c.bulky}
	return hung(ctx, turns[c.random.IntN(len(turns))](ctx))
}

func (c *client) one(ctx context.Context, sql string) (string, error) {
	results, err := c.conn.Exec(ctx, sql).ReadAll()
	if err != nil {
		return "", err
	}
	last := results[len(results)-1]
	if len(last.Rows) != 1 {
		return "", fmt.Errorf("%w: %d rows for %s", errWrong, len(last.Rows), sql)
	}
	return string(last.Rows[0][0]), nil
}

// insert adds a row and counts the rows. A row whose answer was lost is sent again; if its insert still runs, that waits
// for it.
func (c *client) insert(ctx context.Context) error {
	insert := fmt.Sprintf("INSERT INTO kept VALUES ('%s', %d) ON CONFLICT DO NOTHING", c.name, c.seq)
	if err := c.conn.Exec(ctx, insert).Close(); err != nil {
		return err
	}
	c.seq++
	got, err := c.one(ctx, fmt.Sprintf("SELECT count(*) FROM kept WHERE client = '%s'", c.name))
	if err == nil && got != fmt.Sprint(c.seq) {
		err = fmt.Errorf("%w: there are %s rows, want %d", errWrong, got, c.seq)
	}
	return err
}

func (c *client) word() string { return fmt.Sprintf("%s/%d", c.name, c.random.Uint64()) }

// echo sends a query in the extended protocol.
func (c *client) echo(ctx context.Context) error {
	word := c.word()
	return c.wantValue(c.conn.ExecParams(ctx, "SELECT $1::text", [][]byte{[]byte(word)}, nil, nil, nil).Read(), word)
}

func (c *client) wantValue(r *pgconn.Result, want string) error {
	if r.Err != nil {
		return r.Err
	}
	if len(r.Rows) != 1 || string(r.Rows[0][0]) != want {
		return fmt.Errorf("%w: %q, want %q", errWrong, r.Rows, want)
	}
	return nil
}

// pipeline sends many queries at once.
func (c *client) pipeline(ctx context.Context) error {
	var batch pgconn.Batch
	var words []string
	for range 1 + c.random.IntN(30) {
		words = append(words, c.word())
		batch.ExecParams("SELECT $1::text", [][]byte{[]byte(words[len(words)-1])}, nil, nil, nil)
	}
	results, err := c.conn.ExecBatch(ctx, &batch).ReadAll()
	if err != nil {
		return err
	}
	for i, r := range results {
		if err := c.wantValue(r, words[i]); err != nil {
			return err
		}
	}
	if len(results) != len(words) {
		return fmt.Errorf("%w: got %d results, want %d", errWrong, len(results), len(words))
	}
	return nil
}

// rollBack checks that a rollback leaves nothing, in the transaction and after it.
func (c *client) rollBack(ctx context.Context) error {
	for _, sql := range []string{"BEGIN", fmt.Sprintf("INSERT INTO log VALUES ('%s', 1)", c.name)} {
		if err := c.conn.Exec(ctx, sql).Close(); err != nil {
			return err
		}
	}
	count := fmt.Sprintf("SELECT count(*) FROM log WHERE client = '%s'", c.name)
	for i, sql := range []string{count, "ROLLBACK; " + count} {
		got, err := c.one(ctx, sql)
		if err != nil {
			return err
		}
		if got != fmt.Sprint(1-i) {
			return fmt.Errorf("%w: there are %s rows at step %d of a transaction", errWrong, got, i)
		}
	}
	return nil
}

// copyOut reads up to 600 KB, which is more than the size from which large results are streamed.
func (c *client) copyOut(ctx context.Context) error {
	word, rows := c.word(), c.random.IntN(10000)
	var got strings.Builder
	_, err := c.conn.CopyTo(ctx, &got, fmt.Sprintf("COPY (SELECT '%s' FROM generate_series(1, %d)) TO STDOUT", word, rows))
	if err == nil && got.String() != strings.Repeat(word+"\n", rows) {
		err = fmt.Errorf("%w: got %d bytes of COPY, want %d of %q", errWrong, got.Len(), rows, word)
	}
	return err
}

func (c *client) copyIn(ctx context.Context) error {
	if err := c.conn.Exec(ctx, "BEGIN; CREATE TEMP TABLE taken (w text) ON COMMIT DROP").Close(); err != nil {
		return err
	}
	word, rows := c.word(), 1+c.random.IntN(2000)
	tag, err := c.conn.CopyFrom(ctx, strings.NewReader(strings.Repeat(word+"\n", rows)), "COPY taken FROM STDIN")
	if err != nil {
		return err
	}
	got, err := c.one(ctx, "SELECT count(*) || min(w) || max(w) FROM taken")
	if want := fmt.Sprint(rows) + word + word; err == nil && (got != want || tag.RowsAffected() != int64(rows)) {
		err = fmt.Errorf("%w: got %s after COPY, want %s", errWrong, got, want)
	}
	if err != nil {
		return err
	}
	return c.conn.Exec(ctx, "COMMIT").Close()
}

// failing sends a statement that fails, and requires the error of that statement.
func (c *client) failing(ctx context.Context) error {
	word := strings.ReplaceAll(c.word(), "/", "-")
	_, err := c.conn.Exec(ctx, fmt.Sprintf("SELECT '%s'::int", word)).ReadAll()
	if sqlstate(err) == "22P02" && strings.Contains(err.Error(), word) {
		return nil
	}
	if err == nil || sqlstate(err) == "22P02" {
		return fmt.Errorf("%w: got error %v, want one about %q", errWrong, err, word)
	}
	return err
}

// bulky reads a single value of up to 400 KB.
func (c *client) bulky(ctx context.Context) error {
	word := c.word()
	want := strings.Repeat(word, 1+c.random.IntN(400<<10)/len(word))
	return c.wantValue(c.conn.ExecParams(ctx, "SELECT $1::text", [][]byte{[]byte(want)}, nil, nil, nil).Read(), want)
}

// outage says whether err is what clients get when PostgreSQL or pgherd is killed: the end of the connection, with or
// without an error.
func outage(err error) bool {
	switch sqlstate(err) {
	case "57P01", "57P02", "57P03", "08006", "08001":
		return true
	}
	_, isNet := errors.AsType[net.Error](err)
	return isNet || lost(err)
}
