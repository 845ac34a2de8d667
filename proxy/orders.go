package proxy

import (
	"context"

	"pgherd/proxy/failover"
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
	return p.order(ctx, failover.Command{Kind: failover.MakeCandidate, Node: node, Reason: "an operator wants it promoted", By: by})
}

// order has a command of an operator's made to last.
func (p *Proxy) order(ctx context.Context, c failover.Command) error {
	if p.supervisor == nil {
		return &wire.Fault{Severity: "ERROR", Code: "55000", Message: "pgherd does not decide about nodes",
			Hint: "It does where failover_mode is internal, there are two nodes or more, and sr_check_user has the rights; the log says what is missing."}
	}
	if n := p.workers.Nodes().Node(c.Node); n == nil {
		return &wire.Fault{Severity: "ERROR", Code: "42704", Message: "there is no such node", Hint: "SHOW POOL_NODES lists them."}
	}
	if err := p.supervisor.Order(ctx, c); err != nil {
		return &wire.Fault{Severity: "ERROR", Code: "55000", Message: err.Error()}
	}
	return nil
}
