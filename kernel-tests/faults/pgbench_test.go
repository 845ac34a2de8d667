package faults_test

import (
	"fmt"
	"strings"
	"testing"

	"pgherd/bench/herd"
)

// pgbenchServers is the number of servers for all of pgbench's clients together.
const pgbenchServers = 10

// pgbenchRuns are runs of every protocol, reading and writing, with and without a log-in for each transaction.
var pgbenchRuns = []struct {
	args          string
	clients, each int
	writes        bool
}{
	{"-M simple -S", 200, 20, false},
	{"-M extended -S", 200, 20, false},
	{"-M prepared -S", 200, 20, false},
	{"-M simple", 200, 5, true},
	{"-M extended", 200, 5, true},
	{"-M prepared", 200, 5, true},
	{"-M simple -C", 20, 5, true},
	{"-M prepared -C", 20, 5, true},
	{"-M prepared -C -S", 20, 5, false},
}

// TestPgbenchSharesServers has twenty of pgbench's clients share each server. No transaction fails, and in the end the
// sums are right.
func TestPgbenchSharesServers(t *testing.T) {
	engines(t, func(t *testing.T, engine string) {
		proxy := startProxy(t, herd.ProxySettings{HBA: trustHBA, Config: fmt.Sprintf(
			"io_engine = %s\npool_mode = transaction\nmax_db_connections = %d", engine, pgbenchServers)})
		settled(t, proxy)
		target := dsn(proxy.Port, herd.User)
		if out, err := program(t, "pgbench", "-i", "-q", "-s", "5", target); err != nil {
			t.Fatalf("initialize pgbench: %v\n%s", err, out)
		}
		most := watchServers(t)
		moved := 0
		for _, run := range pgbenchRuns {
			args := append(strings.Fields(run.args), "-n", "-j", "2", "-c", fmt.Sprint(run.clients), "-t", fmt.Sprint(run.each), target)
			out, err := program(t, "pgbench", args...)
			done := fmt.Sprintf("actually processed: %d/%d\n", run.clients*run.each, run.clients*run.each)
			if err != nil || !strings.Contains(out, done) || !strings.Contains(out, "failed transactions: 0 ") {
				t.Errorf("pgbench %s: %v\n%s", run.args, err, out)
			}
			if run.writes {
				moved += run.clients * run.each
			}
		}
		wantAtMost(t, most(), pgbenchServers)
		wantBooks(t, moved)
		logWaits(t, proxy)
		allIdle(t, proxy)
		settled(t, proxy)
	})
}

func wantBooks(t *testing.T, moved int) {
	t.Helper()
	got := direct(t, `SELECT count(*), sum(delta) = (SELECT sum(abalance) FROM pgbench_accounts),
		sum(delta) = (SELECT sum(tbalance) FROM pgbench_tellers), sum(delta) = (SELECT sum(bbalance) FROM pgbench_branches)
		FROM pgbench_history`)
	if want := fmt.Sprintf("%d|t|t|t", moved); got != want {
		t.Errorf("the sums are %q, want %q", got, want)
	}
}

// wantAtMost checks the largest number of servers that PostgreSQL had at a time.
func wantAtMost(t *testing.T, servers, limit int) {
	t.Helper()
	if servers > limit || servers == 0 {
		t.Errorf("PostgreSQL had up to %d connections, want %d at most", servers, limit)
	}
}

// logWaits logs how long clients have waited for a server. That is no measurement, but worth a look.
func logWaits(t *testing.T, p *herd.Proxy) {
	t.Helper()
	conn := connectAs(t, p, herd.Superuser, "")
	defer closeConn(conn)
	rows, err := show(conn, "SHOW POOL_STATS")
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range rows {
		if row["username"] == herd.User {
			t.Logf("%s servers, %s checkouts, %s pins; waits: %s at the median, %s at p99, %s at most",
				row["servers_idle"], row["checkouts"], row["pins"], row["wait_p50"], row["wait_p99"], row["wait_max"])
		}
	}
}
