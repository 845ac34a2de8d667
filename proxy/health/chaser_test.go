package health

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgherd/bench/herd"
	"pgherd/proxy/nodes"
)

// standbys is a fake herd of which a Chaser polls positions: the state of each node, and what was done to it.
type standbys struct {
	lock  sync.Mutex
	lsn   [3]uint64
	role  [3]nodes.Role // the role that the node reports
	errs  [3]error      // the errors of questions
	down  [3]bool       // the node refuses connections
	hangs [3]bool       // the node does not answer
	seen
}

// seen is what was done to each node.
type seen struct {
	calls, asked [3]int
	open         [3]int // number of open connections
	told         [3]uint64
	at           [3]time.Time
	zeroes       [3]int // how often no position was known
}

func (s *standbys) do(f func()) {
	s.lock.Lock()
	defer s.lock.Unlock()
	f()
}

// look returns what was done, once all goroutines wait.
func (s *standbys) look() (now seen) {
	synctest.Wait()
	s.do(func() { now = s.seen })
	return now
}

func (s *standbys) call(_ context.Context, n *nodes.Node) (Line, error) {
	s.lock.Lock()
	defer s.lock.Unlock()
	s.calls[n.Index]++
	if s.down[n.Index] {
		return nil, errors.New("connection refused")
	}
	s.open[n.Index]++
	return &fakeLine{s, n.Index}, nil
}

func (s *standbys) found(node int, lsn uint64, at time.Time) {
	s.do(func() {
		s.told[node], s.at[node] = lsn, at
		if lsn == 0 {
			s.zeroes[node]++
		}
	})
}

type fakeLine struct {
	s    *standbys
	node int
}

func (l *fakeLine) Position(ctx context.Context) (role nodes.Role, lsn uint64, err error) {
	hangs := false
	l.s.do(func() {
		l.s.asked[l.node]++
		role, lsn, err, hangs = l.s.role[l.node], l.s.lsn[l.node], l.s.errs[l.node], l.s.hangs[l.node]
	})
	if hangs {
		<-ctx.Done()
		return 0, 0, ctx.Err()
	}
	return role, lsn, err
}

func (l *fakeLine) Close() { l.s.do(func() { l.s.open[l.node]-- }) }

// chased runs a test, in a time of its own, on a Chaser of a primary (node 0), standbys 1 and 2, and a
// node of which nothing is believed.
func chased(t *testing.T, test func(t *testing.T, c *Chaser, s *standbys, log *strings.Builder)) {
	synctest.Test(t, func(t *testing.T) {
		believed := [...]nodes.Role{nodes.Primary, nodes.Standby, nodes.Standby, nodes.Unknown}
		s, log := &standbys{role: [3]nodes.Role(believed[:])}, &strings.Builder{}
		c := NewChaser(slog.New(slog.NewTextHandler(&locked{b: log}, nil)), time.Now, func(node int) nodes.Role { return believed[node] }, s.found)
		c.Want() // before Configure this does nothing
		c.Configure(&Settings{Nodes: asked("a", "b", "c", "d"), Timeout: patience, Call: s.call})
		defer func() {
			c.Close()
			c.Close()
			if now := s.look(); now.open[1] != 0 || now.open[2] != 0 {
				t.Errorf("connections are left open: %v", now.open)
			}
		}()
		time.Sleep(time.Hour)
		test(t, c, s, log)
	})
}

// TestChase checks that nodes are asked only while a session wants their positions, every few milliseconds over one
// connection, which is closed in the end.
func TestChase(t *testing.T) {
	chased(t, func(t *testing.T, c *Chaser, s *standbys, _ *strings.Builder) {
		now := s.look()
		if now.calls != [3]int{} {
			t.Fatalf("no position is wanted, but there were calls: %v", now.calls)
		}
		s.do(func() { s.lsn = [3]uint64{300, 100, 200} })
		c.Want()
		now = s.look()
		if now.told[0] != 300 || now.told[1] != 100 || now.told[2] != 200 || !now.at[1].Equal(time.Now()) {
			t.Errorf("want the positions at once, got %v at %v", now.told, now.at)
		}
		s.do(func() { s.lsn[1] = 101 })
		time.Sleep(chasePause)
		now = s.look()
		if now.told[1] != 101 || now.asked[0] != now.asked[1] {
			t.Errorf("positions %v, asked %v times", now.told, now.asked)
		}
		time.Sleep(chaseIdle / 2)
		now = s.look()
		after := now.asked[1]
		if want := int(chaseLinger/chasePause) + 1; after < want-1 || after > want+1 {
			t.Errorf("asked %d times after one Want, want about %d", after, want)
		}
		if now.open[1] != 1 {
			t.Error("the connection is closed, want it kept")
		}
		c.Want()
		now = s.look()
		if now.asked[1] != after+1 || now.calls[1] != 1 || now.open[1] != 1 {
			t.Errorf("want the connection used again: asked %d times over %d connections", now.asked[1], now.calls[1])
		}
		time.Sleep(chaseLinger + 2*chaseIdle)
		now = s.look()
		if now.open[1] != 0 || now.open[2] != 0 {
			t.Errorf("idle connections are still open: %v", now.open)
		}
		c.Want()
		now = s.look()
		if now.calls[1] != 2 {
			t.Error("a connection is not opened again when a position is wanted")
		}
	})
}

// TestChaseGoesOn checks that nodes are asked for as long as a session wants positions.
func TestChaseGoesOn(t *testing.T) {
	chased(t, func(t *testing.T, c *Chaser, s *standbys, _ *strings.Builder) {
		for range 100 {
			c.Want()
			time.Sleep(chaseLinger / 2)
		}
		now := s.look()
		if want := int(100 * chaseLinger / 2 / chasePause); now.asked[1] < want-1 || now.calls[1] != 1 {
			t.Errorf("asked %d times, want %d; opened %d connections", now.asked[1], want, now.calls[1])
		}
	})
}

// TestChaseRoles checks that a node that does not have the role that it is believed to have has no
// position.
func TestChaseRoles(t *testing.T) {
	chased(t, func(t *testing.T, c *Chaser, s *standbys, _ *strings.Builder) {
		s.do(func() {
			s.lsn, s.role = [3]uint64{300, 100, 200}, [3]nodes.Role{nodes.Standby, nodes.Primary, nodes.Standby}
		})
		c.Want()
		if now := s.look(); now.told != [3]uint64{0, 0, 200} || now.asked != [3]int{1, 1, 1} {
			t.Errorf("positions are %v, asked %v times", now.told, now.asked)
		}
	})
}

// TestChaseFails checks that nothing is known of a standby that fails, that the other one is asked
// as before, that the log has the failure once, and that a standby that is down is not asked all
// the time.
func TestChaseFails(t *testing.T) {
	chased(t, func(t *testing.T, c *Chaser, s *standbys, log *strings.Builder) {
		s.do(func() { s.lsn[1], s.lsn[2] = 100, 200 })
		c.Want()
		var now seen
		synctest.Wait()
		s.do(func() { s.errs[1] = errors.New("terminating connection") })
		for range 10 {
			c.Want()
			time.Sleep(chasePause)
			now = s.look()
		}
		if now.told[1] != 0 || now.told[2] != 200 || now.zeroes[1] != 1 || now.open[1] != 0 {
			t.Errorf("positions are %v; not known %v times", now.told, now.zeroes)
		}
		s.do(func() { s.down[1] = true })
		for range 10 {
			c.Want()
			time.Sleep(chaseRetry)
			now = s.look()
		}
		if now.calls[1] < 5 || now.calls[1] > 15 || now.zeroes[1] < 5 {
			t.Errorf("a standby that is down was tried %d times", now.calls[1])
		}
		if n := strings.Count(log.String(), "ask node for its position"); n != 1 {
			t.Errorf("the failure was logged %d times, want once: %s", n, log)
		}
		s.do(func() { s.down[1], s.errs[1], s.lsn[1] = false, nil, 300 })
		c.Want()
		time.Sleep(chaseRetry)
		now = s.look()
		if now.told[1] != 300 {
			t.Error("the standby that answers again has no position")
		}
	})
}

// TestChaseHangs checks that a standby that does not answer is given up while the other one is
// asked all the time, and that Close does not wait for it.
func TestChaseHangs(t *testing.T) {
	chased(t, func(t *testing.T, c *Chaser, s *standbys, _ *strings.Builder) {
		s.do(func() { s.lsn[1], s.lsn[2], s.hangs[1] = 100, 200, true })
		for range 10 {
			c.Want()
			time.Sleep(chaseLinger / 2)
		}
		now := s.look()
		if now.asked[1] != 1 || now.zeroes[1] != 1 || now.asked[2] < 100 {
			t.Errorf("asked %v times; not known %v times", now.asked, now.zeroes)
		}
		c.Want()
		time.Sleep(chaseRetry)
		synctest.Wait()
		before := time.Now()
		c.Close()
		if !time.Now().Equal(before) || s.look().zeroes[1] != 1 {
			t.Error("Close waited, or the question that it stopped counts as a failure")
		}
	})
}

// TestChaseConfiguredAgain checks another configuration of nodes, and one without a user for the questions.
func TestChaseConfiguredAgain(t *testing.T) {
	chased(t, func(t *testing.T, c *Chaser, s *standbys, _ *strings.Builder) {
		c.Want()
		synctest.Wait()
		c.Configure(&Settings{Nodes: asked("a", "b"), Timeout: patience, Call: s.call})
		now := s.look()
		if now.open[1] != 0 || now.open[2] != 0 {
			t.Errorf("old connections are left open: %v", now.open)
		}
		before := now.asked[2]
		c.Want()
		time.Sleep(chaseLinger)
		now = s.look()
		if now.asked[2] != before || now.calls[1] != 2 {
			t.Errorf("asked %v times over connections %v", now.asked, now.calls)
		}
		c.Configure(&Settings{Nodes: asked("a", "b"), Timeout: patience})
		c.Want()
		time.Sleep(chaseLinger)
		now = s.look()
		if now.calls[1] != 2 {
			t.Error("nodes were asked without a user for it")
		}
	})
}

// realChase polls the position of a real standby, node 1.
type realChase struct {
	*testing.T
	ctx  context.Context
	herd *herd.Herd
	c    *Chaser
	told [2]chan uint64 // by node, the newest answer
}

func newRealChase(t *testing.T) *realChase {
	h, err := herd.Start(t.Context(), herd.Settings{Standbys: 1})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	r := &realChase{T: t, ctx: ctx, herd: h, told: [2]chan uint64{make(chan uint64, 1), make(chan uint64, 1)}}
	s := &Settings{Timeout: patience, Call: SQLLine(Access{User: herd.User, Password: herd.User, Database: herd.Database, SSLMode: "disable"})}
	for _, n := range h.Nodes() {
		s.Nodes = append(s.Nodes, Node{Node: nodes.Node{Index: n.Index, Host: n.Host, Port: n.Port}})
	}
	r.c = NewChaser(slog.New(slog.DiscardHandler), time.Now, func(node int) nodes.Role { return [...]nodes.Role{nodes.Primary, nodes.Standby}[node] }, r.found)
	r.c.Configure(s)
	t.Cleanup(func() {
		r.c.Close()
		cancel()
		if err := h.Stop(); err != nil {
			t.Error(err)
		}
	})
	return r
}

func (r *realChase) found(node int, lsn uint64, _ time.Time) {
	select {
	case <-r.told[node]:
	default:
	}
	r.told[node] <- lsn
}

func (r *realChase) run(node int, sql string) string {
	r.Helper()
	text, err := r.herd.ExecOn(r.ctx, node, sql)
	if err != nil {
		r.Fatal(err)
	}
	return strings.TrimSpace(text)
}

// written is the end of the primary's WAL.
func (r *realChase) written() (lsn uint64) {
	r.Helper()
	if _, err := fmt.Sscan(r.run(0, "SELECT pg_current_wal_insert_lsn() - '0/0'"), &lsn); err != nil {
		r.Fatal(err)
	}
	return recordsEnd(lsn, 8192, 16<<20) // PostgreSQL's default sizes of pages and segments
}

// until reads a node's answers until one is as wanted.
func (r *realChase) until(node int, failure string, ok func(lsn uint64) bool) {
	r.Helper()
	for {
		r.c.Want()
		select {
		case lsn := <-r.told[node]:
			if ok(lsn) {
				return
			}
		case <-r.ctx.Done():
			r.Fatal(failure)
		}
	}
}

// TestChaseSQL polls a real standby. What it has replayed is reported, what it has not replayed is not,
// and after a crash nothing is known.
func TestChaseSQL(t *testing.T) {
	t.Parallel()
	r := newRealChase(t)
	nothing := func(lsn uint64) bool { return lsn == 0 }
	r.run(0, "CREATE TABLE t (i int)")
	first := r.written()
	r.until(0, "the primary's position is not reported", func(lsn uint64) bool { return lsn >= first })
	r.until(1, "the standby has not replayed the primary's WAL", func(lsn uint64) bool { return lsn >= first })
	r.run(1, "SELECT pg_wal_replay_pause()")
	for r.run(1, "SELECT pg_get_wal_replay_pause_state()") != "paused" {
	}
	r.run(0, "INSERT INTO t SELECT generate_series(1, 1000)")
	second := r.written()
	for range 20 {
		r.until(1, "the standby does not answer", func(lsn uint64) bool {
			if lsn < first || lsn >= second {
				t.Errorf("got position %d, but replay is between %d and %d", lsn, first, second)
			}
			return true
		})
	}
	r.run(1, "SELECT pg_wal_replay_resume()")
	r.until(1, "the standby does not go on replaying", func(lsn uint64) bool { return lsn >= second })
	if err := r.herd.Kill(1); err != nil {
		t.Fatal(err)
	}
	r.until(1, "the standby is dead, but its position is known", nothing)
	if err := r.herd.Restart(r.ctx, 1); err != nil {
		t.Fatal(err)
	}
	r.until(1, "the standby is back, but its position is not known", func(lsn uint64) bool { return lsn >= second })
	r.run(1, "SELECT pg_promote()")
	r.until(1, "the promoted standby, which replays nothing, has a position", nothing)
}
