package proxy

import (
	"context"
	"sync/atomic"
	"time"

	"pgherd/proxy/failover"
	"pgherd/proxy/nodes"
	"pgherd/proxy/recovery"
	"pgherd/proxy/scripts"
)

// Named limits of the commands that an administrator has configured.
const (
	mostCommands = 16               // that wait for those before them
	commandAgain = 10 * time.Second // after one that failed
)

// scripted runs failover_command and failback_command for nodes that are taken out and back, in
// their order, and knows the former primary, of which the herd's state tells no more once
// there is another.
type scripted struct {
	p      *Proxy
	former atomic.Int64
	queue  chan scripts.Change
	ctx    context.Context
	cancel context.CancelFunc
	ended  chan struct{}
}

func newScripted(p *Proxy, former int) *scripted {
	s := &scripted{p: p, queue: make(chan scripts.Change, mostCommands), ended: make(chan struct{})}
	s.former.Store(int64(former))
	s.ctx, s.cancel = context.WithCancel(context.Background())
	go s.serve()
	return s
}

func (s *scripted) close() {
	s.cancel()
	<-s.ended
}

// changed has the commands run that a change of the herd asks for, by the pgherd that leads. It does not block.
func (s *scripted) changed(before, next failover.Herd, leads bool) {
	if next.Former != failover.None {
		s.former.Store(int64(next.Former))
	}
	if !leads {
		return
	}
	for _, c := range scripts.Changes(before, next) {
		select {
		case s.queue <- c:
		default:
			s.p.log.Error("a command for a node is not run: too many wait", "node", c.Node)
		}
	}
}

func (s *scripted) serve() {
	defer close(s.ended)
	for {
		select {
		case c := <-s.queue:
			commands := &s.p.config.Load().Failover.Commands
			command, name := commands.Failover, "failover_command"
			if c.Back {
				command, name = commands.Failback, "failback_command"
			}
			primary := scripts.None
			if n := s.p.workers.Nodes().Primary(); n != nil {
				primary = n.Index
			}
			_ = s.run(s.ctx, name, command, commands.Timeout, s.subject(c.Node, primary))
		case <-s.ctx.Done():
			return
		}
	}
}

// subject is what a command about a node is told.
func (s *scripted) subject(node, primary int) scripts.Subject {
	former := int(s.former.Load())
	if former == scripts.None {
		former = primary
	}
	return scripts.Subject{Node: s.node(node), Primary: s.node(primary), Former: s.node(former)}
}

func (s *scripted) node(index int) scripts.Node {
	var of recovery.Node
	if index != scripts.None {
		of = dataOf(s.p.config.Load(), index)
	}
	return scripts.Node{Index: index, Host: of.Host, Port: of.Port, DataDirectory: of.DataDirectory}
}

// run runs a command, if there is one, and logs what came of it.
func (s *scripted) run(ctx context.Context, name, command string, limit time.Duration, about scripts.Subject) error {
	if command == "" {
		return nil
	}
	s.p.log.Info(name+" runs", "node", about.Node.Index, "primary", about.Primary.Index)
	output, err := scripts.Run(ctx, scripts.Expand(command, about), limit)
	if err != nil {
		s.p.log.Error(name+" failed", "node", about.Node.Index, "error", err)
		return err
	}
	s.p.log.Info(name+" is done", "node", about.Node.Index, "output", output)
	return nil
}

// Promote has failover_command promote a standby, or promotes it by SQL where there is none. One
// that failed may have promoted it all the same, and an administrator may do so meanwhile.
func (a acts) Promote(ctx context.Context, n *nodes.Node, after uint32, ran func()) (promoted failover.Promoted, sync string, err error) {
	commands := &a.p.config.Load().Failover.Commands
	if commands.Failover == "" {
		return a.Executor.Promote(ctx, n, after)
	}
	standby, err := a.Executor.InRecovery(ctx, n)
	if err != nil {
		return promoted, "", err
	}
	s := a.p.scripted
	var failed error
	if standby {
		failed = s.run(ctx, "failover_command", commands.Failover, commands.Timeout, s.subject(int(s.former.Load()), n.Index))
	}
	ran()
	promoted, sync, err = a.Executor.Promoted(ctx, n, after)
	if err != nil && failed != nil {
		err = failed
	}
	return promoted, sync, err
}

// Follow has follow_primary_command prepare a standby for another primary, if there is one, and
// makes the standby receive from it.
func (a acts) Follow(ctx context.Context, n, upstream *nodes.Node) error {
	commands := &a.p.config.Load().Failover.Commands
	s := a.p.scripted
	if err := s.run(ctx, "follow_primary_command", commands.FollowPrimary, commands.FollowsTimeout, s.subject(n.Index, upstream.Index)); err != nil {
		select { // the command is not run again and again without a rest
		case <-time.After(commandAgain):
		case <-ctx.Done():
		}
		return err
	}
	return a.Executor.Follow(ctx, n, upstream)
}

// Rejoin has a standby receive from its primary again.
func (a acts) Rejoin(ctx context.Context, n, upstream *nodes.Node) error {
	return a.Executor.Follow(ctx, n, upstream)
}
