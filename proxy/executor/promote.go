package executor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"pgherd/proxy/failover"
	"pgherd/proxy/nodes"
	"pgherd/proxy/nodesql"
)

// Promote promotes a standby, unless it is promoted already, and checks that it is out of
// recovery on a timeline newer than this one. sync is its synchronous_standby_names, as it
// has them.
func (e *Executor) Promote(ctx context.Context, n *nodes.Node, after uint32) (p failover.Promoted, sync string, err error) {
	return e.promote(ctx, n, after, true)
}

// Promoted is Promote for a standby that somebody else promotes: it waits for that.
func (e *Executor) Promoted(ctx context.Context, n *nodes.Node, after uint32) (p failover.Promoted, sync string, err error) {
	return e.promote(ctx, n, after, false)
}

// InRecovery says that a node is a standby.
func (e *Executor) InRecovery(ctx context.Context, n *nodes.Node) (is bool, err error) {
	err = e.on(ctx, n, "ask for the role of", revokeLimit, func(ctx context.Context, c *nodesql.Conn) error {
		row, err := c.Row(ctx, "SELECT pg_is_in_recovery()")
		is = err == nil && row[0] == "t"
		return err
	})
	return is, err
}

func (e *Executor) promote(ctx context.Context, n *nodes.Node, after uint32, begin bool) (p failover.Promoted, sync string, err error) {
	err = e.on(ctx, n, "promote", promoteLimit, func(ctx context.Context, c *nodesql.Conn) error {
		row, err := c.Row(ctx, "SELECT pg_is_in_recovery()")
		if err != nil {
			return err
		}
		if row[0] == "t" && begin {
			if err := c.Do(ctx, "SELECT pg_promote(wait => false)"); err != nil {
				return err
			}
		}
		if err := until(ctx, c, "SELECT NOT pg_is_in_recovery()"); err != nil {
			return err
		}
		p, sync, err = promoted(ctx, c)
		if err == nil && p.Timeline <= after {
			err = fmt.Errorf("it is on timeline %d, and not on a newer one than %d", p.Timeline, after)
		}
		p.Node = n.Index
		return err
	})
	return p, sync, err
}

func promoted(ctx context.Context, c *nodesql.Conn) (p failover.Promoted, sync string, err error) {
	row, err := c.Row(ctx, `SELECT (SELECT system_identifier FROM pg_control_system()),
 ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::bigint, current_setting('synchronous_standby_names')`)
	if err != nil {
		return p, "", err
	}
	_, err = fmt.Sscan(row[0]+" "+row[1], &p.System, &p.Timeline)
	return p, row[2], err
}

// Follow makes a standby receive from another node, and waits until it does. Where the
// standby uses a replication slot, the other node gets one of that name first.
func (e *Executor) Follow(ctx context.Context, n, upstream *nodes.Node) error {
	_, err := e.ComeOver(ctx, n, upstream)
	return err
}

// ComeOver is Follow, and tells the name of the slot that was made for it; "": none was.
func (e *Executor) ComeOver(ctx context.Context, n, upstream *nodes.Node) (slot string, err error) {
	err = e.on(ctx, n, "have the primary followed by", followLimit, func(ctx context.Context, c *nodesql.Conn) error {
		now, err := settings(ctx, c)
		if err != nil {
			return err
		}
		if now.slot != "" {
			made, err := e.ensureSlot(ctx, upstream, now.slot)
			if err != nil {
				return err
			}
			if made {
				slot = now.slot
			}
		}
		to := nodesql.ParseConninfo(now.conninfo).At(upstream.Host, upstream.Port).String()
		if to != now.conninfo {
			if err := change(ctx, c, "primary_conninfo", to); err != nil {
				return err
			}
		}
		return receives(ctx, c, upstream, fmt.Sprintf(" AND sender_host = %s AND sender_port = %d", nodesql.Literal(upstream.Host), upstream.Port))
	})
	return slot, err
}

// Followed is Follow for a standby that somebody else has follow the other node: it waits for that.
func (e *Executor) Followed(ctx context.Context, n, upstream *nodes.Node) error {
	return e.on(ctx, n, "wait for the primary to be followed by", followLimit, func(ctx context.Context, c *nodesql.Conn) error {
		return receives(ctx, c, upstream, "")
	})
}

// receives waits until a standby streams. One that has failed to connect tries again after wal_retrieve_retry_interval, 5 s by
// default, unless a reload wakes it.
func receives(ctx context.Context, c *nodesql.Conn, upstream *nodes.Node, and string) error {
	woken := time.Now()
	wake := func() {
		if time.Since(woken) >= wakeEvery {
			_ = c.Do(ctx, "SELECT pg_reload_conf()") // without the right to it the standby takes its time
			woken = time.Now()
		}
	}
	err := untilFor(ctx, c, 0, wake, "SELECT EXISTS (SELECT FROM pg_stat_wal_receiver WHERE status = 'streaming'"+and+")")
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("it does not receive from node %d within %v; its log tells why", upstream.Index, followLimit)
	}
	return err
}

// ensureSlot makes a physical replication slot, which keeps WAL for its standby, unless it is there.
func (e *Executor) ensureSlot(ctx context.Context, n *nodes.Node, name string) (made bool, err error) {
	err = e.on(ctx, n, "make a replication slot on", revokeLimit, func(ctx context.Context, c *nodesql.Conn) error {
		row, err := c.Row(ctx, "SELECT EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = "+nodesql.Literal(name)+")")
		if err != nil || row[0] == "t" {
			return err
		}
		made = true
		return c.Do(ctx, "SELECT pg_create_physical_replication_slot("+nodesql.Literal(name)+", true)")
	})
	return made && err == nil, err
}

// DropSlot drops a replication slot, once nobody uses it any more: it would keep WAL for ever.
func (e *Executor) DropSlot(ctx context.Context, n *nodes.Node, name string) error {
	return e.on(ctx, n, "drop a replication slot on", revokeLimit, func(ctx context.Context, c *nodesql.Conn) error {
		slot := " FROM pg_replication_slots WHERE slot_name = " + nodesql.Literal(name)
		return until(ctx, c, "WITH dropped AS MATERIALIZED (SELECT pg_drop_replication_slot(slot_name)"+slot+" AND NOT active)"+
			" SELECT (SELECT count(*) FROM dropped) > 0 OR NOT EXISTS (SELECT"+slot+")")
	})
}
