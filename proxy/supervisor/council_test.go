package supervisor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
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
	stuck   bool  // what it proposes gets no answer
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
	m.mu.Lock()
	stuck := m.stuck
	m.mu.Unlock()
	if stuck {
		<-ctx.Done()
		return ctx.Err()
	}
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
