package faults_test

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"pgherd/bench/herd"
)

// The servers of alice and bob are counted. Those of the superuser are pgherd's probes' and the test's.
const (
	countSQL = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND usename IN ('alice', 'bob')"
	showSQL  = "SHOW POOL_POOLS"
)

// inPostgres are the processes that serve alice and bob.
func inPostgres(ctx context.Context) ([]string, error) {
	out, err := world.herd.Exec(ctx, countSQL)
	pids := strings.Fields(out)
	slices.Sort(pids)
	return pids, err
}

// inPools are the server processes that pgherd shows for alice and bob.
func inPools(conn *pgconn.PgConn) ([]string, error) {
	rows, err := show(conn, showSQL)
	var pids []string
	for _, row := range rows {
		if row["username"] == herd.User || row["username"] == herd.UserMD5 {
			pids = append(pids, row["pool_backendpid"])
		}
	}
	slices.Sort(pids)
	return pids, err
}

// show runs a SHOW command, and returns its rows by column.
func show(conn *pgconn.PgConn, sql string) ([]map[string]string, error) {
	ctx, cancel := limited(answerLimit)
	defer cancel()
	results, err := conn.Exec(ctx, sql).ReadAll()
	if err != nil {
		return nil, hung(ctx, err)
	}
	var rows []map[string]string
	for _, values := range results[0].Rows {
		row := map[string]string{}
		for i, f := range results[0].FieldDescriptions {
			row[f.Name] = string(values[i])
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// settled waits until PostgreSQL and pgherd have the same servers: none has leaked, and pgherd has none that has ended.
// It returns their number.
func settled(t *testing.T, p *herd.Proxy) int {
	t.Helper()
	conn := connectAs(t, p, herd.Superuser, "")
	defer closeConn(conn)
	count := 0
	eventually(t, "PostgreSQL and SHOW POOL_POOLS agree", func() error {
		pools, err := inPools(conn)
		if err != nil {
			return err
		}
		processes, err := inPostgres(t.Context())
		if err != nil {
			return err
		}
		count = len(pools)
		if !slices.Equal(pools, processes) {
			return fmt.Errorf("PostgreSQL has the servers %v, SHOW POOL_POOLS %v", processes, pools)
		}
		return nil
	})
	return count
}

// allIdle waits until pgherd has no client except the one that asks.
func allIdle(t *testing.T, p *herd.Proxy) {
	t.Helper()
	conn := connectAs(t, p, herd.Superuser, "")
	defer closeConn(conn)
	eventually(t, "all clients have left", func() error {
		rows, err := show(conn, "SHOW POOL_CLIENTS")
		if err == nil && len(rows) != 1 {
			err = fmt.Errorf("%d clients: %v", len(rows), rows)
		}
		return err
	})
}

// memory is a line of /proc/PID/status, in bytes.
func memory(t *testing.T, pid int, name string) int64 {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		var kb int64
		if _, err := fmt.Sscanf(line, name+": %d kB", &kb); err == nil {
			return kb << 10
		}
	}
	t.Fatalf("%s is missing in /proc/%d/status", name, pid)
	return 0
}

// forgetPeak resets VmHWM, the most memory that was ever resident.
func forgetPeak(t *testing.T, pid int) {
	t.Helper()
	if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", pid), []byte("5"), 0); err != nil {
		t.Fatal(err)
	}
}

func megabytes(bytes int64) string { return fmt.Sprintf("%.1f MB", float64(bytes)/(1<<20)) }
