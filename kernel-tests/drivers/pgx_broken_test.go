package drivers

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
)

// terminate ends the session of another connection by the number that this was told when it logged
// in.
func terminate(ctx context.Context, conn *pgx.Conn, number uint32) error {
	return wantValue(ctx, conn, true, "select pg_terminate_backend($1)", number)
}

// pgxFatal checks that the next statement of a session that was ended fails, and closes the
// connection. It does so many times, because the client may learn of the end earlier or later.
func pgxFatal(ctx context.Context, conn *pgx.Conn, to target) error {
	for range 20 {
		broken, err := pgx.Connect(ctx, to.dsn())
		if err != nil {
			return err
		}
		defer broken.Close(ctx)
		if err := terminate(ctx, conn, broken.PgConn().PID()); err != nil {
			return err
		}
		if err := wantValue(ctx, broken, 1, "select 1"); err == nil || !broken.IsClosed() {
			return fmt.Errorf("a session that was ended: closed %t, %w", broken.IsClosed(), err)
		}
	}
	return nil
}

// pgxFatalEach ends several sessions by one statement, as the tests of connection pools do.
func pgxFatalEach(ctx context.Context, conn *pgx.Conn, to target) error {
	var all []*pgx.Conn
	var numbers []uint32
	for range 3 {
		one, err := pgx.Connect(ctx, to.dsn())
		if err != nil {
			return err
		}
		defer one.Close(ctx)
		all, numbers = append(all, one), append(numbers, one.PgConn().PID())
	}
	rows, err := conn.Query(ctx, "select pg_terminate_backend(n) from unnest($1::int[]) n", numbers)
	if err != nil {
		return err
	}
	if sent, err := pgx.CollectRows(rows, pgx.RowTo[bool]); err != nil || !slices.Equal(sent, []bool{true, true, true}) {
		return fmt.Errorf("signals to %v: %v, %w", numbers, sent, err)
	}
	for _, one := range all {
		if err := wantValue(ctx, one, 1, "select 1"); err == nil || !one.IsClosed() {
			return fmt.Errorf("a session that was ended: closed %t, %w", one.IsClosed(), err)
		}
	}
	return nil
}

// pgxFatalTx ends its own session inside a transaction, after which the pool has another
// connection.
func pgxFatalTx(ctx context.Context, conn *pgx.Conn, to target) error {
	if err := execute(ctx, conn, "drop table if exists pgx_fatal; create table pgx_fatal (a int)"); err != nil {
		return err
	}
	pool, err := pgxpool.New(ctx, to.dsn()+" pool_max_conns=1")
	if err != nil {
		return err
	}
	defer pool.Close()
	var ended *pgx.Conn
	var during, commit error
	outer := pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		ended = tx.Conn()
		if err := execute(ctx, tx, "insert into pgx_fatal values (1)"); err != nil {
			return err
		}
		_, during = tx.Exec(ctx, "select pg_terminate_backend(pg_backend_pid())")
		commit = tx.Commit(ctx)
		return during
	})
	errs := []error{wantState(during, "57P01"), wantState(outer, "57P01")}
	if commit == nil || !ended.IsClosed() {
		errs = append(errs, fmt.Errorf("after a FATAL: closed %t, COMMIT %w", ended.IsClosed(), commit))
	}
	again, err := pool.Acquire(ctx)
	if err != nil {
		return errors.Join(append(errs, err)...)
	}
	defer again.Release()
	if again.Conn() == ended || again.Conn().PgConn().PID() == ended.PgConn().PID() {
		errs = append(errs, errors.New("the pool returned the session that has ended"))
	}
	return errors.Join(append(errs, wantValue(ctx, again, 0, "select count(*)::int from pgx_fatal"))...)
}

// pgxPoolChecks checks that a pool finds out that all its idle connections have ended, and opens
// another one.
func pgxPoolChecks(ctx context.Context, conn *pgx.Conn, to target) error {
	config, err := pgxpool.ParseConfig(to.dsn())
	if err != nil {
		return err
	}
	config.ShouldPing = func(context.Context, pgxpool.ShouldPingParams) bool { return true }
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return err
	}
	defer pool.Close()
	var held []*pgxpool.Conn
	for range 3 {
		c, err := pool.Acquire(ctx)
		if err != nil {
			return err
		}
		defer func() { c.Release() }()
		held = append(held, c)
	}
	var old []*pgx.Conn
	for _, c := range held {
		old = append(old, c.Conn())
		c.Release()
	}
	if err := pool.Ping(ctx); err != nil || pool.Stat().TotalConns() != 3 {
		return fmt.Errorf("a pool of %d connections, want 3: %w", pool.Stat().TotalConns(), err)
	}
	for _, c := range old {
		if err := terminate(ctx, conn, c.PgConn().PID()); err != nil {
			return err
		}
	}
	return wantOneNew(ctx, pool, old)
}

func wantOneNew(ctx context.Context, pool *pgxpool.Pool, old []*pgx.Conn) error {
	if err := pool.Ping(ctx); err != nil {
		return err
	}
	c, err := pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer c.Release()
	if n := pool.Stat().TotalConns(); n != 1 || slices.Contains(old, c.Conn()) {
		return fmt.Errorf("a pool whose idle connections were ended has %d connections", n)
	}
	return wantValue(ctx, c, "new", "select 'new'")
}

// pgxSQLChecks is the same for the pool of database/sql.
func pgxSQLChecks(ctx context.Context, conn *pgx.Conn, to target) error {
	config, err := pgx.ParseConfig(to.dsn())
	if err != nil {
		return err
	}
	db := stdlib.OpenDB(*config, stdlib.OptionShouldPing(func(context.Context, stdlib.ShouldPingParams) bool { return true }))
	defer db.Close()
	var held []*sql.Conn
	var old []*pgx.Conn
	for range 2 { // that many stay idle, and are tried before a new one is opened
		c, err := db.Conn(ctx)
		if err != nil {
			return err
		}
		held = append(held, c)
		if err := c.Raw(func(driver any) error { old = append(old, driver.(*stdlib.Conn).Conn()); return nil }); err != nil {
			return err
		}
	}
	for i, c := range held {
		if err := errors.Join(c.Close(), terminate(ctx, conn, old[i].PgConn().PID())); err != nil {
			return err
		}
	}
	var got string
	if err := db.QueryRowContext(ctx, "select 'new'").Scan(&got); err != nil || got != "new" {
		return fmt.Errorf("a pool whose idle connections were ended: %q, %w", got, err)
	}
	if n := db.Stats().OpenConnections; n != 1 {
		return fmt.Errorf("%d connections are open, want a new one", n)
	}
	return nil
}

// pgxCheck reads from an idle connection without having written, and gets nothing until the session
// is ended.
func pgxCheck(ctx context.Context, conn *pgx.Conn, to target) error {
	idle, err := pgconn.Connect(ctx, to.dsn())
	if err != nil {
		return err
	}
	defer idle.Close(ctx)
	if err := errors.Join(checkConn(idle), idle.Ping(ctx), checkConn(idle)); err != nil {
		return fmt.Errorf("check an idle connection: %w", err)
	}
	if err := terminate(ctx, conn, idle.PID()); err != nil {
		return err
	}
	for {
		if err := checkConn(idle); err != nil {
			return wantState(err, "57P01")
		}
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("an ended session was not noticed: %w", err)
		}
		time.Sleep(time.Millisecond)
	}
}

func checkConn(conn *pgconn.PgConn) error {
	//lint:ignore SA1019 pools still call it
	return conn.CheckConn()
}
