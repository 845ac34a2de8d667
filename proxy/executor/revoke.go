package executor

import (
	"context"
	"strings"
	"time"

	"pgherd/proxy/failover"
	"pgherd/proxy/nodes"
	"pgherd/proxy/nodesql"
)

// nowhere is the host that a standby is told to receive from when it is to receive from
// nobody: a folder of Unix sockets that is not there. Unlike an empty primary_conninfo it
// keeps how to log in, for Follow, and tells an administrator who has done that.
const nowhere = "/pgherd/revoked"

// Revoke makes a standby stop receiving, so that it acknowledges no commit any more, and
// tells how far it is then. It holds when the standby or pgherd is restarted.
func (e *Executor) Revoke(ctx context.Context, n *nodes.Node) (a failover.Answer, err error) {
	err = e.on(ctx, n, "revoke acknowledgements of", revokeLimit, func(ctx context.Context, c *nodesql.Conn) error {
		if err := stopReceiving(ctx, c); err != nil {
			return err
		}
		a, err = position(ctx, c)
		a.Revoked = true
		return err
	})
	return a, err
}

func stopReceiving(ctx context.Context, c *nodesql.Conn) error {
	before, err := settings(ctx, c)
	if err != nil {
		return err
	}
	quiet, err := c.Row(ctx, "SELECT "+nobodyReceives)
	if err != nil {
		return err
	}
	if !Revoked(before.conninfo) {
		to := nodesql.ParseConninfo(before.conninfo).At(nowhere, defaultPort)
		if err := change(ctx, c, "primary_conninfo", to.String()); err != nil {
			return err
		}
	}
	least := time.Duration(0)
	if quiet[0] == "t" { // one that is about to be started does not show
		least = settle
	}
	return untilFor(ctx, c, least, func() {}, "SELECT "+nobodyReceives)
}

// nobodyReceives is true once there is no process that receives, or is about to connect. The latter is in pg_stat_activity
// alone, where only pg_monitor sees it.
const nobodyReceives = "(NOT EXISTS (SELECT FROM pg_stat_wal_receiver) AND NOT EXISTS (SELECT FROM pg_stat_activity WHERE backend_type = 'walreceiver'))"

const defaultPort = 5432

// Revoked says that a primary_conninfo is one that Revoke has left.
func Revoked(text string) bool { return nodesql.ParseConninfo(text).Get("host") == nowhere }

// receiving is whom a standby is told to receive from.
type receiving struct{ conninfo, slot string }

func settings(ctx context.Context, c *nodesql.Conn) (r receiving, err error) {
	row, err := c.Row(ctx, "SELECT current_setting('primary_conninfo'), current_setting('primary_slot_name')")
	if err != nil {
		return r, err
	}
	return receiving{row[0], row[1]}, nil
}

// change has a parameter set for good, and taken up. ALTER SYSTEM runs in no transaction,
// so each statement is sent by itself.
func change(ctx context.Context, c *nodesql.Conn, parameter, value string) error {
	// The value may hold a password: it stays out of the statement log where that is
	// allowed, and PostgreSQL masks nothing itself.
	_ = c.Do(ctx, "SET log_statement = 'none'")
	if err := c.Do(ctx, "ALTER SYSTEM SET "+parameter+" = "+strings.TrimSpace(nodesql.Literal(value))); err != nil {
		return err
	}
	return c.Do(ctx, "SELECT pg_reload_conf()")
}
