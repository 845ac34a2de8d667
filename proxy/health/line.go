package health

import (
	"context"
	"fmt"

	"pgherd/proxy/nodes"
	"pgherd/proxy/nodesql"
)

// SQLLine makes a Call whose lines ask PostgreSQL itself.
func SQLLine(a Access) Call {
	return func(ctx context.Context, n *nodes.Node) (Line, error) {
		conn, err := nodesql.Dial(ctx, a, n)
		if err != nil {
			return nil, fmt.Errorf("connect to node %d: %w", n.Index, err)
		}
		return &sqlLine{conn: conn, node: n.Index}, nil
	}
}

type sqlLine struct {
	conn *nodesql.Conn
	node int
}

func (l *sqlLine) Position(ctx context.Context) (nodes.Role, uint64, error) {
	role, lsn, err := askPosition(ctx, l.conn)
	if err != nil {
		return role, 0, fmt.Errorf("ask node %d: %w", l.node, err)
	}
	return role, lsn, nil
}

func (l *sqlLine) Close() { l.conn.Close() }
