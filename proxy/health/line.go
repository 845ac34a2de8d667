package health

import (
	"context"
	"errors"
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

// Replayed: what a primary replayed while it was a standby does not count.
func (l *sqlLine) Replayed(ctx context.Context) (uint64, error) {
	rows, err := ask(ctx, l.conn, "SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() - '0/0'::pg_lsn END")
	if err == nil && len(rows) != 1 {
		err = errors.New("no answer")
	}
	if err != nil {
		return 0, fmt.Errorf("ask node %d: %w", l.node, err)
	}
	return position(rows[0][0]), nil
}

// hangUpLimit is how long saying goodbye to PostgreSQL may take.
const hangUpLimit = 100 * time.Millisecond

func (l *sqlLine) Close() {
	ctx, cancel := context.WithTimeout(context.Background(), hangUpLimit)
	defer cancel()
	_ = l.conn.Close(ctx)
}
