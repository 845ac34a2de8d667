package drivers

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// staleSQL is in pgx's cache of statements when its table is altered.
const staleSQL = "select * from pgx_stale where id = $1"

const staleTable = `drop table if exists pgx_stale;
	create table pgx_stale (id int primary key, f1 int not null, f2 int not null);
	insert into pgx_stale values (1, 10, 20)`

// querier is a connection or a transaction.
type querier interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults
}

// staleRow reads the one row of staleSQL; if batched, between two other statements of a batch.
func staleRow(ctx context.Context, q querier, batched bool) ([]any, error) {
	row := func(rows pgx.Rows, err error) ([]any, error) {
		if err != nil {
			return nil, err
		}
		return pgx.CollectExactlyOneRow(rows, func(r pgx.CollectableRow) ([]any, error) { return r.Values() })
	}
	if !batched {
		return row(q.Query(ctx, staleSQL, 1))
	}
	var batch pgx.Batch
	batch.Queue("select 'before'")
	batch.Queue(staleSQL, 1)
	batch.Queue("select 'after'")
	results := q.SendBatch(ctx, &batch)
	_, first := results.Exec()
	got, second := row(results.Query())
	_, third := results.Exec()
	return got, errors.Join(first, second, third, results.Close())
}

func wantStale(ctx context.Context, q querier, batched bool, want ...any) error {
	got, err := staleRow(ctx, q, batched)
	if err != nil || !reflect.DeepEqual(got, want) {
		return fmt.Errorf("%s: %v, %w; want %v", staleSQL, got, err, want)
	}
	return nil
}

// wantBroken requires the statement to fail with this SQLSTATE.
func wantBroken(ctx context.Context, q querier, batched bool, state string) error {
	got, err := staleRow(ctx, q, batched)
	if wrong := wantState(err, state); wrong != nil {
		return fmt.Errorf("%s: %v, %w", staleSQL, got, wrong)
	}
	return nil
}

func execute(ctx context.Context, q querier, sql string, args ...any) error {
	if _, err := q.Exec(ctx, sql, args...); err != nil {
		return fmt.Errorf("%s: %w", sql, err)
	}
	return nil
}

// pgxStale alters the table itself. The statement fails once, and is then prepared again.
func pgxStale(batched bool) func(context.Context, *pgx.Conn, target) error {
	return func(ctx context.Context, conn *pgx.Conn, _ target) error {
		if err := execute(ctx, conn, staleTable); err != nil {
			return err
		}
		return steps(
			func() error { return wantStale(ctx, conn, batched, int32(1), int32(10), int32(20)) },
			func() error { return execute(ctx, conn, "alter table pgx_stale drop column f1") },
			func() error { return wantBroken(ctx, conn, batched, "0A000") },
			func() error { return wantStale(ctx, conn, batched, int32(1), int32(20)) },
			func() error { return execute(ctx, conn, "alter table pgx_stale alter f2 type float8 using f2 + 0.5") },
			func() error { return wantBroken(ctx, conn, batched, "0A000") },
			func() error { return wantStale(ctx, conn, batched, int32(1), 20.5) },
		)
	}
}

// pgxStaleTx does that inside a transaction, which fails and takes the ALTER back.
func pgxStaleTx(batched bool) func(context.Context, *pgx.Conn, target) error {
	return func(ctx context.Context, conn *pgx.Conn, _ target) error {
		if err := execute(ctx, conn, staleTable); err != nil {
			return err
		}
		tx, err := conn.Begin(ctx)
		if err != nil {
			return err
		}
		before := []any{int32(1), int32(10), int32(20)}
		err = steps(
			func() error { return wantStale(ctx, tx, batched, before...) },
			func() error { return execute(ctx, tx, "alter table pgx_stale drop column f1") },
			func() error { return wantBroken(ctx, tx, batched, "0A000") },
			func() error { return wantBroken(ctx, tx, batched, "25P02") },
		)
		return steps(
			func() error { return errors.Join(err, tx.Rollback(ctx)) },
			func() error { return wantStale(ctx, conn, batched, before...) },
			func() error { return wantStale(ctx, conn, batched, before...) },
		)
	}
}

// pgxStaleSavepoint checks that a change that a savepoint has taken back makes no statement stale.
func pgxStaleSavepoint(ctx context.Context, conn *pgx.Conn, _ target) error {
	if err := execute(ctx, conn, staleTable); err != nil {
		return err
	}
	before := []any{int32(1), int32(10), int32(20)}
	return pgx.BeginFunc(ctx, conn, func(outer pgx.Tx) error {
		if err := wantStale(ctx, outer, false, before...); err != nil {
			return err
		}
		err := pgx.BeginFunc(ctx, outer, func(tx pgx.Tx) error {
			if err := execute(ctx, tx, "alter table pgx_stale drop column f1"); err != nil {
				return err
			}
			_, err := staleRow(ctx, tx, false)
			return err
		})
		return errors.Join(wantState(err, "0A000"), wantStale(ctx, outer, false, before...), wantStale(ctx, outer, true, before...))
	})
}

// pgxStaleEverywhere has another connection alter a table of which several have statements in their
// caches; each of them gets the error once.
func pgxStaleEverywhere(ctx context.Context, conn *pgx.Conn, to target) error {
	if err := execute(ctx, conn, staleTable); err != nil {
		return err
	}
	var others []*pgx.Conn
	for range 4 {
		other, err := pgx.Connect(ctx, to.dsn())
		if err != nil {
			return err
		}
		defer other.Close(ctx)
		others = append(others, other)
	}
	errs := []error{to.herd.WaitStreaming(ctx)} // another connection's writes may be read from a standby
	for _, other := range others {
		errs = append(errs, wantStale(ctx, other, false, int32(1), int32(10), int32(20)))
	}
	errs = append(errs, execute(ctx, conn, "alter table pgx_stale alter f1 type float8 using f1 + 0.25"), to.herd.WaitStreaming(ctx))
	for i, other := range others {
		batched := i%2 == 1
		errs = append(errs, wantBroken(ctx, other, batched, "0A000"), wantStale(ctx, other, batched, int32(1), 10.25, int32(20)))
	}
	return errors.Join(append(errs, wantStale(ctx, conn, false, int32(1), 10.25, int32(20)))...)
}

// pgxStaleInsert checks that the type of a parameter is the one that the server has told, until
// that changes; none of this is an error of the server's.
func pgxStaleInsert(ctx context.Context, conn *pgx.Conn, _ target) error {
	const insert = "insert into pgx_stale (id, f1, f2) values ($1, $2, $3)"
	return steps(
		func() error { return execute(ctx, conn, staleTable) },
		func() error { return execute(ctx, conn, insert, 2, 1, 2) },
		func() error {
			return execute(ctx, conn, "alter table pgx_stale alter f1 type boolean using f1::boolean")
		},
		func() error {
			err := execute(ctx, conn, insert, 3, false, 2)
			if err == nil || !strings.Contains(err.Error(), "failed to encode args[1]") {
				return fmt.Errorf("%s of a boolean into what was an integer: %w", insert, err)
			}
			return nil
		},
		func() error { return execute(ctx, conn, insert, 3, false, 2) },
		func() error {
			return wantValue(ctx, conn, "ttf", "select string_agg(left(f1::text, 1), '' order by id) from pgx_stale")
		},
	)
}

// steps runs functions up to the first one that fails.
func steps(all ...func() error) error {
	for i, step := range all {
		if err := step(); err != nil {
			return fmt.Errorf("step %d: %w", i+1, err)
		}
	}
	return nil
}
