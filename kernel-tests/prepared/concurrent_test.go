package prepared_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"pgherd/bench/herd"
	"pgherd/bench/herd/herdtest"
)

const (
	askers    = 8
	askersAsk = 400 // number of queries of each client
	pauseFor  = 20 * time.Millisecond
)

// TestAltersUnderLoad checks that a driver that keeps statements prepared always reads the number one, in whatever type the
// column has, or gets PostgreSQL's error and prepares the statement again.
func TestAltersUnderLoad(t *testing.T) {
	for _, kind := range kinds {
		t.Run(fmt.Sprint(kind.mode, " ", kind.nodes), func(t *testing.T) {
			proxy := startProxy(t, kind.mode, kind.nodes)
			if _, err := world.herd.Exec(t.Context(), "DROP TABLE IF EXISTS w; CREATE TABLE w (a int4); INSERT INTO w VALUES (1)"); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), herdtest.SetupLimit)
			defer cancel()
			stop := alterOften(t)
			var right, changed atomic.Int64
			var group sync.WaitGroup
			for range askers {
				group.Go(func() {
					if err := askOften(ctx, proxy, &right, &changed); err != nil {
						t.Error(err)
					}
				})
			}
			group.Wait()
			t.Logf("%d alters; %d answers were right, %d were errors about the change", stop(), right.Load(), changed.Load())
			if right.Load() == 0 {
				t.Error("no answer was right")
			}
		})
	}
}

// alterOften changes the type of the column until stop is called, which returns the number of changes.
func alterOften(t *testing.T) (stop func() int) {
	end, over, n := make(chan struct{}), sync.WaitGroup{}, 0
	over.Go(func() {
		for ; ; n++ {
			select {
			case <-end:
				return
			case <-time.After(pauseFor):
			}
			sql := "ALTER TABLE w ALTER a TYPE " + types[n%2]
			if _, err := world.herd.Exec(context.Background(), sql); err != nil {
				t.Error(err)
				return
			}
		}
	})
	return func() int {
		close(end)
		over.Wait()
		return n
	}
}

// askOften is one client, which asks in transactions and outside of them.
func askOften(ctx context.Context, proxy *herd.Proxy, right, changed *atomic.Int64) error {
	conn, err := pgx.Connect(ctx, fmt.Sprintf("host=%s port=%d user=%s dbname=%s sslmode=disable", proxy.Host, proxy.Port, herd.Superuser, herd.Database))
	if err != nil {
		return err
	}
	defer conn.Close(context.Background())
	for i := range askersAsk {
		var value any
		var err error
		if i%2 == 0 {
			err = conn.QueryRow(ctx, "SELECT a FROM w").Scan(&value)
		} else {
			err = pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error { return tx.QueryRow(ctx, "SELECT a FROM w").Scan(&value) })
		}
		var fault *pgconn.PgError
		switch {
		case errors.As(err, &fault) && fault.Code == "0A000" && strings.Contains(fault.Message, "cached plan"):
			changed.Add(1)
		case errors.As(err, &fault) && fault.Code == "40001": // this is a conflict with recovery on a standby
		case err != nil:
			return err
		case value != any(int32(1)) && value != any(float32(1)):
			return fmt.Errorf("read %T %v", value, value)
		default:
			right.Add(1)
		}
	}
	return nil
}
