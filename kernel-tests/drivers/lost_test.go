package drivers

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"pgherd/bench/herd"
	"pgherd/bench/herd/herdtest"
)

// TestPrimaryIsLost kills the primary while five connections of each driver use it: one is idle, two are inside
// transactions, one writes and one reads. docs/manual/failover.md says what each driver makes of that.
func TestPrimaryIsLost(t *testing.T) {
	binary, err := herd.Build(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, driver := range []struct {
		name string
		run  func(t *testing.T, to target, lose func()) string
		saw  string
	}{
		{"pgx", pgxLost, lostAs("*pgconn.PgError", "*pgconn.PgError")},
		{"psycopg", programLost("/usr/bin/python3", "-B", "python/lost.py", "psycopg"), lostAs("SerializationFailure", "TransactionResolutionUnknown")},
		{"psycopg2", programLost("/usr/bin/python3", "-B", "python/lost.py", "psycopg2"), lostAs("SerializationFailure", "TransactionResolutionUnknown")},
		{"jdbc", programLost("java", "-cp", "/usr/share/java/postgresql.jar", "java/Lost.java"), lostAs("PSQLException", "PSQLException")},
	} {
		t.Run(driver.name, func(t *testing.T) {
			h := herdtest.Start(t, herd.Settings{Standbys: 1})
			if _, err := h.Exec(t.Context(), "CREATE TABLE lost (id int); GRANT ALL ON lost TO PUBLIC"); err != nil {
				t.Fatal(err)
			}
			proxy := startProxy(t, binary, h.Nodes(), "pool_mode = transaction\nload_balance_mode = off")
			saw := driver.run(t, target{herd: h, host: proxy.Host, port: proxy.Port}, func() { slayBusy(t, h) })
			if saw != driver.saw {
				t.Errorf("the driver saw\n%s\nwant\n%s", saw, driver.saw)
			}
			if rows, err := h.ExecOn(t.Context(), 1, "SELECT string_agg(id::text, ' ' ORDER BY id) FROM lost"); err != nil || rows != "10 20" {
				t.Errorf("the rows are %q, error %v", rows, err)
			}
		})
	}
}

// lostAs is what a driver prints, with its own names of the two errors.
func lostAs(again, unknown string) string {
	return fmt.Sprintf(`idle: 7MB, open
statement: 40001 %[1]s, open
tried again: committed, open
commit: 40001 %[1]s, open
tried again: committed, open
write: 08007 %[2]s, open
the same connection: 1, open
read: 6000000, open
`, again, unknown)
}

// slayBusy kills the primary once the writer and the reader have statements there.
func slayBusy(t *testing.T, h *herd.Herd) {
	herdtest.Eventually(t, "both statements run", func() error {
		n, err := h.Exec(t.Context(), `SELECT count(*) FROM pg_stat_activity
			WHERE state = 'active' AND (query LIKE 'insert%pg\_sleep%' OR query LIKE 'select%generate\_series%')`)
		if err == nil && n != "2" {
			err = fmt.Errorf("%s of 2 statements run", n)
		}
		return err
	})
	if err := h.Slay(0); err != nil {
		t.Error(err)
	}
}

// programLost runs a program that prints "ready", waits for a line, and prints what it has seen.
func programLost(name string, args ...string) func(*testing.T, target, func()) string {
	return func(t *testing.T, to target, lose func()) string {
		ctx, cancel := context.WithTimeout(t.Context(), programLimit)
		defer cancel()
		cmd := exec.CommandContext(ctx, name, args...)
		cmd.Env = to.env()
		var errs strings.Builder
		cmd.Stderr = &errs
		in, errIn := cmd.StdinPipe()
		out, errOut := cmd.StdoutPipe()
		if err := errors.Join(errIn, errOut, cmd.Start()); err != nil {
			t.Fatalf("%v: make test installs it", err)
		}
		lines := bufio.NewReader(out)
		ready, err := lines.ReadString('\n')
		if err == nil && ready == "ready\n" {
			lose()
			_, err = io.WriteString(in, "\n")
		}
		saw, errRead := io.ReadAll(lines)
		if err := errors.Join(err, errRead, cmd.Wait()); err != nil {
			t.Errorf("%v\n%s%s%s", err, ready, saw, &errs)
		}
		return string(saw)
	}
}

func pgxLost(t *testing.T, to target, lose func()) string {
	ctx, cancel := context.WithTimeout(t.Context(), programLimit)
	defer cancel()
	connect := func() *pgx.Conn {
		conn, err := pgx.Connect(ctx, to.dsn())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close(context.Background()) })
		return conn
	}
	must := func(err error) {
		if err != nil {
			t.Error(err)
		}
	}
	insert := func(db interface {
		Exec(context.Context, string, ...any) (pgconn.CommandTag, error)
	}, id int) error {
		_, err := db.Exec(ctx, "insert into lost values ($1)", id)
		return err
	}
	begin := func(conn *pgx.Conn, id int) pgx.Tx {
		tx, err := conn.Begin(ctx)
		if err != nil {
			t.Fatal(err)
		}
		must(insert(tx, id))
		return tx
	}
	idle, statement, commit, write, read := connect(), connect(), connect(), connect(), connect()
	_, err := idle.Exec(ctx, "set work_mem = '7MB'")
	must(err)
	first, second := begin(statement, 10), begin(commit, 20)
	var written, asked string
	var running sync.WaitGroup
	running.Go(func() {
		_, err := write.Exec(ctx, "insert into lost select 30 from pg_sleep($1)", 60)
		written = pgxTold(write, "None", err)
	})
	running.Go(func() {
		var n string
		err := read.QueryRow(ctx, "select count(*)::text from generate_series(1, $1)", 6000000).Scan(&n)
		asked = pgxTold(read, n, err)
	})
	lose()

	var saw strings.Builder
	tell := func(what, told string) { fmt.Fprintf(&saw, "%s: %s\n", what, told) }
	var setting, one string
	err = idle.QueryRow(ctx, "show work_mem").Scan(&setting)
	tell("idle", pgxTold(idle, setting, err))
	tell("statement", pgxTold(statement, "None", insert(first, 11)))
	must(first.Rollback(ctx))
	tell("tried again", pgxTold(statement, "committed", begin(statement, 10).Commit(ctx)))
	tell("commit", pgxTold(commit, "committed", second.Commit(ctx)))
	tell("tried again", pgxTold(commit, "committed", begin(commit, 20).Commit(ctx)))
	running.Wait()
	tell("write", written)
	err = write.QueryRow(ctx, "select 1::text").Scan(&one)
	tell("the same connection", pgxTold(write, one, err))
	tell("read", asked)
	return saw.String()
}

// pgxTold is what an application is told, and the state of its connection afterwards.
func pgxTold(conn *pgx.Conn, saw string, err error) string {
	if err != nil {
		saw = fmt.Sprintf("%T %v", err, err)
	}
	if f, ok := errors.AsType[*pgconn.PgError](err); ok {
		saw = f.Code + fmt.Sprintf(" %T", f)
	}
	if conn.IsClosed() {
		return saw + ", closed"
	}
	return saw + ", open"
}
