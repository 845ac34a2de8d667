package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/jackc/pgx/v5"

	"pgherd/bench/herd"
)

const (
	checkLimit = 30 * time.Second // for one check
	rows       = 1000
	clients    = 8
	transfers  = 25 // by each client
)

// workload is what all checks share.
type workload struct {
	nodes *herd.Herd
	proxy *herd.Proxy
}

// check does one thing and returns what it saw.
type check struct {
	name string
	run  func(context.Context, *workload, *pgx.Conn) (string, error)
}

var checks = []check{
	{"log in", logIn},
	{"nodes", showNodes},
	{"writes", writes},
	{"reads", reads},
	{"own writes", ownWrites},
	{"prepared statements", prepared},
	{"COPY", copyRows},
	{"failing statements", failing},
	{"transactions", transactions},
	{"LISTEN and NOTIFY", notify},
	{"cancel", cancelStatement},
}

// once runs every check, even after one has failed, and prints a table.
func once(ctx context.Context, out io.Writer, nodes *herd.Herd, proxy *herd.Proxy) error {
	w := &workload{nodes: nodes, proxy: proxy}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "check\tresult\ttime\twhat was seen")
	failed := 0
	for _, c := range checks {
		began := time.Now()
		saw, err := w.check(ctx, c)
		result := "ok"
		if err != nil {
			result, saw = "FAILED", err.Error()
			failed++
		}
		fmt.Fprintf(table, "%s\t%s\t%v\t%s\n", c.name, result, time.Since(began).Round(time.Millisecond), saw)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d checks failed; pgherd's log ends:\n%s", failed, len(checks), readTail(proxy.Log()))
	}
	return nil
}

// check gives each check a connection of its own, which must be usable afterwards.
func (r *workload) check(ctx context.Context, c check) (saw string, err error) {
	ctx, cancel := context.WithTimeout(ctx, checkLimit)
	defer cancel()
	conn, err := pgx.Connect(ctx, dsn(r.proxy))
	if err != nil {
		return "", err
	}
	defer conn.Close(ctx)
	if saw, err = c.run(ctx, r, conn); err != nil {
		return saw, err
	}
	if after, err := value[int](ctx, conn, "SELECT 4711"); err != nil || after != 4711 {
		return saw, fmt.Errorf("unusable afterwards: %d, %w", after, err)
	}
	return saw, nil
}

func value[T any](ctx context.Context, conn *pgx.Conn, sql string, args ...any) (T, error) {
	var got T
	err := conn.QueryRow(ctx, sql, args...).Scan(&got)
	return got, err
}

// execute runs statements one after the other, each by itself.
func execute(ctx context.Context, conn *pgx.Conn, statements ...string) error {
	for _, sql := range statements {
		if _, err := conn.Exec(ctx, sql); err != nil {
			return fmt.Errorf("%s: %w", sql, err)
		}
	}
	return nil
}

func want[T comparable](what string, got, want T, err error) error {
	if err == nil && got != want {
		err = fmt.Errorf("%v, expected %v", got, want)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

func logIn(ctx context.Context, _ *workload, conn *pgx.Conn) (string, error) {
	user, err := value[string](ctx, conn, "SELECT current_user::text")
	return "as " + user, want("user", user, herd.User, err)
}

func showNodes(ctx context.Context, r *workload, conn *pgx.Conn) (string, error) {
	results, err := conn.PgConn().Exec(ctx, "SHOW POOL_NODES").ReadAll()
	if err != nil {
		return "", err
	}
	seen := map[string]int{}
	for _, row := range results[0].Rows {
		for i, field := range results[0].FieldDescriptions {
			if field.Name == "role" || field.Name == "status" {
				seen[string(row[i])]++
			}
		}
	}
	return fmt.Sprint(seen), errors.Join(
		want("nodes", len(results[0].Rows), len(r.nodes.Nodes()), nil),
		want("primaries", seen["primary"], 1, nil),
		want("nodes that are down", seen["down"], 0, nil))
}

func writes(ctx context.Context, r *workload, conn *pgx.Conn) (string, error) {
	err := execute(ctx, conn, "DROP TABLE IF EXISTS demo", "CREATE TABLE demo (id int PRIMARY KEY, balance int NOT NULL)")
	if err != nil {
		return "", err
	}
	for i := range rows {
		if _, err := conn.Exec(ctx, "INSERT INTO demo VALUES ($1, 100)", i); err != nil {
			return "", err
		}
	}
	count, err := r.nodes.Exec(ctx, "SELECT count(*) FROM demo")
	return count + " rows on the primary", want("rows", count, fmt.Sprint(rows), err)
}

func prepared(ctx context.Context, _ *workload, conn *pgx.Conn) (string, error) {
	if _, err := conn.Prepare(ctx, "plus", "SELECT $1::int + 1"); err != nil {
		return "", err
	}
	for i := range 100 {
		got, err := value[int](ctx, conn, "plus", i)
		if err := want("answer", got, i+1, err); err != nil {
			return "", err
		}
	}
	var batch pgx.Batch
	for i := range 100 {
		batch.Queue("plus", i)
	}
	results := conn.SendBatch(ctx, &batch)
	for i := range 100 {
		var got int
		err := results.QueryRow().Scan(&got)
		if err := want("answer in a batch", got, i+1, err); err != nil {
			return "", errors.Join(err, results.Close())
		}
	}
	return "100 one by one, 100 in one batch", results.Close()
}
