package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// wantState returns an error unless err is PostgreSQL's error with this SQLSTATE.
func wantState(err error, state string) error {
	if pgErr, ok := errors.AsType[*pgconn.PgError](err); ok && pgErr.Code == state {
		return nil
	}
	return fmt.Errorf("expected SQLSTATE %s, got: %w", state, err)
}

func copyRows(ctx context.Context, _ *workload, conn *pgx.Conn) (string, error) {
	if err := execute(ctx, conn, "CREATE TEMP TABLE copied (a int, b text)"); err != nil {
		return "", err
	}
	const many = 20000
	n, err := conn.CopyFrom(ctx, pgx.Identifier{"copied"}, []string{"a", "b"},
		pgx.CopyFromSlice(many, func(i int) ([]any, error) { return []any{i, strings.Repeat("x", i%100)}, nil }))
	if err := want("rows in", n, int64(many), err); err != nil {
		return "", err
	}
	var out bytes.Buffer
	if _, err := conn.PgConn().CopyTo(ctx, &out, "COPY copied TO STDOUT"); err != nil {
		return "", err
	}
	lines := bytes.Count(out.Bytes(), []byte("\n"))
	if err := want("rows out", lines, many, nil); err != nil {
		return "", err
	}
	_, err = conn.PgConn().CopyFrom(ctx, strings.NewReader("1\tgood\nbad\n"), "COPY copied FROM STDIN")
	return fmt.Sprintf("%d rows in and out, then one that fails", many), wantState(err, "22P02")
}

func failing(ctx context.Context, _ *workload, conn *pgx.Conn) (string, error) {
	_, syntax := conn.Exec(ctx, "SELEC 1")
	_, division := conn.Exec(ctx, "SELECT 1 / $1::int", 0)
	var batch pgx.Batch
	for _, i := range []int{1, 0, 2} {
		batch.Queue("SELECT 10 / $1::int", i)
	}
	middle := conn.SendBatch(ctx, &batch).Close()
	return "syntax, division by zero, in the middle of a batch",
		errors.Join(wantState(syntax, "42601"), wantState(division, "22012"), wantState(middle, "22012"))
}

// transactions moves money with many clients at once; the sum stays the same.
func transactions(ctx context.Context, r *workload, _ *pgx.Conn) (string, error) {
	began := time.Now()
	results := make(chan error, clients)
	for client := range clients {
		go func() { results <- transfer(ctx, r, client) }()
	}
	var errs []error
	for range clients {
		errs = append(errs, <-results)
	}
	rate := float64(clients*transfers) / time.Since(began).Seconds()
	sum, err := r.nodes.Exec(ctx, "SELECT sum(balance) FROM demo")
	return fmt.Sprintf("%d transfers by %d clients, %.0f/s; the sum is still %s", clients*transfers, clients, rate, sum),
		errors.Join(append(errs, want("sum", sum, fmt.Sprint(100*rows), err))...)
}

func transfer(ctx context.Context, r *workload, client int) error {
	conn, err := pgx.Connect(ctx, dsn(r.proxy))
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	giveUp := errors.New("give up")
	for i := range transfers {
		// Each client has rows of its own, so that no two clients wait for each other.
		from, to := client*100+i, client*100+50+i%50
		err := pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
			if _, err := tx.Exec(ctx, "UPDATE demo SET balance = balance - 10 WHERE id = $1", from); err != nil {
				return err
			}
			if i%5 == 0 {
				return giveUp // rolled back
			}
			_, err := tx.Exec(ctx, "UPDATE demo SET balance = balance + 10 WHERE id = $1", to)
			return err
		})
		if err != nil && !errors.Is(err, giveUp) {
			return err
		}
	}
	return nil
}

func notify(ctx context.Context, r *workload, conn *pgx.Conn) (string, error) {
	if err := execute(ctx, conn, "LISTEN demo_channel"); err != nil {
		return "", err
	}
	other, err := pgx.Connect(ctx, dsn(r.proxy))
	if err != nil {
		return "", err
	}
	defer other.Close(ctx)
	if err := execute(ctx, other, "NOTIFY demo_channel, 'hello'"); err != nil {
		return "", err
	}
	got, err := conn.WaitForNotification(ctx)
	if err != nil {
		return "", err
	}
	return "another client heard " + got.Payload, execute(ctx, conn, "UNLISTEN *")
}

// cancelStatement cancels a statement once the primary or a standby shows that it is
// running.
func cancelStatement(ctx context.Context, r *workload, conn *pgx.Conn) (string, error) {
	began := time.Now()
	done := make(chan error, 1)
	go func() {
		_, err := conn.PgConn().Exec(ctx, "SELECT pg_sleep(20) AS demo_cancel").ReadAll()
		done <- err
	}()
	if err := r.waitRunning(ctx); err != nil {
		return "", err
	}
	if err := conn.PgConn().CancelRequest(ctx); err != nil {
		return "", err
	}
	err := wantState(<-done, "57014")
	return fmt.Sprintf("a sleep of 20 s ended after %v", time.Since(began).Round(time.Millisecond)), err
}

func (r *workload) waitRunning(ctx context.Context) error {
	for {
		for _, n := range r.nodes.Nodes() {
			count, err := r.nodes.ExecOn(ctx, n.Index, "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE 'SELECT pg_sleep%demo_cancel'")
			if err != nil {
				return err
			}
			if count != "0" {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for the statement to run: %w", ctx.Err())
		case <-time.After(10 * time.Millisecond):
		}
	}
}
