package supervisor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgherd/proxy/failover"
	"pgherd/proxy/health"
)

// TestCouncilFailsOver: the leader alone acts, all members fence, and all apply the same commands.
func TestCouncilFailsOver(t *testing.T) {
	inCouncil(t, func(c *council) {
		c.begins()
		c.die(0)
		c.passes(5 * time.Second)
		c.wants("a: steady epoch 2 primary 1, b: steady epoch 2 primary 1, c: steady epoch 2 primary 1")
		log := c.did()
		for _, fence := range []string{"a fences 0 epoch 2", "b fences 0 epoch 2", "c fences 0 epoch 2", "a acts", "promote 1 after 3", "follow 2 of 1"} {
			if !slices.Contains(log, fence) {
				t.Errorf("%q is not in %q", fence, log)
			}
		}
		if slices.Contains(log, "b acts") || slices.Contains(log, "c acts") {
			t.Errorf("a member acts that does not lead: %q", log)
		}
		if n := c.needs; n["a"] != 2 || n["b"] != 2 || n["c"] != 2 {
			t.Errorf("members get a licence that have fenced %v, want epoch 2: one that is started again has to catch up first", n)
		}
		for _, m := range c.members {
			if len(m.results) != len(c.commands) || slices.ContainsFunc(m.results, func(err any) bool { return err != error(nil) }) {
				t.Errorf("member %s has applied %v of %q", m.name, m.results, c.commands)
			}
			if m.sup.Fenced() != 2 || m.sup.Epoch() != 2 {
				t.Errorf("member %s has fenced up to epoch %d of %d", m.name, m.sup.Fenced(), m.sup.Epoch())
			}
		}
	})
}

// TestCouncilWaitsForFences: nobody is promoted while a member may still write to the primary of before, whose fence takes long
// or which is cut off.
func TestCouncilWaitsForFences(t *testing.T) {
	for name, ends := range map[string]func(*council){
		"until it has fenced":       func(c *council) { c.on("b fences 0 epoch 2", nil); c.set(func() { c.of("b").cut = false }) },
		"until its licence is over": func(c *council) { c.set(func() { c.unlicensed["b"] = true }) },
	} {
		for _, cut := range []bool{false, true} {
			t.Run(fmt.Sprint(name, ", cut off: ", cut), func(t *testing.T) {
				inCouncil(t, func(c *council) {
					c.begins()
					c.on("b fences 0 epoch 2", func(context.Context, *world) error { return errBroken })
					c.set(func() { c.of("b").cut = cut })
					c.die(0)
					c.passes(10 * time.Second)
					if got := c.led(); !strings.HasPrefix(got, "a: electing epoch 2 primary -1") || slices.Contains(c.did(), "a acts") {
						t.Errorf("nobody has waited: %s", got)
					}
					ends(c)
					c.passes(3 * time.Second)
					if got := c.led(); !strings.HasPrefix(got, "a: steady epoch 2 primary 1") {
						t.Errorf("the failover does not go on: %s", got)
					}
				})
			})
		}
	}
}

// TestCouncilDoesNotWaitForAProposal: a member whose proposal gets no answer fences meanwhile, and says so.
func TestCouncilDoesNotWaitForAProposal(t *testing.T) {
	inCouncil(t, func(c *council) {
		c.begins()
		c.set(func() { c.of("b").stuck = true })
		ordered := make(chan error, 1)
		go func() {
			ordered <- c.of("b").sup.Order(context.Background(), failover.Command{Kind: failover.DetachNode, Node: 2, By: "me"})
		}()
		synctest.Wait()
		c.die(0)
		c.passes(proposeLimit / 2)
		if h, err := c.of("a").sup.Herd(context.Background()); err != nil || h.Primary != 1 || len(ordered) > 0 {
			t.Errorf("before the proposal has ended the herd is %+v, error %v", h, err)
		}
		if err := <-ordered; !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the order ends with %v", err)
		}
	})
}

// TestCouncilWithoutLicences: with failover_when_quorum_exists off a failover waits for a silent member for a moment only.
func TestCouncilWithoutLicences(t *testing.T) {
	inCouncil(t, func(c *council) {
		for _, m := range c.members {
			m.sup.post(func() { m.sup.settings.Licensed = false })
		}
		c.begins()
		c.set(func() { c.of("c").cut = true })
		c.die(0)
		c.passes(fenceWait / 2)
		if got := c.led(); !strings.HasPrefix(got, "a: electing") {
			t.Errorf("it has not waited: %s", got)
		}
		c.passes(3 * time.Second)
		c.wants("a: steady epoch 2 primary 1, b: steady epoch 2 primary 1, c: steady epoch 1 primary 0")
	})
}

// TestCouncilLosesItsLeader: at each step of a failover the leader is cut off, and another member goes on from the phase.
func TestCouncilLosesItsLeader(t *testing.T) {
	for _, during := range []string{"a fences 0 epoch 2", "b fences 0 epoch 2", "revoke 1", "promote 1 after 3", "follow 2 of 1"} {
		t.Run(during, func(t *testing.T) {
			inCouncil(t, func(c *council) {
				c.begins()
				ended := false // by its leader, which gives it up
				c.on(during, func(ctx context.Context, w *world) error {
					<-ctx.Done()
					w.locked(func() { ended = true })
					return ctx.Err()
				})
				c.die(0)
				c.passes(150 * time.Millisecond)
				c.set(func() { c.of("a").cut = true })
				c.on(during, nil)
				c.leads("b")
				c.passes(2 * time.Second)
				c.locked(func() {
					if !ended {
						t.Error("the act goes on though who began it does not lead any more")
					}
				})
				elected := during == "promote 1 after 3" || during == "follow 2 of 1" // all members had fenced
				if slices.Contains(c.did(), "b acts") && !elected {
					t.Error("it was not waited for the licence of the leader that is cut off")
				}
				c.set(func() { c.unlicensed["a"] = true })
				c.passes(5 * time.Second)
				if got := c.led(); !strings.HasSuffix(got, "b: steady epoch 2 primary 1, c: steady epoch 2 primary 1") {
					t.Errorf("the failover does not go on: %s", got)
				}
				c.set(func() { c.of("a").cut = false })
				c.passes(2 * time.Second)
				c.wants("a: steady epoch 2 primary 1, b: steady epoch 2 primary 1, c: steady epoch 2 primary 1")
			})
		})
	}
}

// TestCouncilCatchesUp: a member that was away while another node became the primary has nothing of the one of before once it
// says that it is up to date.
func TestCouncilCatchesUp(t *testing.T) {
	for name, back := range map[string]func(*council){
		"by the log": func(c *council) { c.set(func() { c.of("c").cut = false }) },
		"by a snapshot": func(c *council) {
			h, err := c.of("a").sup.Herd(context.Background())
			if err == nil {
				err = c.of("c").sup.Restore(h)
			}
			if err != nil {
				c.t.Error(err)
			}
			c.set(func() { c.of("c").cut, c.of("c").results = false, slices.Clone(c.of("a").results) })
		},
	} {
		t.Run(name, func(t *testing.T) {
			inCouncil(t, func(c *council) {
				c.begins()
				c.set(func() { c.of("c").cut, c.unlicensed["c"] = true, true })
				c.die(0)
				c.passes(5 * time.Second)
				c.wants("a: steady epoch 2 primary 1, b: steady epoch 2 primary 1, c: steady epoch 1 primary 0")
				c.on("c fences 0 epoch 2", hangs)
				c.did()
				back(c)
				c.passes(time.Second)
				c.wants("a: steady epoch 2 primary 1, b: steady epoch 2 primary 1, c: steady epoch 2 primary 1")
				if m := c.of("c").sup; !slices.Contains(c.did(), "c fences 0 epoch 2") || m.Fenced() >= m.Epoch() {
					t.Errorf("it has fenced up to epoch %d of %d, though servers of the former primary are open", m.Fenced(), m.Epoch())
				}
			})
		})
	}
}

// TestCouncilVotes: the primary is replaced when most members find it dead, by sights that are new.
func TestCouncilVotes(t *testing.T) {
	for name, test := range map[string]struct {
		by      []string // who finds node 0 dead
		silent  []string // who tells nothing from then on
		replace bool
	}{
		"one":                            {by: []string{"a"}},
		"one that does not lead":         {by: []string{"c"}},
		"two":                            {by: []string{"a", "b"}, replace: true},
		"two that do not lead":           {by: []string{"b", "c"}, replace: true},
		"one, the other is not heard of": {by: []string{"a", "b"}, silent: []string{"b"}},
	} {
		t.Run(name, func(t *testing.T) {
			inCouncil(t, func(c *council) {
				c.begins()
				for _, m := range test.silent {
					c.set(func() { c.of(m).cut = true })
				}
				for _, m := range test.by {
					c.of(m).sees = refusedTo(0)
				}
				c.passes(2 * time.Second)
				if got := c.led(); strings.HasPrefix(got, "a: steady epoch 1 primary 0") == test.replace {
					t.Error(got)
				}
			})
		})
	}
}

// TestReportsAge: a report is as old as it was told to be, and grows older; a member's report counts once it has applied what
// the leader has.
func TestReportsAge(t *testing.T) {
	now, looked := time.Minute, []int{}
	s := New(Uses{Log: slog.New(slog.DiscardHandler), Clock: func() time.Duration { return now }, Date: time.Now, Look: func(n int) { looked = append(looked, n) }}, herd(t))
	s.member, s.council, s.settings = "a", &Lone{}, Settings{Member: "a", Failover: failover.Settings{Members: []string{"a", "b", "c"}}}
	hear := func(member string, r Report) {
		s.Told(member, r)
		for len(s.mail) > 0 {
			(<-s.mail)()
		}
	}
	sights := map[int]failover.Sight{0: {Verdict: failover.Refused, Heard: time.Second, For: time.Hour, StreamingFor: time.Minute}}
	hear("b", Report{Sights: sights, Epoch: 2, Phase: failover.Electing})
	hear("c", Report{Sights: sights, Epoch: 1, Phase: failover.Steady})
	hear("d", Report{Sights: sights, Epoch: 2, Phase: failover.Electing})
	hear("a", Report{Sights: sights, Epoch: 2, Phase: failover.Electing})
	now += 3 * time.Second
	got := s.input().Sights
	v := got["b"][0]
	if v.Heard != time.Minute-time.Second || v.For != time.Hour+3*time.Second || v.StreamingFor != time.Minute+3*time.Second {
		t.Errorf("after 3 s the sight is %+v", v)
	}
	if len(looked) != 0 {
		t.Errorf("nodes %v are probed, though none was seen yet", looked)
	}
	s.seen = []health.Seen{*primary(0, 3), *standby(1, 0, 3), *standby(2, 0, 3)}
	s.seen[2].Reachable = false
	sights[2], sights[1] = sights[0], failover.Sight{Verdict: failover.Full}
	if hear("b", Report{Sights: sights}); !slices.Equal(looked, []int{0}) {
		t.Errorf("nodes %v are probed, want 0, which only another member finds lost", looked)
	}
	if len(got) != 2 || len(got["a"]) != 0 {
		t.Errorf("the sights that count are %v, want those of b and its own", got)
	}
}

// TestMet: a follower knows that the primary has answered, for when it leads; one that has just started does not.
func TestMet(t *testing.T) {
	now := time.Minute
	s := New(Uses{Log: slog.New(slog.DiscardHandler), Clock: func() time.Duration { return now }, Date: time.Now, Look: func(int) {}}, herd(t))
	s.member, s.council, s.settings = "a", &Lone{}, Settings{Member: "a", Failover: failover.Settings{Members: []string{"a", "b", "c"}}}
	s.herd.Primary = 0
	s.seen = []health.Seen{*standby(1, 0, 3)}
	if !s.input().Unmet {
		t.Error("the primary is met, though nobody has seen it")
	}
	lead := primary(0, 3)
	lead.At = time.Now()
	s.seen = []health.Seen{*lead}
	s.tell() // as a follower does
	s.seen = nil
	if s.input().Unmet {
		t.Error("the primary that was seen is not met")
	}
}
