// Package herdtest is what tests of a running pgherd have in common: pgherd starts and
// ends with the test, which prints pgherd's log if it fails, and clients do not wait
// for ever.
package herdtest

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"pgherd/bench/herd"
)

// Limits of waiting.
const (
	AnswerLimit = 60 * time.Second // for one answer; after that it counts as hanging
	SettleLimit = 60 * time.Second // for something that should soon be true
	PollEvery   = 30 * time.Millisecond

	logBytes = 5000 // bytes of the end of the log that a failing test prints
)

// StartProxy runs pgherd until the test is over.
func StartProxy(t *testing.T, settings herd.ProxySettings) *herd.Proxy {
	t.Helper()
	proxy, err := herd.StartProxy(t.Context(), settings)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			log, err := os.ReadFile(proxy.Log())
			t.Logf("pgherd's log (%v):\n%s", err, log[max(0, len(log)-logBytes):])
		}
		if err := proxy.Stop(); err != nil {
			t.Error(err)
		}
	})
	return proxy
}

// Eventually waits until check returns no error any more.
func Eventually(t *testing.T, what string, check func() error) {
	t.Helper()
	deadline := time.Now().Add(SettleLimit)
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %v: %v", what, SettleLimit, err)
		}
		time.Sleep(PollEvery)
	}
}

// Limited returns a context of its own, because a test that is over may still have to
// clean up.
func Limited(limit time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), limit)
}

// Connect logs in.
func Connect(dsn string) (*pgconn.PgConn, error) {
	ctx, cancel := Limited(AnswerLimit)
	defer cancel()
	return pgconn.Connect(ctx, dsn)
}

// Close says goodbye, if the connection was not lost.
func Close(conn *pgconn.PgConn) {
	ctx, cancel := Limited(AnswerLimit)
	defer cancel()
	_ = conn.Close(ctx)
}

// ErrHung marks an answer that did not come, which is never tolerated.
var ErrHung = errors.New("no answer within the limit")

// Hung joins ErrHung to an error whose cause is that the limit has passed.
func Hung(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return errors.Join(ErrHung, err)
	}
	return err
}

// Ask runs simple queries and returns the first column of the last result, rows joined by commas.
func Ask(conn *pgconn.PgConn, sql string) (string, error) {
	ctx, cancel := Limited(AnswerLimit)
	defer cancel()
	results, err := conn.Exec(ctx, sql).ReadAll()
	if err != nil || len(results) == 0 {
		return "", Hung(ctx, err)
	}
	var values []string
	for _, row := range results[len(results)-1].Rows {
		values = append(values, string(row[0]))
	}
	return strings.Join(values, ","), nil
}

// MustAsk is Ask for queries that must not fail.
func MustAsk(t *testing.T, conn *pgconn.PgConn, sql string) string {
	t.Helper()
	value, err := Ask(conn, sql)
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return value
}
