package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/jackc/pgx/v5"
)

const (
	demoReaders   = 30  // clients, one after the other
	demoReadsBack = 100 // rows that are written, and read at once
)

// demoReads waits for the standbys first: whichever node answers, the answer is right.
func demoReads(ctx context.Context, r *demoRun, conn *pgx.Conn) (string, error) {
	if err := r.nodes.WaitStreaming(ctx); err != nil {
		return "", err
	}
	before, err := demoSelects(ctx, conn)
	if err != nil {
		return "", err
	}
	for range demoReaders {
		each, err := pgx.Connect(ctx, demoDSN(r.proxy))
		if err != nil {
			return "", err
		}
		sum, err := demoValue[int](ctx, each, "SELECT sum(balance) FROM demo")
		if err := errors.Join(demoWant("sum", sum, 100*demoRows, err), each.Close(ctx)); err != nil {
			return "", err
		}
	}
	after, err := demoSelects(ctx, conn)
	if err != nil {
		return "", err
	}
	saw, away := fmt.Sprintf("of %d clients", demoReaders), 0
	for node := range after {
		n := after[node] - before[node]
		saw += fmt.Sprintf(", %d by node %d", n, node)
		if node > 0 {
			away += n
		}
	}
	return saw, demoWant("reads on standbys", away > 0, true, nil)
}

// demoSelects is how many reads each node has been sent.
func demoSelects(ctx context.Context, conn *pgx.Conn) (counts []int, err error) {
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

// demoOwnWrites reads each row as soon as it is written, wherever that reads.
func demoOwnWrites(ctx context.Context, _ *demoRun, conn *pgx.Conn) (string, error) {
	for i := range demoReadsBack {
		if err := demoExec(ctx, conn, fmt.Sprintf("UPDATE demo SET balance = balance + %d WHERE id = 1", 1-2*(i%2))); err != nil {
			return "", err
		}
		balance, err := demoValue[int](ctx, conn, "SELECT balance FROM demo WHERE id = 1")
		if err := demoWant("balance", balance, 101-i%2, err); err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("%d read back at once", demoReadsBack), nil
}
