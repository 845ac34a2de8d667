package supervisor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgherd/proxy/failover"
	"pgherd/proxy/health"
	"pgherd/proxy/nodes"
)

// council is three supervisors that decide together by one log in memory. They see the same nodes, and their acts are recorded
// in one list, each with the name of who carries it out.
type council struct {
	*world
	members []*seat

	mu         sync.Mutex // guards what follows, and the seats
	leader     string
	commands   []string // the log
	more       chan struct{}
	unlicensed map[string]bool
	needs      map[string]uint64 // by member: the epoch that it has to have fenced to get a licence
}

// seat is a member's place in the council.
type seat struct {
	*council
	name    string
	sup     *Supervisor
	cut     bool  // from all others
	results []any // of the commands that it has applied
	latest  []byte
	sees    func(*health.Seen) // changes what this member alone sees; nil: nothing
}

var errCut = errors.New("no leader is known")

// inCouncil runs a test with members a, which leads, b and c.
func inCouncil(t *testing.T, test func(c *council)) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, began: time.Now(), nodes: map[int]*health.Seen{0: primary(0, 3), 1: standby(1, 0, 3), 2: standby(2, 0, 3)},
			does: map[string]func(context.Context, *world) error{}, position: map[int]uint64{1: 900, 2: 800}}
		c := &council{world: w, leader: "a", more: make(chan struct{}), unlicensed: map[string]bool{}, needs: map[string]uint64{}}
		done := make(chan struct{})
		for _, name := range []string{"a", "b", "c"} {
			c.members = append(c.members, c.seat(name))
		}
		for _, m := range c.members {
			m.start(done)
		}
		defer func() {
			close(done)
			for _, m := range c.members {
				m.sup.Close()
			}
		}()
		test(c)
	})
}

func (c *council) seat(name string) *seat {
	m := &seat{council: c, name: name}
	m.sup = New(Uses{Log: slog.New(slog.DiscardHandler), Clock: func() time.Duration { return time.Since(c.began) }, Date: time.Now, Acts: deeds{c.world, name},
		Publish: func(*nodes.View) {}, Look: func(int) {}}, failover.New())
	return m
}

func (m *seat) start(done chan struct{}) {
	err := m.sup.Start(func() (Council, error) { go m.applies(done); return m, nil }, Settings{Member: m.name, Licensed: true, Failover: failover.Settings{
		Members: []string{"a", "b", "c"}, OnError: true, AutoFailback: true,
		Nodes: []failover.NodeSettings{{Index: 0}, {Index: 1}, {Index: 2}}, Votes: failover.Votes{Consensus: true}}})
	if err != nil {
		m.t.Fatal(err)
	}
}

// set changes something that the seats look at.
func (c *council) set(change func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change()
	close(c.more)
	c.more = make(chan struct{})
}

// of is the seat of a member.
func (c *council) of(name string) *seat { return c.members[strings.Index("abc", name)] }

// applies has the member apply what is in the log, in its order, while it is not cut off.
func (m *seat) applies(done chan struct{}) {
	for {
		m.mu.Lock()
		more, next := m.more, ""
		if n := len(m.results); n < len(m.commands) && !m.cut {
			next = m.commands[n]
		}
		m.mu.Unlock()
		if next == "" {
			select {
			case <-more:
				continue
			case <-done:
				return
			}
		}
		var command failover.Command
		if err := json.Unmarshal([]byte(next), &command); err != nil {
			panic(err)
		}
		err := m.sup.Apply(command)
		m.set(func() { m.results = append(m.results, err) })
	}
}

func (m *seat) Leads() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.leader == m.name && !m.cut
}

func (m *seat) Propose(ctx context.Context, command failover.Command) error {
	text, err := json.Marshal(command)
	if err != nil {
		return err
	}
	place := -1
	m.set(func() {
		if !m.cut && !m.of(m.leader).cut {
			place, m.commands = len(m.commands), append(m.commands, string(text))
		}
	})
	if place < 0 {
		return errCut
	}
	for {
		m.mu.Lock()
		more, done := m.more, len(m.results) > place
		if done {
			err, _ = m.results[place].(error)
		}
		m.mu.Unlock()
		if done {
			return err
		}
		select {
		case <-more:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (m *seat) Tell(r Report) {
	told, err := json.Marshal(r)
	if err != nil {
		panic(err)
	}
	m.set(func() { m.latest = told })
	m.mu.Lock()
	to, cut := m.of(m.leader), m.cut
	m.mu.Unlock()
	if !cut {
		go to.hears(m.name, told)
	}
}

func (m *seat) hears(from string, told []byte) {
	var r Report
	if err := json.Unmarshal(told, &r); err != nil {
		panic(err)
	}
	m.sup.Told(from, r)
}

func (m *seat) Unlicensed(member string, epoch uint64) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.needs[member] = max(m.needs[member], epoch)
	return m.unlicensed[member]
}

// deeds are the acts of one member.
type deeds struct {
	*world
	of string
}

func (d deeds) Fence(ctx context.Context, node int, epoch uint64) error {
	return d.act(ctx, "%s fences %d epoch %d", d.of, node, epoch)
}

func (d deeds) Revoke(ctx context.Context, n *nodes.Node) (failover.Answer, error) {
	d.note("%s acts", d.of)
	return d.world.Revoke(ctx, n)
}

func (d deeds) Promote(ctx context.Context, n *nodes.Node, after uint32, ran func()) (failover.Promoted, string, error) {
	d.note("%s acts", d.of)
	return d.world.Promote(ctx, n, after, ran)
}

// passes lets time pass, in which all members see the nodes.
func (c *council) passes(d time.Duration) {
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(tick) {
		for _, m := range c.members {
			seen := c.seen()
			for i := range seen {
				if m.sees != nil {
					m.sees(&seen[i])
				}
			}
			m.sup.Saw(seen)
		}
		synctest.Wait()
	}
	synctest.Wait()
}

// led is who is the primary, as each member has it.
func (c *council) led() string {
	var all []string
	for _, m := range c.members {
		h, err := m.sup.Herd(context.Background())
		if err != nil {
			c.t.Fatal(err)
		}
		all = append(all, fmt.Sprintf("%s: %s epoch %d primary %d", m.name, h.Phase, h.Epoch, h.Primary))
	}
	return strings.Join(all, ", ")
}

// begins makes the herd steady.
func (c *council) begins() {
	c.t.Helper()
	c.passes(2 * time.Second)
	c.wants("a: steady epoch 1 primary 0, b: steady epoch 1 primary 0, c: steady epoch 1 primary 0")
	c.did()
}

func (c *council) wants(led string) {
	c.t.Helper()
	if got := c.led(); got != led {
		c.t.Errorf("got  %s\nwant %s", got, led)
	}
}

// leads makes another member the leader, to which all tell what they have told last.
func (c *council) leads(name string) {
	c.set(func() { c.leader = name })
	for _, m := range c.members {
		if !m.cut {
			c.of(name).hears(m.name, m.latest)
		}
		m.sup.Turned()
	}
}

// refusedTo makes a member alone see that a node refuses.
func refusedTo(node int) func(*health.Seen) {
	since := time.Now()
	return func(s *health.Seen) {
		if s.Index == node {
			s.Reachable, s.Course = false, health.Course{Verdict: failover.Refused, Times: 2, Since: since, Known: time.Now()}
		}
	}
}

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
