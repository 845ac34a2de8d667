package supervisor

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgherd/proxy/events"
	"pgherd/proxy/failover"
	"pgherd/proxy/health"
	"pgherd/proxy/nodes"
)

const (
	system = 77
	tick   = 50 * time.Millisecond // the pause between two reports of what is seen
)

// world is all that a supervisor has around it, in a time of its own: nodes that are seen, acts that
// are recorded, and a council that makes commands last, or does not.
type world struct {
	t     *testing.T
	began time.Time
	sup   *Supervisor
	set   Settings
	told  bytes.Buffer // the log, of the supervisor's goroutine until it is closed

	events events.Ring // what SHOW POOL_EVENTS shows

	lock     sync.Mutex // guards what follows
	log      []string   // commands that were made to last, and acts, in order
	nodes    map[int]*health.Seen
	does     map[string]func(ctx context.Context, w *world) error // results of acts, by their text; others succeed
	position map[int]uint64
	herd     failover.Herd // the herd that has been made to last
	council  func(context.Context, failover.Command) error
	view     *nodes.View
	waiting  func(context.Context, *world) error // what becomes of a promotion once its command has ended; nil: it is done
	follower bool                                // another member leads
}

// inWorld runs a test with a primary, node 0, on timeline 3, and two standbys.
func inWorld(t *testing.T, test func(w *world)) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, began: time.Now(), herd: failover.New(), nodes: map[int]*health.Seen{0: primary(0, 3), 1: standby(1, 0, 3), 2: standby(2, 0, 3)},
			does: map[string]func(context.Context, *world) error{}, position: map[int]uint64{1: 900, 2: 800}}
		w.set = Settings{Member: "a", Failover: failover.Settings{Members: []string{"a"}, OnError: true, AutoFailback: true,
			Nodes: []failover.NodeSettings{{Index: 0}, {Index: 1}, {Index: 2}}, Votes: failover.Votes{Consensus: true}}}
		w.start()
		defer func() { w.sup.Close() }()
		test(w)
	})
}

// start begins a supervisor with the herd that lasts.
func (w *world) start() {
	w.sup = New(Uses{Log: w.events.Keep(slog.New(slog.NewTextHandler(&w.told, nil))), Clock: func() time.Duration { return time.Since(w.began) }, Date: time.Now, Acts: w,
		Publish: func(v *nodes.View) { w.locked(func() { w.view = v }) }, Look: func(int) {}}, w.herd)
	if err := w.sup.Start(func() (Council, error) { return w, nil }, w.set); err != nil {
		w.t.Fatal(err)
	}
}

// restart ends the supervisor, and starts another that knows only what has been made to last.
func (w *world) restart() {
	w.sup.Close()
	text, err := json.Marshal(w.herd)
	if err == nil {
		w.herd, err = failover.Load(text)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	w.did()
	w.start()
}

func (w *world) locked(f func()) { w.lock.Lock(); defer w.lock.Unlock(); f() }

func (w *world) note(format string, args ...any) {
	w.locked(func() { w.log = append(w.log, fmt.Sprintf(format, args...)) })
}

// passes lets time pass, in which the nodes are seen again and again.
func (w *world) passes(d time.Duration) {
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(tick) {
		w.sup.Saw(w.seen())
		synctest.Wait()
	}
	synctest.Wait()
}

// seen is what the probes find now.
func (w *world) seen() (all []health.Seen) {
	w.lock.Lock()
	defer w.lock.Unlock()
	for _, n := range slices.Sorted(maps.Keys(w.nodes)) {
		it := *w.nodes[n]
		if it.At.IsZero() {
			it.At = time.Now()
		}
		it.Course.Known = time.Now()
		all = append(all, it)
	}
	return all
}

// did returns what was recorded since the last call. Acts that begin together are sorted.
func (w *world) did() (log []string) {
	w.locked(func() { log, w.log = w.log, nil })
	verb := func(line string) string { first, _, _ := strings.Cut(line, " "); return first }
	for i := 0; i < len(log); {
		end := i + 1
		for end < len(log) && verb(log[end]) == verb(log[i]) && verb(log[i]) != "lasts" {
			end++
		}
		slices.Sort(log[i:end])
		i = end
	}
	return log
}

// expects checks what was recorded since the last check.
func (w *world) expects(want ...string) {
	w.t.Helper()
	if got := w.did(); !slices.Equal(got, want) {
		w.t.Errorf("got\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

// begins makes the herd steady: the primary is found, and the standbys are up.
func (w *world) begins() {
	w.t.Helper()
	w.passes(2 * time.Second)
	w.expects("lasts primary 0 timeline 3 asynchronous", "lasts up 1", "lasts up 2")
}

// die makes a node refuse all connections from now on.
func (w *world) die(n int) {
	w.locked(func() {
		it := w.nodes[n]
		it.Reachable, it.Course = false, health.Course{Verdict: failover.Refused, Times: 2, Since: time.Now()}
	})
}

func primary(index int, timeline uint32) *health.Seen {
	s := node(index, nodes.Primary, timeline)
	s.Course.Verdict, s.LSN, s.Standbys = failover.IsPrimary, 1000, map[string]health.Standby{}
	return s
}

func standby(index, upstream int, timeline uint32) *health.Seen {
	s := node(index, nodes.Standby, timeline)
	s.Course.Verdict, s.LSN, s.Received = failover.IsStandby, 700, 900
	s.Receiver = health.Receiver{Streaming: true, Host: hostOf(upstream), Port: 5432, Name: fmt.Sprint("s", index)}
	return s
}

func hostOf(index int) string { return fmt.Sprint("10.0.0.", 1+index) }

func node(index int, role nodes.Role, timeline uint32) *health.Seen {
	long := time.Now().Add(-time.Hour)
	s := &health.Seen{Asked: true}
	s.Index, s.Host, s.Port = index, hostOf(index), 5432
	s.Reachable, s.Role, s.Last = true, role, health.Identity{Role: role, System: system, Timeline: timeline}
	s.Course = health.Course{Times: 100, Since: long, StreamingSince: long}
	return s
}

// The world implements the council, ...

func (w *world) Leads() bool { w.lock.Lock(); defer w.lock.Unlock(); return !w.follower }

func (w *world) Tell(Report) {}

func (w *world) Unlicensed(string, uint64) bool { return false }

func (w *world) Propose(ctx context.Context, c failover.Command) error {
	if w.council != nil {
		if err := w.council(ctx, c); err != nil {
			return err
		}
	}
	next, err := failover.Apply(w.herd, c)
	if err != nil {
		return err
	}
	w.herd = next
	text := c.String()
	if c.Kind == failover.MakePrimary && c.Sync != nil {
		text += " " + c.Sync.String()
	}
	w.note("lasts %s", text)
	return w.sup.Apply(c)
}

// ... and the executor of acts.

// act records that an act begins, and then does what on has set.
func (w *world) act(ctx context.Context, format string, args ...any) error {
	words := fmt.Sprintf(format, args...)
	w.note("%s", words)
	var how func(context.Context, *world) error
	w.locked(func() { how = w.does[words] })
	if how == nil {
		return nil
	}
	return how(ctx, w)
}

// on sets the result of an act from now on; nil means that it succeeds.
func (w *world) on(words string, how func(context.Context, *world) error) {
	w.locked(func() { w.does[words] = how })
}

var errBroken = errors.New("broken")

func breaks(context.Context, *world) error { return errBroken }

// hangs is the result of an act that ends only when it is given up.
func hangs(ctx context.Context, _ *world) error { <-ctx.Done(); return ctx.Err() }

func (w *world) Fence(ctx context.Context, node int, epoch uint64) error {
	return w.act(ctx, "fence %d epoch %d", node, epoch)
}

func (w *world) Revoke(ctx context.Context, n *nodes.Node) (failover.Answer, error) {
	err := w.act(ctx, "revoke %d", n.Index)
	return failover.Answer{Revoked: true, System: system, Timeline: 3, Received: w.position[n.Index]}, err
}

func (w *world) Position(ctx context.Context, n *nodes.Node) (failover.Answer, error) {
	err := w.act(ctx, "ask %d", n.Index)
	return failover.Answer{System: system, Timeline: 3, Received: w.position[n.Index]}, err
}

func (w *world) Promote(ctx context.Context, n *nodes.Node, after uint32, ran func()) (p failover.Promoted, sync string, err error) {
	err = w.act(ctx, "promote %d after %d", n.Index, after)
	ran()
	if w.waiting != nil && err == nil {
		err = w.waiting(ctx, w)
	}
	if err == nil {
		w.locked(func() { w.nodes[n.Index] = primary(n.Index, after+1) })
	}
	return failover.Promoted{Node: n.Index, System: system, Timeline: after + 1}, "", err
}

func (w *world) Follow(ctx context.Context, n, upstream *nodes.Node) error {
	err := w.act(ctx, "follow %d of %d", n.Index, upstream.Index)
	if err == nil {
		w.locked(func() { w.nodes[n.Index] = standby(n.Index, upstream.Index, w.nodes[upstream.Index].Last.Timeline) })
	}
	return err
}

func (w *world) Rejoin(ctx context.Context, n, upstream *nodes.Node) error {
	err := w.act(ctx, "rejoin %d to %d", n.Index, upstream.Index)
	if err == nil {
		w.locked(func() { w.nodes[n.Index] = standby(n.Index, upstream.Index, w.nodes[upstream.Index].Last.Timeline) })
	}
	return err
}

func (w *world) HandOver(ctx context.Context, n, upstream *nodes.Node) (bool, error) {
	return true, w.act(ctx, "hand over %d to %d", n.Index, upstream.Index)
}
