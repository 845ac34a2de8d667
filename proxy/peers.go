package proxy

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strconv"
	"sync/atomic"
	"time"

	"pgherd/proxy/config"
	"pgherd/proxy/failover"
	"pgherd/proxy/status"
	"pgherd/proxy/supervisor"
	"pgherd/proxy/worker"
)

// Peers are the pgherds with which this one decides.
type Peers struct {
	Self    int   // the number of this one
	Members []int // the numbers of all that serve clients, this one among them
	// Join opens their council, which calls the Machine's methods from then on, and possibly before Join returns. Whoever
	// has opened it closes it, once the proxy has ended.
	Join func(*Machine) (Council, error)
}

// Council has all peers apply the same commands in the same order. What they mean is not its business.
type Council interface {
	// Propose returns once the command is applied here: Machine.Apply was called, and has not refused it.
	Propose(ctx context.Context, command []byte) error
	// Leads says that this pgherd decides. It does not wait for Machine.Apply. Machine.Turned may be called when that changes.
	Leads() bool
	// Tell has the leader's Machine.Sight called with what this pgherd sees. It does not block; the latest counts. fenced is
	// the latest epoch whose former primaries this pgherd cannot write to any more.
	Tell(told []byte, fenced uint64)
	// Unlicensed says, on the leader, that a peer holds no licence to write any more that it was given before it had fenced
	// this epoch. From now on it is given none before it has.
	Unlicensed(member int, epoch uint64) bool
	Cluster
}

// Cluster is what operators see of the peers, and do with them.
type Cluster interface {
	Status() *status.Watchdog
	// Lead has a peer lead, and returns once it was asked to.
	Lead(peer int) error
}

// Machine is what a council makes decisions of: the herd. One goroutine at a time calls Apply, Snapshot and Restore, any the
// others.
type Machine struct {
	herd       failover.Herd          // as it was decided; of who calls Apply
	epoch      atomic.Uint64          // the herd's, for any goroutine
	supervisor *supervisor.Supervisor // nil: pgherd decides nothing about nodes
	workers    *worker.Workers
	licensed   bool // licences count
	log        *slog.Logger
}

// Witness is the Machine of one that decides with others, and serves no client.
func Witness(log *slog.Logger) *Machine { return &Machine{herd: failover.New(), log: log} }

// Log is the proxy's, which keeps events for SHOW POOL_EVENTS.
func (m *Machine) Log() *slog.Logger { return m.log }

// Apply takes up what was decided. It refuses the same on all peers.
func (m *Machine) Apply(command []byte) error {
	var c failover.Command
	if err := json.Unmarshal(command, &c); err != nil {
		return fmt.Errorf("read a command about the herd: %w", err)
	}
	next, err := failover.Apply(m.herd, c)
	if err != nil {
		return err
	}
	m.keep(next)
	if m.supervisor != nil {
		_ = m.supervisor.Apply(c) // it fails only where pgherd is stopping; what was decided is kept all the same
	}
	return nil
}

func (m *Machine) keep(h failover.Herd) {
	m.herd = h
	m.epoch.Store(h.Epoch)
}

// Snapshot is the herd, from which Restore goes on.
func (m *Machine) Snapshot() []byte {
	text, err := json.Marshal(m.herd)
	if err != nil {
		panic(fmt.Sprint("write the herd: ", err)) // it is plain values
	}
	return text
}

// Restore takes up a herd that another peer has, or this one had. A majority has decided it, so it is not in doubt.
func (m *Machine) Restore(state []byte) error {
	h, err := failover.Load(state)
	if err != nil {
		return err
	}
	h.Doubt = false
	m.keep(h)
	if m.supervisor != nil {
		_ = m.supervisor.Restore(h) // as in Apply
	}
	return nil
}

// Sight takes what another peer has told. One that cannot be read is of another version, and counts for nothing.
func (m *Machine) Sight(member string, told []byte) {
	var r supervisor.Report
	if m.supervisor != nil && json.Unmarshal(told, &r) == nil {
		m.supervisor.Told(member, r)
	}
}

// Epoch is the herd's, as far as this pgherd has applied what was decided. Who gives licences asks for it when it is elected.
func (m *Machine) Epoch() uint64 {
	if m.supervisor == nil {
		return m.epoch.Load() // a witness that leads gives no licence to who has not fenced
	}
	return m.supervisor.Epoch()
}

// Turned has pgherd look at once whether it leads.
func (m *Machine) Turned() {
	if m.supervisor != nil {
		m.supervisor.Turned()
	}
}

// License lets clients write to the primary until then, by CLOCK_BOOTTIME. Before the first call they may not.
func (m *Machine) License(until time.Duration) {
	if m.licensed {
		m.workers.License(until)
	}
}

// joined is a Council as a supervisor knows it.
type joined struct{ Council }

func (j joined) Propose(ctx context.Context, c failover.Command) error {
	text, err := json.Marshal(c)
	if err != nil {
		return fmt.Errorf("write a command about the herd: %w", err)
	}
	return j.Council.Propose(ctx, text)
}

func (j joined) Tell(r supervisor.Report) {
	if text, err := json.Marshal(r); err == nil { // it is plain values
		j.Council.Tell(text, r.Fenced)
	}
}

func (j joined) Unlicensed(member string, epoch uint64) bool {
	number, err := strconv.Atoi(member)
	return err == nil && j.Council.Unlicensed(number, epoch)
}

// decide begins to decide about nodes: with the peers, whose log has the herd, or alone, with the file.
func (p *Proxy) decide(c *config.Config, herd failover.Herd) error {
	settings := p.supervisorSettings(c)
	if p.peers == nil {
		lone := supervisor.NewLone(stateFile(c), herd, p.supervisor.Apply)
		return p.supervisor.Start(func() (supervisor.Council, error) { return lone, nil }, settings)
	}
	if settings.Licensed {
		p.workers.License(0)
	}
	return p.supervisor.Start(func() (supervisor.Council, error) {
		council, err := p.join(&Machine{herd: herd, supervisor: p.supervisor, workers: p.workers, licensed: settings.Licensed, log: p.log})
		return joined{council}, err
	}, settings)
}

// onlyJoin has this pgherd be one of several that decide nothing about nodes.
func (p *Proxy) onlyJoin() error {
	if p.peers == nil {
		return nil
	}
	_, err := p.join(Witness(p.log))
	return err
}

func (p *Proxy) join(m *Machine) (council Council, err error) {
	if council, err = p.peers.Join(m); err == nil {
		p.cluster = council
	}
	return council, err
}

// nameOf is what a peer is called in decisions.
func nameOf(peer int) string { return strconv.Itoa(peer) }

// askMembers fills in who decides, and how they agree.
func (p *Proxy) askMembers(c *config.Config, s *supervisor.Settings) {
	f := &s.Failover
	f.Consensus = true
	if p.peers == nil {
		s.Member, f.Members = member, []string{member}
		return
	}
	votes := &c.Failover.Votes
	s.Member, s.Licensed = nameOf(p.peers.Self), votes.Quorum
	for _, n := range p.peers.Members {
		f.Members = append(f.Members, nameOf(n))
	}
	f.Consensus, f.HalfVotes, f.RepeatedVotes = votes.Consensus, votes.Half, votes.Repeated
}
