package proxy

import (
	"context"
	"fmt"
	"strings"
	"time"

	"pgherd/proxy/config"
	"pgherd/proxy/executor"
	"pgherd/proxy/failover"
	"pgherd/proxy/nodes"
	"pgherd/proxy/nodesql"
	"pgherd/proxy/recovery"
	"pgherd/proxy/switchover"
	"pgherd/proxy/wire"
)

// Attach lets a node come back into use once it streams from the primary.
func (p *Proxy) Attach(ctx context.Context, node int, by string) error {
	return p.order(ctx, failover.Command{Kind: failover.AttachNode, Node: node, Reason: "an operator has attached it", By: by})
}

// Detach takes a standby out of use.
func (p *Proxy) Detach(ctx context.Context, node int, by string) error {
	return p.order(ctx, failover.Command{Kind: failover.DetachNode, Node: node, Reason: "an operator has detached it", By: by})
}

// Promote has a standby promoted while there is no primary.
func (p *Proxy) Promote(ctx context.Context, node int, by string) error {
	if err := p.leftToOthers(p.config.Load(), promoteTool); err != nil {
		return err
	}
	return p.order(ctx, failover.Command{Kind: failover.MakeCandidate, Node: node, Reason: "an operator wants it promoted", By: by})
}

// Switchover makes a standby the primary.
func (p *Proxy) Switchover(ctx context.Context, node int, by string) error {
	c := p.config.Load()
	if err := p.leftToOthers(c, switchoverTool); err != nil {
		return err
	}
	view := p.workers.Nodes()
	primary, heir := view.Primary(), view.Node(node)
	if p.supervisor == nil || primary == nil || heir == nil || heir == primary {
		return p.order(ctx, failover.Command{Kind: failover.DrainTo, Node: node, By: by, Reason: "an operator wants a switchover"})
	}
	s := switchover.Switchover{Log: p.log, Acts: executor.New(p.accessOf(c)), Supervisor: p.supervisor, LeaveAlone: c.Failover.Commands.FollowPrimary != ""}
	if err := s.Run(ctx, view, primary, heir, by); err != nil {
		return &wire.Fault{Severity: "ERROR", Code: "55000", Message: err.Error()}
	}
	return nil
}

// order has a command of an operator's made to last.
func (p *Proxy) order(ctx context.Context, c failover.Command) error {
	if p.supervisor == nil {
		return &wire.Fault{Severity: "ERROR", Code: "55000", Message: "pgherd does not decide about nodes",
			Hint: "It does unless failover_mode is off, where there are two nodes or more, and sr_check_user has the rights; the log says what is missing."}
	}
	if n := p.workers.Nodes().Node(c.Node); n == nil {
		return &wire.Fault{Severity: "ERROR", Code: "42704", Message: "there is no such node", Hint: "SHOW POOL_NODES lists them."}
	}
	if err := p.supervisor.Order(ctx, c); err != nil {
		_, why, _ := strings.Cut(err.Error(), ": ")
		return &wire.Fault{Severity: "ERROR", Code: "55000", Message: fmt.Sprintf("cannot %s node %d: %s", c.Kind, c.Node, why)}
	}
	return nil
}

// Recover makes a node that is lost a standby again.
func (p *Proxy) Recover(ctx context.Context, node int, by string) error {
	if err := p.leftToOthers(p.config.Load(), recoverTool); err != nil {
		return err
	}
	c := p.config.Load()
	primary := p.workers.Nodes().Primary()
	if p.supervisor == nil || primary == nil || p.workers.Nodes().Node(node) == nil {
		return p.order(ctx, failover.Command{Kind: failover.AttachNode, Node: node, By: by, Reason: "to be recovered"})
	}
	plan := recovery.Plan{Target: dataOf(c, node), Primary: dataOf(c, primary.Index), Command: c.Recovery.Command, Second: c.Recovery.Second,
		HeldFor: min(c.Recovery.Timeout, c.Failover.Wait), Timeout: c.Recovery.Timeout}
	if err := p.recovery.Run(ctx, plan, by); err != nil {
		return &wire.Fault{Severity: "ERROR", Code: "55000", Message: err.Error()}
	}
	return nil
}

func dataOf(c *config.Config, index int) recovery.Node {
	for _, n := range c.Nodes {
		if n.Index == index {
			return recovery.Node{Node: nodes.Node{Index: n.Index, Host: n.Host, Port: n.Port}, DataDirectory: n.DataDirectory}
		}
	}
	return recovery.Node{}
}

// Leader has another pgherd lead.
func (p *Proxy) Leader(_ context.Context, peer int, _ string) error {
	if p.cluster == nil {
		return &wire.Fault{Severity: "ERROR", Code: "55000", Message: "this pgherd is alone, as use_watchdog is off"}
	}
	if err := p.cluster.Lead(peer); err != nil {
		return &wire.Fault{Severity: "ERROR", Code: "55000", Message: err.Error(), Hint: "SHOW WATCHDOG tells who leads: the leader alone can have another one lead."}
	}
	return nil
}

// recoveryActs are what a recovery needs done.
type recoveryActs struct{ p *Proxy }

// as runs SQL as recovery_user, with the configuration of now.
func (a recoveryActs) as() *executor.Executor {
	return executor.New(a.p.recoveryAccess(a.p.config.Load()))
}

func (p *Proxy) recoveryAccess(c *config.Config) nodesql.Access {
	access := p.accessOf(c)
	if c.Recovery.User != "" {
		access.User, access.Password = c.Recovery.User, p.password(c.Recovery.User, c.Recovery.Password)
	}
	access.Database = c.Recovery.Database
	return access
}

func (a recoveryActs) Run(ctx context.Context, n *nodes.Node, program string, arguments ...string) (string, error) {
	output, err := a.as().RunScript(ctx, n, program, arguments...)
	if err == nil {
		a.p.log.Info("recovery: "+program+" has ended", "node", n.Index, "output", ending(output))
	}
	return output, err
}

// endingLines are the last lines of a script's output that the log tells of.
const endingLines = 2

func ending(output string) string {
	lines := strings.Split(output, "\n")
	return strings.Join(lines[max(0, len(lines)-endingLines):], "; ")
}

func (a recoveryActs) Preflight(ctx context.Context, primary *recovery.Node, scripts ...string) ([]string, error) {
	return a.as().Preflight(ctx, &primary.Node, primary.DataDirectory, scripts...)
}

// releaseLimit is how long the supervisor may take to let transactions go on.
const releaseLimit = 10 * time.Second

func (a recoveryActs) Hold(ctx context.Context, primary *nodes.Node) (free func(), err error) {
	free = func() {
		limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), releaseLimit)
		defer cancel()
		_ = a.p.supervisor.Hold(limited, false) // it fails only where pgherd is stopping
	}
	if err = a.p.supervisor.Hold(ctx, true); err == nil {
		err = a.p.drained(ctx, primary.Index)
	}
	if err != nil {
		free()
	}
	return free, err
}

func (a recoveryActs) CopyProgress(ctx context.Context, n *nodes.Node) int {
	return a.as().CopyProgress(ctx, n)
}

// answerLimit is how long a node may take that is to be recovered, until it counts as stopped: a frozen one accepts
// connections, and never answers. The script finds that it runs.
const answerLimit = 5 * time.Second

func (a recoveryActs) Answers(ctx context.Context, node int) bool {
	ctx, cancel := context.WithTimeout(ctx, answerLimit)
	defer cancel()
	n := dataOf(a.p.config.Load(), node).Node
	conn, err := nodesql.Dial(ctx, a.p.accessOf(a.p.config.Load()), &n)
	if err == nil {
		conn.Close()
	}
	return err == nil || nodesql.Code(err) != ""
}

func (a recoveryActs) Attach(ctx context.Context, node int, by string) error {
	return a.p.Attach(ctx, node, by)
}

func (a recoveryActs) Up(node int) bool {
	n := a.p.workers.Nodes().Node(node)
	return n != nil && n.Status == nodes.Up
}
