package proxy

import (
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
	"time"

	"pgherd/proxy/config"
	"pgherd/proxy/failover"
	"pgherd/proxy/nodes"
	"pgherd/proxy/status"
	"pgherd/proxy/supervisor"
	"pgherd/proxy/worker"
)

// commandOf is a command as a council gets it.
func commandOf(t *testing.T, c failover.Command) []byte {
	t.Helper()
	text, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// leading are commands that make node 0 the primary, and have it fail.
var leading = []failover.Command{
	{Kind: failover.MakePrimary, Node: 0, Timeline: 3, System: 1<<64 - 1, Sync: &failover.SyncSet{K: 1, Names: []string{"s1"}, Nodes: []int{1}}},
	{Kind: failover.MarkUp, Epoch: 1, Node: 1},
	{Kind: failover.FailNode, Epoch: 1, Node: 0, Reason: "a reason"},
}

// TestWitnessEpoch has a witness know the epoch of what was decided: when it leads, it gives licences by it.
func TestWitnessEpoch(t *testing.T) {
	m, other := Witness(slog.New(slog.DiscardHandler)), Witness(slog.New(slog.DiscardHandler))
	for _, c := range leading {
		if err := m.Apply(commandOf(t, c)); err != nil {
			t.Fatal(err)
		}
	}
	if err := other.Restore(m.Snapshot()); err != nil {
		t.Fatal(err)
	}
	if m.Epoch() != m.herd.Epoch || m.Epoch() == 0 || other.Epoch() != m.Epoch() {
		t.Errorf("the epochs are %d and %d, the herd's is %d", m.Epoch(), other.Epoch(), m.herd.Epoch)
	}
}

// TestMachinesAgree checks that a machine that takes up a snapshot is as one that has applied the commands, and that both refuse
// alike what comes then. A herd that was decided by a majority is not in doubt.
func TestMachinesAgree(t *testing.T) {
	one, other := &Machine{herd: failover.New()}, &Machine{herd: failover.New()}
	for _, c := range leading {
		if err := one.Apply(commandOf(t, c)); err != nil {
			t.Fatal(err)
		}
	}
	if err := other.Restore(one.Snapshot()); err != nil {
		t.Fatal(err)
	}
	if a, b := string(one.Snapshot()), string(other.Snapshot()); a != b || !strings.Contains(a, "electing") || strings.Contains(a, "doubt") {
		t.Errorf("the herds are\n%s\n%s", a, b)
	}
	for _, bad := range [][]byte{commandOf(t, leading[2]), []byte("{"), nil} {
		a, b := one.Apply(bad), other.Apply(bad)
		if a == nil || b == nil || a.Error() != b.Error() {
			t.Errorf("%s: got errors %v and %v", bad, a, b)
		}
	}
	if err := other.Restore([]byte("{")); err == nil || string(other.Snapshot()) != string(one.Snapshot()) {
		t.Errorf("a snapshot that is none: error %v, herd %s", err, other.Snapshot())
	}
	one.Sight("1", []byte("{"))
}

// peer is a pgherd without clients and nodes, in a council that it is alone in.
type peer struct {
	*Proxy
	machine *Machine
	told    chan uint64 // fenced, with each report
	asked   []int       // about their licences
}

func (p *peer) Leads() bool { return true }

func (p *peer) Propose(_ context.Context, command []byte) error { return p.machine.Apply(command) }

func (p *peer) Tell(_ []byte, fenced uint64) {
	select {
	case p.told <- fenced:
	default:
	}
}

func (p *peer) Unlicensed(member int, _ uint64) bool { p.asked = append(p.asked, member); return true }

func (p *peer) Status() *status.Watchdog { return &status.Watchdog{Self: 1} }

func (p *peer) Lead(int) error { return nil }

// Acts of a supervisor, none of which is carried out.
type noActs struct{ supervisor.Acts }

// TestPeersJoin checks that a council that replays what it has while it is opened is waited for, and that orders go through it.
func TestPeersJoin(t *testing.T) {
	p := &peer{Proxy: &Proxy{log: slog.New(slog.DiscardHandler)}, told: make(chan uint64, 64)}
	p.peers = &Peers{Self: 1, Members: []int{0, 1, 2}, Join: func(m *Machine) (Council, error) {
		p.machine = m
		had := &Machine{herd: failover.New()}
		for _, c := range leading[:1] {
			if err := had.Apply(commandOf(t, c)); err != nil {
				return nil, err
			}
		}
		if err := m.Restore(had.Snapshot()); err != nil {
			return nil, err
		}
		return p, m.Apply(commandOf(t, leading[1]))
	}}
	env := &worker.Environment{Now: time.Now, BootTime: boottime}
	p.workers = worker.NewWorkers(1, env, &worker.Settings{}, &nodes.View{})
	p.supervisor = supervisor.New(supervisor.Uses{Log: p.log, Clock: boottime, Date: time.Now, Acts: noActs{}, Publish: func(*nodes.View) {}, Look: func(int) {}}, failover.New())
	c := &config.Config{}
	c.Failover.Votes.Quorum = true
	if err := p.decide(c, failover.New()); err != nil {
		t.Fatal(err)
	}
	defer p.supervisor.Close()
	if err := p.supervisor.Order(t.Context(), failover.Command{Kind: failover.DetachNode, Node: 1, By: "me"}); err != nil {
		t.Fatal(err)
	}
	if h, err := p.supervisor.Herd(t.Context()); err != nil || h.Epoch != 1 || len(h.Nodes) != 2 || h.Nodes[1].Status != failover.Detached {
		t.Errorf("the herd is %+v, error %v", h, err)
	}
	if herd := string(p.machine.Snapshot()); !strings.Contains(herd, "detached") || p.machine.Epoch() != 1 {
		t.Errorf("epoch %d, herd %s", p.machine.Epoch(), herd)
	}
	if j := (joined{p}); !j.Unlicensed("2", 1) || j.Unlicensed("x", 1) || len(p.asked) != 1 || p.asked[0] != 2 {
		t.Errorf("asked about the licences of %v, want 2", p.asked)
	}
	<-p.told
}

// TestMembersOf checks who decides, and how they agree, alone and with peers.
func TestMembersOf(t *testing.T) {
	c := &config.Config{}
	c.Failover.Votes = config.FailoverVotes{Quorum: true, Half: true, Repeated: true}
	var alone, among supervisor.Settings
	new(Proxy).askMembers(c, &alone)
	(&Proxy{peers: &Peers{Self: 2, Members: []int{0, 2}}}).askMembers(c, &among)
	if f := alone.Failover; alone.Member != member || len(f.Members) != 1 || !f.Consensus || f.HalfVotes || alone.Licensed {
		t.Errorf("alone: %+v", alone)
	}
	if f := among.Failover; among.Member != "2" || strings.Join(f.Members, " ") != "0 2" || f.Consensus || !f.HalfVotes || !f.RepeatedVotes || !among.Licensed {
		t.Errorf("with peers: %+v", among)
	}
}
