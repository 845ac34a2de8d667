package health

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"pgherd/proxy/nodes"
)

// SQLLine makes the Call whose lines ask PostgreSQL itself.
func SQLLine(a Access) Call {
	return func(ctx context.Context, n *nodes.Node) (Line, error) {
		conn, err := dial(ctx, a, n)
		if err != nil {
			return nil, fmt.Errorf("connect to node %d: %w", n.Index, err)
		}
		return &sqlLine{conn: conn, node: n.Index}, nil
	}
}

type sqlLine struct {
	conn *pgconn.PgConn
	node int
}

func (l *sqlLine) Position(ctx context.Context) (nodes.Role, uint64, error) {
	role, lsn, err := askPosition(ctx, l.conn)
	if err != nil {
		return role, 0, fmt.Errorf("ask node %d: %w", l.node, err)
	}
	return role, lsn, nil
}

// hangUpLimit is how long saying goodbye to PostgreSQL may take.
const hangUpLimit = 100 * time.Millisecond

func (l *sqlLine) Close() {
	ctx, cancel := context.WithTimeout(context.Background(), hangUpLimit)
	defer cancel()
	_ = l.conn.Close(ctx)
}
