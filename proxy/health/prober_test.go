package health

import (
	"context"
	"errors"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"pgherd/proxy/nodes"
)

// answers is a fake Probe, which answers for each node as the test wants.
type answers struct {
	lock  sync.Mutex
	found map[int]Finding
	errs  map[int]error
	asked map[int]int
	hangs map[int]bool  // nodes whose probes hang until the context ends
	hung  chan struct{} // gets a value when a probe begins to hang; may be nil
}

func (a *answers) probe(ctx context.Context, n *nodes.Node) (Finding, error) {
	a.lock.Lock()
	hangs, finding, err := a.hangs[n.Index], a.found[n.Index], a.errs[n.Index]
	if a.asked == nil {
		a.asked = map[int]int{}
	}
	a.asked[n.Index]++
	a.lock.Unlock()
	if hangs {
		if a.hung != nil {
			select {
			case a.hung <- struct{}{}:
			case <-ctx.Done():
			}
		}
		<-ctx.Done()
		return Finding{}, ctx.Err()
	}
	return finding, err
}

func (a *answers) set(change func()) {
	a.lock.Lock()
	defer a.lock.Unlock()
	change()
}

// listener receives the views that are published.
type listener chan *nodes.View

func (l listener) publish(v *nodes.View) {
	for {
		select {
		case l <- v:
			return
		default:
			<-l // the oldest view is dropped
		}
	}
}

// patience is the deadline of waits in these tests; they should end long before.
const patience = 20 * time.Second

// until waits for a view with these roles.
func (l listener) until(t *testing.T, want string) {
	t.Helper()
	last := ""
	deadline := time.After(patience)
	for {
		select {
		case v := <-l:
			if last = roles(v); last == want {
				return
			}
		case <-deadline:
			t.Fatalf("a view with %s was never published; the last one: %s", want, last)
		}
	}
}

func newProber(t *testing.T) (*Prober, listener, *strings.Builder) {
	views, log := make(listener, 8), &strings.Builder{}
	logger, now := slog.New(slog.NewTextHandler(&locked{b: log}, nil)), func() time.Time { return start }
	p := New(logger, now, NewFollower(logger, now, views.publish).Saw)
	t.Cleanup(p.Close)
	return p, views, log
}

// locked is a log to which several goroutines write.
type locked struct {
	lock sync.Mutex
	b    *strings.Builder
}

func (l *locked) Write(p []byte) (int, error) {
	l.lock.Lock()
	defer l.lock.Unlock()
	return l.b.Write(p)
}

func TestProberPublishes(t *testing.T) {
	a := &answers{found: found("0 standby 5, 1 primary 5")}
	p, views, log := newProber(t)
	p.Configure(&Settings{Nodes: asked("a", "b"), Period: time.Millisecond, Timeout: patience, Probe: a.probe})
	if got := roles(<-views); got != "0 standby, 1 primary" {
		t.Errorf("when Configure returns, the view is %s", got)
	}
	a.set(func() { a.found = found("0 primary 6, 1 standby 5") })
	views.until(t, "0 primary, 1 standby +1")
	p.Close()
	if text := log.String(); !strings.Contains(text, "node has another role") || !strings.Contains(text, "node=0 role=primary before=standby") {
		t.Errorf("the change of roles is not in the log: %s", text)
	}
}

func TestProberWithoutProbe(t *testing.T) {
	p, views, _ := newProber(t)
	p.Configure(&Settings{Nodes: asked("a", "b")})
	if v := <-views; roles(v) != "0 primary, 1 standby" || v.Nodes[0].Probed {
		t.Errorf("the view is %s, its first node %+v", roles(v), v.Nodes[0])
	}
}

// TestProberConfiguredAgain checks that what was found of the nodes that stay is still known, and that the old probes have
// ended.
func TestProberConfiguredAgain(t *testing.T) {
	a, b := &answers{found: found("0 standby 5, 1 primary 5, 2 standby 5")}, &answers{hangs: map[int]bool{0: true, 1: true}}
	p, views, _ := newProber(t)
	p.Configure(&Settings{Nodes: asked("a", "b", "c"), Period: time.Millisecond, Timeout: patience, Probe: a.probe})
	views.until(t, "0 standby, 1 primary, 2 standby")
	p.Configure(&Settings{Nodes: asked("a", "b"), Period: time.Hour, Timeout: time.Millisecond, Probe: b.probe})
	views.until(t, "0 standby, 1 primary") // both nodes hang now, and the belief stays
	before := a.asked[0]
	runtime.Gosched()
	a.set(func() {
		if a.asked[0] != before {
			t.Error("the old probes still run")
		}
	})
	p.Configure(&Settings{Nodes: asked("a")})
	views.until(t, "0 primary")
	p.Configure(&Settings{Nodes: asked("a", "b")})
	if v := <-views; v.Nodes[1].Probed {
		t.Error("what was found of a node outlives its removal")
	}
}

// TestProberSlowNode checks that a node that hangs delays Configure by the timeout at most, and the
// probes of other nodes not at all.
func TestProberSlowNode(t *testing.T) {
	a := &answers{found: found("0 primary 5, 1 standby 5"), hangs: map[int]bool{2: true}}
	p, views, _ := newProber(t)
	p.Configure(&Settings{Nodes: asked("a", "b", "c"), Period: time.Millisecond, Timeout: 50 * time.Millisecond, Probe: a.probe})
	v := <-views
	if n := v.Nodes[2]; n.Reachable || !n.Probed || roles(v) != "0 primary, 1 standby, 2 standby" {
		t.Errorf("the view is %s, its third node %+v", roles(v), n)
	}
	a.set(func() { a.found = found("0 primary 9, 1 standby 5") })
	views.until(t, "0 primary, 1 standby +4, 2 standby")
}

// TestProberLogsOnce checks that the log says once that a node is unreachable, and says it again
// when the node fails again.
func TestProberLogsOnce(t *testing.T) {
	a := &answers{found: found("0 primary 5"), errs: map[int]error{1: errors.New("connection refused")}}
	p, views, log := newProber(t)
	p.Configure(&Settings{Nodes: asked("a", "b"), Period: time.Millisecond, Timeout: patience, Probe: a.probe})
	for range 20 {
		<-views
	}
	p.Close()
	if n := strings.Count(log.String(), "connection refused"); n != 1 {
		t.Errorf("the failure was logged %d times, want once", n)
	}
	fails := errors.New("too many connections")
	a.set(func() { a.errs = map[int]error{} })
	a.set(func() { a.found = found("0 primary 5, 1 standby 5") })
	p.Configure(&Settings{Nodes: asked("a", "b"), Period: time.Hour, Timeout: patience, Probe: a.probe})
	a.set(func() { a.found, a.errs = found("0 primary 5"), map[int]error{1: fails} })
	p.Configure(&Settings{Nodes: asked("a", "b"), Period: time.Hour, Timeout: patience, Probe: a.probe})
	p.Close()
	if !strings.Contains(log.String(), fails.Error()) {
		t.Errorf("a new failure is not in the log: %s", log)
	}
}

// TestProberTellsOfTheReturn checks that the return of a node is logged once, and that its probes are counted.
func TestProberTellsOfTheReturn(t *testing.T) {
	p, views, log := newProber(t)
	gone := errors.New("connection refused")
	a := &answers{found: map[int]Finding{}, errs: map[int]error{0: gone}}
	settings := &Settings{Nodes: []Node{{Node: nodes.Node{Index: 0}}}, Period: time.Millisecond, Timeout: patience, Probe: a.probe}
	p.Configure(settings)
	await := func(what string, seen func(*nodes.Checks) bool) nodes.Checks {
		for end := time.After(patience); ; {
			select {
			case v := <-views:
				if c := v.Nodes[0].Checks; seen(&c) {
					return c
				}
			case <-end:
				t.Fatal(what)
			}
		}
	}
	await("the probe never fails twice", func(c *nodes.Checks) bool { return c.Failed >= 2 && c.Succeeded == 0 })
	a.set(func() { a.errs[0], a.found[0] = nil, Finding{Reachable: true, Role: nodes.Primary} })
	c := await("the node never answers twice", func(c *nodes.Checks) bool { return c.Succeeded >= 2 })
	p.Close()
	if text := log.String(); strings.Count(text, "node answers again") != 1 || strings.Count(text, "probe node") != 1 {
		t.Errorf("want one failure and one return in the log: %s", text)
	}
	if c.LastSucceeded.Before(c.LastFailed) || c.Last() != c.LastSucceeded || c.Longest < c.Shortest || c.Mean() > c.Longest {
		t.Errorf("the counts are %+v", c)
	}
}

// TestProberQuarantines checks that a quarantine is logged once, with what to do, and does not end
// while the node does not answer.
func TestProberQuarantines(t *testing.T) {
	a := &answers{found: found("0 primary 5 t1 s7, 1 standby 5 t1 s8")}
	p, views, log := newProber(t)
	p.Configure(&Settings{Nodes: asked("a", "b"), Period: time.Millisecond, Timeout: patience, Probe: a.probe})
	for range 20 {
		views.until(t, "0 primary, 1 standby in quarantine")
	}
	a.set(func() { a.errs, a.found[1] = map[int]error{1: errors.New("connection refused")}, Finding{} })
	for v := range views {
		if roles(v) != "0 primary, 1 standby in quarantine" {
			t.Fatalf("the view of a node that does not answer is %s, want it still in quarantine", roles(v))
		}
		if !v.Nodes[1].Reachable {
			break
		}
	}
	p.Close()
	const want = "its system identifier is 8, and that of the primary (node 0) is 7"
	if text := log.String(); strings.Count(text, want) != 1 || strings.Count(text, "pg_basebackup") != 1 {
		t.Errorf("want the reason and the remedy once in the log: %s", text)
	}
	a.set(func() { a.errs, a.found = nil, found("0 primary 5 t1 s7, 1 standby 5 t1 s7") })
	p.Configure(&Settings{Nodes: asked("a", "b"), Period: time.Millisecond, Timeout: patience, Probe: a.probe})
	views.until(t, "0 primary, 1 standby")
	p.Close()
	if !strings.Contains(log.String(), "node is not in quarantine any more") {
		t.Errorf("the end of the quarantine is not in the log: %s", log)
	}
	other := asked("a", "b")
	other[1].Host = "c"
	p.Configure(&Settings{Nodes: asked("a", "b"), Period: time.Hour, Timeout: patience, Probe: (&answers{found: found("0 primary 5 t1 s7, 1 standby 5 t1 s8")}).probe})
	for len(views) > 0 {
		<-views
	}
	p.Configure(&Settings{Nodes: other})
	if v := <-views; v.Nodes[1].Status != nodes.Up {
		t.Error("the answer of a node counts for another node with its number")
	}
}

// TestProberTellsOfNoPrimary checks that the log has an error where there is no primary, at the
// start too.
func TestProberTellsOfNoPrimary(t *testing.T) {
	a := &answers{found: found("0 primary 5 t1 s7, 1 primary 5 t1 s7")}
	p, views, log := newProber(t)
	p.Configure(&Settings{Nodes: asked("a", "b"), Period: time.Millisecond, Timeout: patience, Probe: a.probe})
	for range 20 {
		if v := <-views; v.Primary() != nil {
			t.Fatal("one of two nodes that claim the role is the primary")
		}
	}
	p.Configure(&Settings{Nodes: asked("a", "b!"), Period: time.Millisecond, Timeout: patience, Probe: a.probe})
	views.until(t, "0 standby in quarantine, 1 primary")
	p.Close()
	if text := log.String(); strings.Count(text, "no node is known to be the primary") != 1 || strings.Count(text, "ALWAYS_PRIMARY") != 1 {
		t.Errorf("want the error once in the log: %s", text)
	}
}

// TestProberCloses checks that Close returns even while probes hang, that no goroutine is left, and
// that it may be called again and before Configure.
func TestProberCloses(t *testing.T) {
	before := runtime.NumGoroutine()
	a := &answers{found: found("0 primary 1, 1 standby 1, 2 standby 1"), hung: make(chan struct{})}
	p, _, log := newProber(t)
	p.Close()
	p.Configure(&Settings{Nodes: asked("a", "b", "c"), Period: time.Millisecond, Timeout: time.Hour, Probe: a.probe})
	a.set(func() { a.hangs = map[int]bool{0: true, 1: true, 2: true} })
	for range 3 {
		<-a.hung
	}
	p.Close()
	p.Close()
	for range 1000 {
		if runtime.NumGoroutine() <= before {
			break
		}
		runtime.Gosched()
		time.Sleep(time.Millisecond)
	}
	if n := runtime.NumGoroutine(); n > before {
		t.Errorf("%d goroutines run, %d ran before", n, before)
	}
	if strings.Contains(log.String(), "canceled") {
		t.Errorf("a probe that was stopped is logged as a failure: %s", log)
	}
}
