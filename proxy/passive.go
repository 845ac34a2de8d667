package proxy

import (
	"context"
	"errors"

	"pgherd/proxy/config"
	"pgherd/proxy/failover"
	"pgherd/proxy/nodes"
	"pgherd/proxy/wire"
)

// passive are the acts where pgherd changes nothing on nodes by SQL: it closes servers, and
// others do the rest.
type passive struct{ acts }

var errPassive = errors.New("pgherd changes nothing on nodes in this failover_mode")

func (passive) Revoke(context.Context, *nodes.Node) (a failover.Answer, err error) {
	return a, errPassive
}

func (passive) Rejoin(context.Context, *nodes.Node, *nodes.Node) error { return errPassive }

func (passive) HandOver(context.Context, *nodes.Node, *nodes.Node) (bool, error) {
	return false, errPassive
}

// observing are those where Patroni promotes.
type observing struct{ passive }

func (observing) Promote(context.Context, *nodes.Node, uint32, func()) (is failover.Promoted, sync string, err error) {
	return is, "", errPassive
}

func (observing) Follow(context.Context, *nodes.Node, *nodes.Node) error { return errPassive }

// scripting are those where failover_command promotes.
type scripting struct{ passive }

// Follow has follow_primary_command make a standby receive from another primary, once.
func (s scripting) Follow(ctx context.Context, n, upstream *nodes.Node) error {
	commands := &s.p.config.Load().Failover.Commands
	runs := s.p.scripted
	if err := runs.run(ctx, "follow_primary_command", commands.FollowPrimary, commands.FollowsTimeout, runs.subject(n.Index, upstream.Index)); err != nil {
		return err
	}
	return s.Executor.Followed(ctx, n, upstream)
}

// leftToOthers refuses an order that pgherd does not carry out in this failover_mode; nil: it does.
// For Patroni there is another tool instead.
func (p *Proxy) leftToOthers(c *config.Config, instead string) error {
	refused := &wire.Fault{Severity: "ERROR", Code: "55000"}
	switch mode := c.Failover.Mode; {
	case mode == config.ModePatroni:
		refused.Message, refused.Hint = "Patroni decides who is primary, as failover_mode is patroni", "Use "+instead+"."
	case mode == config.ModeScript && instead == switchoverTool:
		refused.Message, refused.Hint = "pgherd stops no primary, as failover_mode is script", "Stop it yourself: failover_command then promotes a standby."
	default:
		return nil
	}
	return refused
}

// Patroni's tools for what is an order to pgherd elsewhere.
const (
	promoteTool    = "patronictl failover"
	switchoverTool = "patronictl switchover"
	recoverTool    = "patronictl reinit"
)
