package drivers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/big"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
)

const pgxLimit = 30 * time.Second // the deadline of one check

// runPgx gives each check a connection of its own, which must be usable after it.
func runPgx(t *testing.T, to target) {
	for name, check := range map[string]func(context.Context, *pgx.Conn, target) error{
		"types": pgxTypes, "statements": pgxStatements, "batch": pgxBatch, "batch error": pgxBatchError,
		"pipeline": pgxPipeline, "copy": pgxCopy, "copy error": pgxCopyError, "transactions": pgxTransactions,
		"listen": pgxListen, "cancel": pgxCancel, "large object": pgxLargeObject, "many rows": pgxManyRows,
		"stale": pgxStale(false), "stale batch": pgxStale(true), "stale in a transaction": pgxStaleTx(false),
		"stale batch in a transaction": pgxStaleTx(true), "stale in a savepoint": pgxStaleSavepoint,
		"stale everywhere": pgxStaleEverywhere, "stale insert": pgxStaleInsert,
		"fatal": pgxFatal, "fatal to several": pgxFatalEach, "fatal in a transaction": pgxFatalTx, "pool": pgxPoolChecks, "database/sql": pgxSQLChecks, "check": pgxCheck,
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), pgxLimit)
			defer cancel()
			conn, err := pgx.Connect(ctx, to.dsn())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close(ctx)
			if err := check(ctx, conn, to); err != nil {
				t.Fatal(err)
			}
			if err := wantValue(ctx, conn, "usable after it", "select 'usable after it'"); err != nil {
				t.Error(err)
			}
		})
	}
}

func wantValue[T any](ctx context.Context, conn interface {
	QueryRow(context.Context, string, ...any) pgx.Row
}, want T, sql string, args ...any) error {
	var got T
	if err := conn.QueryRow(ctx, sql, args...).Scan(&got); err != nil {
		return fmt.Errorf("%s: %w", sql, err)
	}
	if !reflect.DeepEqual(got, want) {
		return fmt.Errorf("%s: %v, want %v", sql, got, want)
	}
	return nil
}

func wantState(err error, state string) error {
	if pgErr, ok := errors.AsType[*pgconn.PgError](err); !ok || pgErr.Code != state {
		return fmt.Errorf("error %v, want SQLSTATE %s", err, state)
	}
	return nil
}

func pgxTypes(ctx context.Context, conn *pgx.Conn, _ target) error {
	day := time.Date(2024, 2, 29, 0, 0, 0, 0, time.UTC)
	number := pgtype.Numeric{Int: big.NewInt(12345), Exp: -2, Valid: true}
	return errors.Join(
		wantValue(ctx, conn, day, "select $1::date", day),
		wantValue(ctx, conn, day.Add(123456*time.Microsecond), "select $1::timestamp", day.Add(123456*time.Microsecond)),
		wantValue(ctx, conn, []int32{1, 2, 3}, "select $1::int[]", []int32{1, 2, 3}),
		wantValue(ctx, conn, []string{"a", "b\"c", ""}, "select $1::text[]", []string{"a", "b\"c", ""}),
		wantValue(ctx, conn, number, "select $1::numeric", number),
		wantValue(ctx, conn, map[string]any{"a": []any{1.0, "x", nil}}, "select $1::jsonb", map[string]any{"a": []any{1.0, "x", nil}}),
		wantValue(ctx, conn, []byte{0, 1, 255}, "select $1::bytea", []byte{0, 1, 255}),
		wantValue(ctx, conn, (*string)(nil), "select $1::text", nil),
		wantValue(ctx, conn, strings.Repeat("x", 2<<20), "select $1::text", strings.Repeat("x", 2<<20)),
		wantValue(ctx, conn, -1.5, "select $1::float8", -1.5),
	)
}

// pgxStatements runs the same statement by every protocol that pgx has.
func pgxStatements(ctx context.Context, conn *pgx.Conn, _ target) error {
	var errs []error
	for _, mode := range []pgx.QueryExecMode{pgx.QueryExecModeCacheStatement, pgx.QueryExecModeCacheDescribe,
		pgx.QueryExecModeDescribeExec, pgx.QueryExecModeExec, pgx.QueryExecModeSimpleProtocol} {
		for i := range 20 {
			errs = append(errs, wantValue(ctx, conn, i+1, "select $1::int + 1", mode, i))
		}
	}
	if _, err := conn.Prepare(ctx, "named", "select $1::text || '!'"); err != nil {
		return err
	}
	errs = append(errs, wantValue(ctx, conn, "a!", "named", "a"), conn.Deallocate(ctx, "named"))
	_, err := conn.Exec(ctx, "select 1/$1::int", 0)
	return errors.Join(append(errs, wantState(err, "22012"))...)
}

func pgxBatch(ctx context.Context, conn *pgx.Conn, _ target) error {
	if _, err := conn.Exec(ctx, "create temp table batch (a int)"); err != nil {
		return err
	}
	var batch pgx.Batch
	for i := range 500 {
		batch.Queue("insert into batch values ($1)", i)
	}
	batch.Queue("select sum(a)::int from batch")
	results := conn.SendBatch(ctx, &batch)
	for range 500 {
		if _, err := results.Exec(); err != nil {
			return errors.Join(err, results.Close())
		}
	}
	var sum int
	err := results.QueryRow().Scan(&sum)
	if sum != 499*500/2 {
		err = errors.Join(err, fmt.Errorf("sum %d", sum))
	}
	return errors.Join(err, results.Close())
}

// pgxBatchError runs a batch of five statements, the third of which fails. A batch is one transaction, so
// nothing of it is left.
func pgxBatchError(ctx context.Context, conn *pgx.Conn, _ target) error {
	if _, err := conn.Exec(ctx, "create temp table batch (a int primary key)"); err != nil {
		return err
	}
	var batch pgx.Batch
	for _, i := range []int{1, 2, 2, 3, 4} {
		batch.Queue("insert into batch values ($1)", i)
	}
	results := conn.SendBatch(ctx, &batch)
	var errs []error
	for range 2 {
		_, err := results.Exec()
		errs = append(errs, err)
	}
	_, third := results.Exec()
	_ = results.Close() // this reports the error of the third statement again
	return errors.Join(append(errs, wantState(third, "23505"), wantValue(ctx, conn, 0, "select count(*)::int from batch"))...)
}

// pgxPipeline sends three Syncs, the middle one with an error, before it reads.
func pgxPipeline(ctx context.Context, conn *pgx.Conn, _ target) error {
	pipeline := conn.PgConn().StartPipeline(ctx)
	for _, value := range []string{"1", "0", "2"} {
		pipeline.SendQueryParams("select 10 / $1::int", [][]byte{[]byte(value)}, nil, nil, nil)
		if err := pipeline.Sync(); err != nil {
			return err
		}
	}
	var seen []string
	for range 6 {
		result, err := pipeline.GetResults()
		switch r := result.(type) {
		case *pgconn.ResultReader:
			seen = append(seen, string(r.Read().Rows[0][0]))
		case *pgconn.PipelineSync:
			seen = append(seen, "sync")
		case nil:
			if wrong := wantState(err, "22012"); wrong != nil {
				return wrong
			}
			seen = append(seen, "error")
		}
	}
	if got := strings.Join(seen, " "); got != "10 sync error sync 5 sync" {
		return fmt.Errorf("pipeline answered %q", got)
	}
	return pipeline.Close()
}

func pgxCopy(ctx context.Context, conn *pgx.Conn, _ target) error {
	if _, err := conn.Exec(ctx, "create temp table copied (a int, b text)"); err != nil {
		return err
	}
	const rows = 20000
	n, err := conn.CopyFrom(ctx, pgx.Identifier{"copied"}, []string{"a", "b"},
		pgx.CopyFromSlice(rows, func(i int) ([]any, error) { return []any{i, strings.Repeat("x", i%100)}, nil }))
	if err != nil || n != rows {
		return fmt.Errorf("copied %d: %w", n, err)
	}
	var out countingWriter
	tag, err := conn.PgConn().CopyTo(ctx, &out, "copy copied to stdout")
	if err != nil || tag.RowsAffected() != rows || out.lines != rows {
		return fmt.Errorf("copied out %v, %d lines: %w", tag, out.lines, err)
	}
	return wantValue(ctx, conn, rows, "select count(*)::int from copied")
}

type countingWriter struct{ lines int }

func (w *countingWriter) Write(p []byte) (int, error) {
	w.lines += strings.Count(string(p), "\n")
	return len(p), nil
}

// pgxCopyError makes one COPY fail because of the client, and one because of the data.
func pgxCopyError(ctx context.Context, conn *pgx.Conn, _ target) error {
	if _, err := conn.Exec(ctx, "create temp table copied (a int)"); err != nil {
		return err
	}
	broken := errors.New("source broke")
	_, err := conn.CopyFrom(ctx, pgx.Identifier{"copied"}, []string{"a"}, pgx.CopyFromFunc(func() ([]any, error) { return nil, broken }))
	if !errors.Is(err, broken) {
		if state := wantState(err, "57014"); state != nil {
			return state
		}
	}
	text := io.MultiReader(strings.NewReader(strings.Repeat("1\n", 100000)), strings.NewReader("x\n"), strings.NewReader(strings.Repeat("1\n", 500000)))
	_, err = conn.PgConn().CopyFrom(ctx, text, "copy copied from stdin")
	return errors.Join(wantState(err, "22P02"), wantValue(ctx, conn, 0, "select count(*)::int from copied"))
}

func pgxTransactions(ctx context.Context, conn *pgx.Conn, _ target) error {
	if _, err := conn.Exec(ctx, "create temp table tx (a int)"); err != nil {
		return err
	}
	err := pgx.BeginFunc(ctx, conn, func(outer pgx.Tx) error {
		if _, err := outer.Exec(ctx, "insert into tx values (1)"); err != nil {
			return err
		}
		inner := pgx.BeginFunc(ctx, outer, func(tx pgx.Tx) error {
			_, err := tx.Exec(ctx, "insert into tx values (1/0)")
			return err
		})
		return wantState(inner, "22012")
	})
	return errors.Join(err, wantValue(ctx, conn, 1, "select count(*)::int from tx"))
}

func pgxListen(ctx context.Context, conn *pgx.Conn, to target) error {
	if _, err := conn.Exec(ctx, "listen pgx_channel"); err != nil {
		return err
	}
	other, err := pgx.Connect(ctx, to.dsn())
	if err != nil {
		return err
	}
	defer other.Close(ctx)
	for _, payload := range []string{"one", "two"} {
		if _, err := other.Exec(ctx, "select pg_notify('pgx_channel', $1)", payload); err != nil {
			return err
		}
		got, err := conn.WaitForNotification(ctx)
		if err != nil || got.Payload != payload {
			return fmt.Errorf("notified %v, want %q: %w", got, payload, err)
		}
	}
	_, err = conn.Exec(ctx, "unlisten *")
	return err
}

// pgxCancel cancels a statement once that runs. The connection can still be used.
func pgxCancel(ctx context.Context, conn *pgx.Conn, to target) error {
	const sql = "select pg_sleep(60) /* pgx cancel */"
	done := make(chan error, 1)
	go func() {
		_, err := conn.Exec(ctx, sql, pgx.QueryExecModeSimpleProtocol)
		done <- err
	}()
	for node, running := 0, ""; running != "1"; node = (node + 1) % len(to.herd.Nodes()) {
		var err error
		running, err = to.herd.ExecOn(ctx, node, "select count(*) from pg_stat_activity where state = 'active' and query like 'select pg_sleep%/* pgx cancel */'")
		if err != nil {
			return err
		}
	}
	if err := conn.PgConn().CancelRequest(ctx); err != nil {
		return err
	}
	return wantState(<-done, "57014")
}

func pgxLargeObject(ctx context.Context, conn *pgx.Conn, _ target) error {
	data := strings.Repeat("large object ", 50000)
	return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		objects := tx.LargeObjects()
		oid, err := objects.Create(ctx, 0)
		if err != nil {
			return err
		}
		object, err := objects.Open(ctx, oid, pgx.LargeObjectModeWrite|pgx.LargeObjectModeRead)
		if err != nil {
			return err
		}
		if _, err := io.Copy(object, strings.NewReader(data)); err != nil {
			return err
		}
		if _, err := object.Seek(0, io.SeekStart); err != nil {
			return err
		}
		back, err := io.ReadAll(object)
		if err != nil || string(back) != data {
			return fmt.Errorf("read %d bytes back, wrote %d: %w", len(back), len(data), err)
		}
		return objects.Unlink(ctx, oid)
	})
}

func pgxManyRows(ctx context.Context, conn *pgx.Conn, _ target) error {
	rows, err := conn.Query(ctx, "select i, repeat('x', 50) from generate_series(1, 100000) i")
	if err != nil {
		return err
	}
	n, sum := 0, 0
	for rows.Next() {
		var i int
		if err := rows.Scan(&i, nil); err != nil {
			return err
		}
		n, sum = n+1, sum+i
	}
	if n != 100000 || sum != 100000*100001/2 {
		return fmt.Errorf("%d rows that add up to %d", n, sum)
	}
	return rows.Err()
}
