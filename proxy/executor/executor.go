// Package executor carries out on PostgreSQL nodes, by SQL, what package failover has
// decided: standbys stop receiving from a primary that failed, tell how far they are, one
// is promoted, the others follow it. It decides nothing. Every act may be repeated: one
// that is done already is done again, or found done.
package executor

import (
	"context"
	"fmt"
	"time"

	"pgherd/proxy/failover"
	"pgherd/proxy/nodes"
	"pgherd/proxy/nodesql"
)

// Named limits. A caller's context may be shorter.
const (
	revokeLimit  = 2 * time.Second       // for a standby to stop receiving, and to tell its position
	promoteLimit = 60 * time.Second      // for a promotion: what was received is replayed first
	followLimit  = 30 * time.Second      // for a standby to receive from another primary
	poll         = 5 * time.Millisecond  // between two looks whether an act has taken effect
	wakeEvery    = time.Second           // for a standby that does not come to receive
	settle       = 50 * time.Millisecond // for which a standby that received from nobody is watched
)

// Executor carries out acts. Its methods block, and may be called on many goroutines.
type Executor struct{ access nodesql.Access }

// New makes one that logs in to nodes like this.
func New(a nodesql.Access) *Executor { return &Executor{a} }

// on runs an act on a node, on a connection of its own.
func (e *Executor) on(ctx context.Context, n *nodes.Node, what string, limit time.Duration, act func(context.Context, *nodesql.Conn) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	conn, err := nodesql.Dial(ctx, e.access, n)
	if err == nil {
		defer conn.Close()
		err = act(ctx, conn)
	}
	if err != nil {
		return fmt.Errorf("%s node %d: %w", what, n.Index, err)
	}
	return nil
}

// until asks again and again, until the answer of one row is "t".
func until(ctx context.Context, c *nodesql.Conn, sql string) error {
	return untilFor(ctx, c, 0, func() {}, sql)
}

// untilFor asks until the answer has been "t" for so long. again is called after each other answer.
func untilFor(ctx context.Context, c *nodesql.Conn, least time.Duration, again func(), sql string) error {
	for since := time.Now(); ; {
		row, err := c.Row(ctx, sql)
		switch {
		case err != nil:
			return err
		case row[0] != "t":
			since = time.Now()
			again()
		case time.Since(since) >= least:
			return nil
		}
		if err := pause(ctx, poll); err != nil {
			return err
		}
	}
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Position asks a node for its position, without changing anything.
func (e *Executor) Position(ctx context.Context, n *nodes.Node) (a failover.Answer, err error) {
	err = e.on(ctx, n, "ask for its position", revokeLimit, func(ctx context.Context, c *nodesql.Conn) error {
		a, err = position(ctx, c)
		return err
	})
	return a, err
}

// position is a node's. A standby that has restored WAL from an archive may have replayed
// more than it has received. The control file tells the timeline that it follows only after
// a while, and its receiver only while that runs; the files that it has received WAL into
// bear its number from the first byte.
func position(ctx context.Context, c *nodesql.Conn) (a failover.Answer, err error) {
	row, err := c.Row(ctx, `SELECT (SELECT system_identifier FROM pg_control_system()),
 greatest((SELECT timeline_id FROM pg_control_checkpoint()), (SELECT min_recovery_end_timeline FROM pg_control_recovery()),
  (SELECT max(('x' || substr(name, 1, 8))::bit(32)::bigint) FROM pg_ls_waldir() WHERE name ~ '^[0-9A-F]{24}$')),
 coalesce(greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()) - '0/0'::pg_lsn, 0),
 coalesce(pg_last_wal_replay_lsn() - '0/0'::pg_lsn, 0),
 pg_is_wal_replay_paused() OR current_setting('recovery_min_apply_delay') <> '0'`)
	if err != nil {
		return a, err
	}
	if _, err := fmt.Sscan(row[0]+" "+row[1]+" "+row[2]+" "+row[3], &a.System, &a.Timeline, &a.Received, &a.Replayed); err != nil {
		return a, fmt.Errorf("read position: %w", err)
	}
	a.Paused = row[4] == "t"
	return a, nil
}
