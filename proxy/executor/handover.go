package executor

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	"pgherd/proxy/nodes"
	"pgherd/proxy/nodesql"
)

// Limits of a hand-over.
const (
	checkpointLimit = 10 * time.Minute // before anybody has to wait for it
	stopLimit       = 60 * time.Second // for a fast shutdown, which waits until standbys have received all
)

// Checkpoint has a node write what its shutdown would have to write.
func (e *Executor) Checkpoint(ctx context.Context, n *nodes.Node) error {
	return e.on(ctx, n, "checkpoint", checkpointLimit, func(ctx context.Context, c *nodesql.Conn) error { return c.Do(ctx, "CHECKPOINT") })
}

// HandOver stops a primary cleanly, as a standby of another node for when it is started again.
// A fast shutdown ends once the standbys that stream have received all. It needs the rights of
// pg_execute_server_program. If it fails, the primary goes on as it was. certain says that it has been told to stop, and that its
// machine says that nobody is there any more; else a network that fails may only look like that.
func (e *Executor) HandOver(ctx context.Context, n, upstream *nodes.Node, name string) (certain bool, err error) {
	var template receiving
	err = e.on(ctx, upstream, "ask how it receives", revokeLimit, func(ctx context.Context, c *nodesql.Conn) error {
		template, err = settings(ctx, c)
		return err
	})
	if err != nil {
		return false, err
	}
	to := nodesql.ParseConninfo(template.conninfo).At(upstream.Host, upstream.Port).With("application_name", name)
	err = e.on(ctx, n, "stop", stopLimit, func(ctx context.Context, c *nodesql.Conn) error {
		if err := change(ctx, c, "primary_conninfo", to.String()); err != nil {
			return err
		}
		if err := program(ctx, c, "touch standby.signal"); err != nil {
			return err
		}
		// PostgreSQL sends SIGTERM to the shell as well, which must not take that for a failure.
		stop := program(ctx, c, `trap '' TERM; kill -INT "$(head -n 1 postmaster.pid)"`)
		told := stop == nil || nodesql.Code(stop) == "57P01"
		if !told && !c.Broken() {
			return errors.Join(stop, program(ctx, c, "rm -f standby.signal"))
		}
		certain = told
		return nil
	})
	if err != nil {
		return false, err
	}
	refused, err := e.awaitStop(ctx, n)
	return certain && refused, err
}

// awaitStop waits until nobody answers at a node. refused says that its machine does, and says so.
func (e *Executor) awaitStop(ctx context.Context, n *nodes.Node) (refused bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, stopLimit)
	defer cancel()
	for {
		conn, err := nodesql.Dial(ctx, e.access, n)
		if err == nil {
			conn.Close()
		} else if nodesql.Code(err) == "" && ctx.Err() == nil {
			return errors.Is(err, syscall.ECONNREFUSED), nil
		}
		if err := pause(ctx, poll); err != nil {
			return false, fmt.Errorf("stop node %d: it still answers after %v", n.Index, stopLimit)
		}
	}
}

// program runs a command of the shell in the data folder of a node. It is sent no row: one that ends without reading would
// make that an error of the COPY.
func program(ctx context.Context, c *nodesql.Conn, command string) error {
	return c.Do(ctx, "COPY (SELECT WHERE false) TO PROGRAM "+nodesql.Literal(command))
}
