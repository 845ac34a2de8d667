package demo

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/jackc/pgx/v5"
)

const (
	readers   = 30  // clients, one after the other
	readsBack = 100 // rows that are written, and read at once
)

// reads waits for the standbys first, so that the answer is right on every node.
func reads(ctx context.Context, r *workload, conn *pgx.Conn) (string, error) {
	if err := r.nodes.WaitStreaming(ctx); err != nil {
		return "", err
	}
	before, err := selects(ctx, conn)
	if err != nil {
		return "", err
	}
	for range readers {
		each, err := pgx.Connect(ctx, dsn(r.proxy))
		if err != nil {
			return "", err
		}
		sum, err := value[int](ctx, each, "SELECT sum(balance) FROM demo")
		if err := errors.Join(want("sum", sum, 100*rows, err), each.Close(ctx)); err != nil {
			return "", err
		}
	}
	after, err := selects(ctx, conn)
	if err != nil {
		return "", err
	}
	saw, away := fmt.Sprintf("of %d clients", readers), 0
	for node := range after {
		n := after[node] - before[node]
		saw += fmt.Sprintf(", %d by node %d", n, node)
		if node > 0 {
			away += n
		}
	}
	return saw, want("reads on standbys", away > 0, true, nil)
}

// selects is how many reads each node has been sent.
func selects(ctx context.Context, conn *pgx.Conn) (counts []int, err error) {
	results, err := conn.PgConn().Exec(ctx, "SHOW POOL_BACKEND_STATS").ReadAll()
	if err != nil {
		return nil, err
	}
	for i, field := range results[0].FieldDescriptions {
		if field.Name != "select_cnt" {
			continue
		}
		for _, row := range results[0].Rows {
			n, err := strconv.Atoi(string(row[i]))
			if err != nil {
				return nil, err
			}
			counts = append(counts, n)
		}
	}
	return counts, nil
}

// ownWrites reads each row as soon as it is written, on whatever node.
func ownWrites(ctx context.Context, _ *workload, conn *pgx.Conn) (string, error) {
	for i := range readsBack {
		if err := execute(ctx, conn, fmt.Sprintf("UPDATE demo SET balance = balance + %d WHERE id = 1", 1-2*(i%2))); err != nil {
			return "", err
		}
		balance, err := value[int](ctx, conn, "SELECT balance FROM demo WHERE id = 1")
		if err := want("balance", balance, 101-i%2, err); err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("%d read back at once", readsBack), nil
}
