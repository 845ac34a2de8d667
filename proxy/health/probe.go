package health

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"pgherd/proxy/nodes"
)

// Access is how the probes log in.
type Access struct {
	User, Password, Database string
	SSLMode                  string // as libpq's
}

// SQL makes the probe that asks PostgreSQL itself. A connect alone would not
// do: the kernel accepts for a server that hangs.
func SQL(a Access) Probe {
	return func(ctx context.Context, n *nodes.Node) (Finding, error) {
		conn, err := dial(ctx, a, n)
		if err != nil {
			return Finding{}, fmt.Errorf("connect to node %d: %w", n.Index, err)
		}
		defer conn.Close(ctx)
		f := Finding{Reachable: true, Standbys: map[string]Standby{}}
		if f.Role, f.LSN, err = askPosition(ctx, conn); err != nil {
			return Finding{}, fmt.Errorf("ask node %d: %w", n.Index, err)
		}
		if f.Last, err = askIdentity(ctx, conn, f.Role); err != nil {
			return Finding{}, fmt.Errorf("ask node %d: %w", n.Index, err)
		}
		if f.Role == nodes.Primary {
			askStandbys(ctx, conn, &f)
		}
		return f, nil
	}
}

// askStandbys reads what a primary says of its standbys. A user who may not
// see it gets empty columns; that is no fault of the node's.
func askStandbys(ctx context.Context, conn *pgconn.PgConn, f *Finding) {
	rows, err := ask(ctx, conn, "SELECT application_name, host(client_addr), state, sync_state, "+
		"(extract(epoch FROM replay_lag) * 1000000)::bigint FROM pg_stat_replication")
	if err != nil {
		return
	}
	for _, row := range rows {
		lag, _ := strconv.ParseInt(row[4], 10, 64) // NULL: it has caught up, or says nothing
		for _, name := range row[:2] {
			f.Standbys[name] = Standby{State: row[2], SyncState: row[3], Delay: time.Duration(max(0, lag)) * time.Microsecond}
		}
	}
}

// dial connects. What libpq's environment variables could add to it, the
// daemon has removed from its own environment.
func dial(ctx context.Context, a Access, n *nodes.Node) (*pgconn.PgConn, error) {
	quoted := func(s string) string { return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) + "'" }
	config, err := pgconn.ParseConfig(fmt.Sprintf(
		"host=%s port=%d user=%s password=%s dbname=%s sslmode=%s application_name=pgherd passfile=/dev/null",
		quoted(n.Host), n.Port, quoted(a.User), quoted(a.Password), quoted(a.Database), a.SSLMode))
	if err != nil {
		return nil, err
	}
	return pgconn.ConnectConfig(ctx, config)
}

func ask(ctx context.Context, conn *pgconn.PgConn, sql string) ([][]string, error) {
	results, err := conn.Exec(ctx, sql).ReadAll()
	if err != nil {
		return nil, err
	}
	var rows [][]string
	for _, r := range results {
		for _, row := range r.Rows {
			text := make([]string, len(row))
			for i, value := range row {
				text[i] = string(value)
			}
			rows = append(rows, text)
		}
	}
	return rows, nil
}
