package supervisor

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgherd/proxy/failover"
	"pgherd/proxy/health"
	"pgherd/proxy/nodes"
)

// whole is a failover from node 0 to node 1: the commands that are made to last, and the acts.
var whole = []string{"lasts fail 0", "fence 0 epoch 2", "revoke 1", "revoke 2", "lasts candidate 1", "promote 1 after 3",
	"lasts primary 1 timeline 4 asynchronous"}

// TestFailover checks a whole failover, in order, and the View that sessions get at its end.
func TestFailover(t *testing.T) {
	inWorld(t, func(w *world) {
		w.begins()
		w.die(0)
		w.passes(5 * time.Second)
		w.expects(append(slices.Clone(whole), "follow 2 of 1")...)
		var got []string
		for _, n := range w.view.Nodes {
			got = append(got, n.Role.String()+" "+n.Status.String())
		}
		if text := strings.Join(got, ", "); w.view.Epoch != 2 || text != "standby down, primary up, standby up" {
			t.Errorf("in epoch %d the view is %s", w.view.Epoch, text)
		}
	})
}

// TestOneAtATime checks that each step waits for the one on which it rests.
func TestOneAtATime(t *testing.T) {
	for i, c := range []struct{ holds, council string }{{council: "fail"}, {holds: "fence 0 epoch 2"}, {holds: "revoke 1"}, {council: "candidate"}, {holds: "promote 1 after 3"}} {
		t.Run(c.holds+c.council, func(t *testing.T) {
			inWorld(t, func(w *world) {
				done := make(chan struct{})
				waits := func(ctx context.Context) error {
					select {
					case <-done:
						return nil
					case <-ctx.Done():
						return ctx.Err()
					}
				}
				w.begins()
				w.council = func(ctx context.Context, command failover.Command) error {
					if string(command.Kind) == c.council {
						return waits(ctx)
					}
					return nil
				}
				w.on(c.holds, func(ctx context.Context, _ *world) error { return waits(ctx) })
				w.die(0)
				w.sup.Saw(w.seen())
				time.Sleep(100 * time.Millisecond)
				synctest.Wait()
				w.expects(whole[:[]int{0, 2, 4, 4, 6}[i]]...)
				close(done)
				w.passes(time.Second)
				if got := w.did(); len(got) == 0 || !slices.Contains(got, whole[len(whole)-1]) {
					t.Errorf("the failover does not go on: %q", got)
				}
			})
		})
	}
}

// TestActs checks how a failover goes on whose acts fail or hang.
func TestActs(t *testing.T) {
	for name, c := range map[string]struct {
		on   map[string]func(context.Context, *world) error
		want []string // what happens, without repetitions of an act
	}{
		"a fence that fails is tried again, and nothing else is done": {on: map[string]func(context.Context, *world) error{"fence 0 epoch 2": breaks},
			want: []string{"lasts fail 0", "fence 0 epoch 2"}},
		"a fence that hangs": {on: map[string]func(context.Context, *world) error{"fence 0 epoch 2": hangs},
			want: []string{"lasts fail 0", "fence 0 epoch 2"}},
		"a standby that cannot be revoked is not waited for": {on: map[string]func(context.Context, *world) error{"revoke 1": breaks},
			want: []string{"lasts fail 0", "fence 0 epoch 2", "revoke 1", "revoke 2", "lasts candidate 2", "promote 2 after 3", "lasts primary 2 timeline 4 asynchronous", "follow 1 of 2"}},
		"a standby that does not answer is not waited for": {on: map[string]func(context.Context, *world) error{"revoke 1": hangs},
			want: []string{"lasts fail 0", "fence 0 epoch 2", "revoke 1", "revoke 2", "lasts candidate 2", "promote 2 after 3", "lasts primary 2 timeline 4 asynchronous", "follow 1 of 2"}},
		"a promotion that fails begins another election": {on: map[string]func(context.Context, *world) error{"promote 1 after 3": func(_ context.Context, w *world) error { w.die(1); w.sup.Saw(w.seen()); return errBroken }},
			want: []string{"lasts fail 0", "fence 0 epoch 2", "revoke 1", "revoke 2", "lasts candidate 1", "promote 1 after 3", "lasts fail 1",
				"fence 0 epoch 3", "revoke 2", "lasts candidate 2", "promote 2 after 3", "lasts primary 2 timeline 4 asynchronous"}},
		"a failed follow changes nothing else": {on: map[string]func(context.Context, *world) error{"follow 2 of 1": breaks}, want: append(slices.Clone(whole), "follow 2 of 1")},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				w.begins()
				for words, how := range c.on {
					w.on(words, how)
				}
				w.die(0)
				w.passes(4 * time.Second)
				if got := slices.Compact(w.did()); !slices.Equal(got, c.want) {
					t.Errorf("got\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(c.want, "\n  "))
				}
			})
		})
	}
}

// TestActAgain checks that an act that fails is tried again, but not without a pause, and that one under way is not started
// again.
func TestActAgain(t *testing.T) {
	for how, times := range map[string]int{"breaks": 10, "hangs": 1} {
		inWorld(t, func(w *world) {
			w.begins()
			w.on("fence 0 epoch 2", map[string]func(context.Context, *world) error{"breaks": breaks, "hangs": hangs}[how])
			w.die(0)
			w.passes(2 * time.Second)
			if got := w.did(); len(got) < 1+times/2 || len(got) > 2+times {
				t.Errorf("%s: the act was tried again %d times in 2 s", how, len(got)-1)
			}
		})
	}
}

// TestPromotionsPause checks that a standby that cannot be promoted does not make one epoch
// follow another without a pause.
func TestPromotionsPause(t *testing.T) {
	inWorld(t, func(w *world) {
		w.begins()
		w.on("promote 1 after 3", breaks)
		w.die(0)
		w.passes(2 * time.Second)
		if w.herd.Epoch < 3 || w.herd.Epoch > 2+11 {
			t.Errorf("after 2 s the epoch is %d", w.herd.Epoch)
		}
	})
}

// TestCommandEnds checks that a command that has promoted another node than it was told is left to end, and
// that nobody waits any longer once it has.
func TestCommandEnds(t *testing.T) {
	inWorld(t, func(w *world) {
		w.begins()
		w.set.Failover.Commands.Promote = true
		w.sup.Configure(w.set)
		ended, given := make(chan struct{}), false
		w.on("promote 1 after 3", func(ctx context.Context, _ *world) error {
			select {
			case <-ended:
				return nil
			case <-ctx.Done():
				given = true
				return ctx.Err()
			}
		})
		w.waiting = func(ctx context.Context, w *world) error { w.waiting = nil; return hangs(ctx, w) }
		w.die(0)
		w.passes(time.Second)
		w.locked(func() { w.nodes[2] = primary(2, 4) })
		w.passes(10 * time.Second)
		w.expects("lasts fail 0", "fence 0 epoch 2", "ask 1", "ask 2", "lasts candidate 1", "promote 1 after 3", "lasts quarantine 2")
		close(ended)
		w.passes(time.Second)
		if got := w.did(); given || !slices.Equal(got[:3], []string{"lasts fail 1 standby", "fence 0 epoch 3", "lasts candidate 2"}) {
			t.Errorf("the command was killed: %v, and then %q", given, got)
		}
	})
}

// TestLateActs checks that an act that ends after its epoch has no effect.
func TestLateActs(t *testing.T) {
	inWorld(t, func(w *world) {
		w.begins()
		late := make(chan struct{})
		w.on("promote 1 after 3", func(context.Context, *world) error { <-late; return nil })
		w.on("promote 2 after 3", hangs)
		w.die(0)
		w.passes(time.Second)
		w.die(1) // during its promotion
		w.passes(100 * time.Millisecond)
		close(late)
		w.passes(time.Second)
		got := w.did()
		if !slices.Contains(got, "lasts fail 1") || slices.ContainsFunc(got, func(line string) bool { return strings.HasPrefix(line, "lasts primary") }) {
			t.Errorf("got %q, want node 1 to fail, and no primary", got)
		}
	})
}

// TestCannotWrite checks that nothing is carried out while the council cannot write, and that the failover goes on once it can.
func TestCannotWrite(t *testing.T) {
	for _, kind := range []failover.Kind{failover.FailNode, failover.MakeCandidate, failover.MakePrimary} {
		t.Run(string(kind), func(t *testing.T) {
			inWorld(t, func(w *world) {
				w.begins()
				full := true
				w.council = func(_ context.Context, c failover.Command) error {
					if full && c.Kind == kind {
						return errBroken
					}
					return nil
				}
				w.die(0)
				w.passes(2 * time.Second)
				before := map[failover.Kind]int{failover.FailNode: 0, failover.MakeCandidate: 4, failover.MakePrimary: 6}[kind]
				w.expects(whole[:before]...)
				w.sup.post(func() { full = false })
				w.passes(5 * time.Second)
				w.expects(append(slices.Clone(whole[before:]), "follow 2 of 1")...)
			})
		})
	}
}

// TestRestart checks that pgherd goes on, after a restart, in the phase that lasts.
func TestRestart(t *testing.T) {
	for name, c := range map[string]struct {
		hangs string // the act that is under way when pgherd ends
		want  []string
	}{
		"during a fence":     {"fence 0 epoch 2", whole[1:]},
		"during a revoke":    {"revoke 1", whole[1:]},
		"during a promotion": {"promote 1 after 3", whole[5:]},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				w.begins()
				w.on(c.hangs, hangs)
				if c.hangs == "revoke 1" {
					w.on("revoke 2", hangs)
				}
				w.die(0)
				w.passes(time.Second)
				w.restart()
				w.on(c.hangs, nil)
				w.on("revoke 2", nil)
				time.Sleep(3 * time.Second) // nothing has been seen yet
				synctest.Wait()
				w.expects()
				w.passes(5 * time.Second)
				w.expects(append(slices.Clone(c.want), "follow 2 of 1")...)
			})
		})
	}
	t.Run("in a steady herd", func(t *testing.T) {
		inWorld(t, func(w *world) {
			w.begins()
			w.restart()
			w.passes(5 * time.Second)
			w.expects("lasts primary 0 timeline 3 asynchronous")
		})
	})
	t.Run("during a switchover", func(t *testing.T) {
		inWorld(t, func(w *world) {
			w.begins()
			next, err := failover.Apply(w.herd, failover.Command{Kind: failover.DrainTo, Epoch: w.herd.Epoch, Node: 1})
			if err != nil {
				t.Fatal(err)
			}
			w.herd = next
			w.restart()
			w.passes(5 * time.Second)
			w.expects("lasts undo", "lasts primary 0 timeline 3 asynchronous")
		})
	})
}

// TestFenceOfANodeThatIsGone checks that a fence needs only the node's number, because the configuration may no longer have the
// node.
func TestFenceOfANodeThatIsGone(t *testing.T) {
	inWorld(t, func(w *world) {
		w.begins()
		w.on("fence 0 epoch 2", breaks)
		w.die(0)
		w.passes(time.Second)
		w.did()
		w.locked(func() { delete(w.nodes, 0) })
		w.on("fence 0 epoch 2", nil)
		w.passes(5 * time.Second)
		w.expects(whole[1:]...)
	})
}

// TestSightsBeforeAPromotion checks that sights from before a node's promotion are ignored. Otherwise it would count as a primary
// in recovery.
func TestSightsBeforeAPromotion(t *testing.T) {
	inWorld(t, func(w *world) {
		w.begins()
		w.on("promote 1 after 3", func(_ context.Context, w *world) error { return nil })
		w.die(0)
		w.passes(time.Second)
		w.did()
		w.locked(func() {
			w.nodes[1] = standby(1, 0, 3)
			w.nodes[1].At = time.Now().Add(-2 * time.Second)
		})
		w.passes(10 * time.Second) // longer than a primary may be in recovery
		if got := w.did(); slices.Contains(got, "lasts fail 1") {
			t.Errorf("got %q, want node 1 not to fail by an old sight", got)
		}
		w.locked(func() { w.nodes[1].At = time.Time{} }) // the sight is new now
		w.passes(5 * time.Second)
		if got := w.did(); !slices.Contains(got, "lasts fail 1") {
			t.Errorf("got %q, want node 1 to fail by a new sight", got)
		}
	})
}

// TestFollowersDecideNothing checks that a member that does not lead applies what others decide, and carries nothing out but its own
// fence.
func TestFollowersDecideNothing(t *testing.T) {
	inWorld(t, func(w *world) {
		w.begins()
		w.locked(func() { w.follower = true })
		w.die(0)
		w.passes(2 * time.Second)
		w.expects()
		if err := w.Propose(context.Background(), failover.Command{Kind: failover.FailNode, Epoch: 1, Node: 0}); err != nil {
			t.Error(err)
		}
		w.passes(time.Second)
		w.expects("lasts fail 0", "fence 0 epoch 2")
		if w.view.Epoch != 2 || w.view.Primary() != nil {
			t.Errorf("the view is %+v, want no primary in epoch 2", w.view)
		}
	})
}

// TestOrders checks an operator's orders, including those that come while pgherd stops.
func TestOrders(t *testing.T) {
	inWorld(t, func(w *world) {
		w.begins()
		order := func(kind failover.Kind, node int) string {
			if err := w.sup.Order(context.Background(), failover.Command{Kind: kind, Node: node, By: "me"}); err != nil {
				return err.Error()
			}
			return ""
		}
		if why := order(failover.DetachNode, 2); why != "" {
			t.Error(why)
		}
		if why := order(failover.DetachNode, 0); !strings.Contains(why, "it is the primary") {
			t.Errorf("detaching the primary: got error %q", why)
		}
		if err := w.sup.Settle(context.Background()); err != nil {
			t.Error(err)
		}
		w.passes(2 * time.Second)
		w.expects("lasts detach 2 by me")
		w.sup.Close()
		if why := order(failover.AttachNode, 2); !strings.Contains(why, "stopping") {
			t.Errorf("an order while pgherd stops: got error %q", why)
		}
		w.start()
	})
}

// TestHold checks that no transaction begins on the primary while it is held, and that a failover ends that.
func TestHold(t *testing.T) {
	inWorld(t, func(w *world) {
		w.begins()
		wants := func(when string, draining bool) {
			t.Helper()
			w.locked(func() {
				if w.view.Draining != draining {
					t.Errorf("%s: draining is %v", when, w.view.Draining)
				}
			})
		}
		for _, hold := range []bool{true, false, true} {
			if err := w.sup.Hold(context.Background(), hold); err != nil {
				t.Fatal(err)
			}
			w.passes(time.Second)
			wants(map[bool]string{true: "held", false: "released"}[hold], hold)
		}
		w.die(0)
		w.passes(10 * time.Second)
		if w.herd.Epoch < 2 {
			t.Fatalf("there was no failover: epoch %d", w.herd.Epoch)
		}
		wants("after a failover", false)
	})
}

// TestSwitchover checks that a switchover is carried out in order, and that one that fails leaves the primary as it was, with the
// reason.
func TestSwitchover(t *testing.T) {
	for name, c := range map[string]struct {
		how  func(context.Context, *world) error
		err  string
		want []string
	}{
		"it succeeds": {func(_ context.Context, w *world) error { w.die(0); return nil }, "",
			[]string{"lasts drain 1 by me", "hand over 0 to 1", "lasts fail 0", "fence 0 epoch 2", "ask 1", "ask 2", "lasts candidate 1", "promote 1 after 3",
				"lasts primary 1 timeline 4 asynchronous", "follow 2 of 1"}},
		"it fails": {breaks, "node 0 is the primary still: the switchover to node 1 failed: broken", []string{"lasts drain 1 by me", "hand over 0 to 1", "lasts undo"}},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				w.begins()
				w.on("hand over 0 to 1", c.how)
				done := make(chan error, 1)
				go func() { done <- w.sup.Switchover(context.Background(), 1, "me") }()
				w.passes(5 * time.Second)
				if err := <-done; (err != nil) != (c.err != "") || err != nil && !strings.Contains(err.Error(), c.err) {
					t.Error(err)
				}
				w.expects(c.want...)
			})
		})
	}
}

// TestViewOf checks the View that sessions get of what was decided.
func TestViewOf(t *testing.T) {
	seen := []health.Seen{*primary(0, 3), *standby(1, 0, 3), *standby(2, 0, 3)}
	for name, c := range map[string]struct {
		herd    failover.Herd
		decided []failover.Node
		want    string
	}{
		"nothing has been decided": {failover.New(), nil, "standby waiting, standby waiting, standby waiting"},
		"all is well": {failover.Herd{Epoch: 1, Primary: 0, Former: failover.None}, []failover.Node{{Index: 0, Status: failover.Up}, {Index: 1, Status: failover.Suspect}, {Index: 2, Status: failover.Detached}},
			"primary up, standby up, standby down"},
		"a node without a decision": {failover.Herd{Epoch: 1, Primary: 0, Former: failover.None}, []failover.Node{{Index: 0, Status: failover.Up}}, "primary up, standby down, standby down"},
		"an election": {failover.Herd{Epoch: 2, Primary: failover.None, Former: 0}, []failover.Node{{Index: 0, Status: failover.Down}, {Index: 1, Status: failover.Up}, {Index: 2, Status: failover.Recovering}},
			"primary down, standby up, standby down"},
		"a false primary": {failover.Herd{Epoch: 2, Primary: 1, Former: failover.None}, []failover.Node{{Index: 0, Status: failover.Quarantined, Reason: "x"}, {Index: 1, Status: failover.Up, Reason: "y"}},
			"standby quarantine x, primary up, standby down"},
	} {
		var got []string
		for _, n := range viewOf(&c.herd, c.decided, seen).Nodes {
			got = append(got, strings.TrimSpace(n.Role.String()+" "+n.Status.String()+" "+n.Why))
		}
		if text := strings.Join(got, ", "); text != c.want {
			t.Errorf("%s: got %s, want %s", name, text, c.want)
		}
	}
	if v := viewOf(&failover.Herd{Epoch: 2, Primary: failover.None, Former: 0}, []failover.Node{{Index: 0, Status: failover.Down}}, seen); v.Primary() != nil || v.Nodes[1].Found != nodes.Standby {
		t.Errorf("the view of an election is %+v", v)
	}
}

// TestWaits checks that a wait that lasts is logged once, and that a wait that soon ends is not
// logged.
func TestWaits(t *testing.T) {
	var log strings.Builder
	now := time.Duration(0)
	s := &Supervisor{Uses: Uses{Log: slog.New(slog.NewTextHandler(&log, nil)), Clock: func() time.Duration { return now }}}
	for _, moment := range []struct {
		at    time.Duration
		waits string
		told  int
	}{
		{0, "first start: node 1 has not answered yet", 0},
		{time.Second, "", 0},
		{2 * time.Second, "node 0 has 4.1s left to come back", 0},
		{3 * time.Second, "node 0 has 3.1s left to come back", 0}, // the same wait
		{4 * time.Second, "node 0 has 2.1s left to come back", 1},
		{9 * time.Second, "node 0 has 1s left to come back", 1},
		{10 * time.Second, "too few standbys answer", 1},
		{12 * time.Second, "too few standbys answer", 2},
	} {
		now = moment.at
		s.say(moment.waits)
		if told := strings.Count(log.String(), "the herd waits"); told != moment.told {
			t.Errorf("after %v the log has %d waits, want %d", now, told, moment.told)
		}
	}
}
