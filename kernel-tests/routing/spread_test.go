package routing_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"pgherd/bench/herd"
)

// where says which nodes have answered n reads. The reads are sent one after the other, because those of one pipeline go
// to one node.
func where(conn *pgconn.PgConn, n int) (map[string]int, error) {
	seen := map[string]int{}
	for range n {
		got, err := ask(conn, "SELECT node()")
		if err != nil {
			return seen, err
		}
		seen[got]++
	}
	return seen, nil
}

// everywhere reads until each node has answered. While a standby's server is being opened, which takes long on a busy
// machine, the reads that wait for it go to the primary.
func everywhere(conn *pgconn.PgConn) error {
	for range 100 {
		seen, err := where(conn, 100)
		if err != nil || len(seen) == 3 {
			return err
		}
	}
	return errors.New("a node does not answer reads")
}

// TestWeights checks that a node is chosen for every statement, and that the nodes' shares are those of their weights.
func TestWeights(t *testing.T) {
	const clients = 4
	engines(t, func(t *testing.T, config string) {
		proxy := start(t, config+"statement_level_load_balance = on\nbackend_weight0 = 1\nbackend_weight1 = 2\nbackend_weight2 = 1\n")
		var warm, all sync.WaitGroup
		var mu sync.Mutex
		total := map[string]int{}
		warm.Add(clients)
		for range clients {
			conn := connect(t, proxy)
			all.Go(func() {
				err := everywhere(conn)
				warm.Done()
				if err != nil {
					t.Error(err)
				}
				warm.Wait()
				seen, err := where(conn, times(2000))
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				for node, n := range seen {
					total[node] += n
				}
			})
		}
		all.Wait()
		wantShares(t, total, times(2000)*clients, map[string]float64{"node0": 0.25, "node1": 0.5, "node2": 0.25})
	})
}

// within is the error that a share may have, which is 5 standard deviations.
const within = 0.03

func wantShares(t *testing.T, seen map[string]int, reads int, shares map[string]float64) {
	t.Helper()
	sum := 0
	for node, want := range shares {
		sum += seen[node]
		if got := float64(seen[node]) / float64(reads); math.Abs(got-want) > within {
			t.Errorf("%s got %.3f of the reads, want its weight's share of %.3f", node, got, want)
		}
	}
	if t.Logf("of %d reads: %v", reads, seen); sum != reads {
		t.Errorf("got %d answers for %d reads", sum, reads)
	}
}

// only waits until reads are answered by these nodes alone, and checks that this stays so.
func only(t *testing.T, conn *pgconn.PgConn, nodes ...string) {
	t.Helper()
	check := func() error {
		seen, err := where(conn, 100)
		for _, node := range nodes {
			if err == nil && seen[node] == 0 {
				err = fmt.Errorf("no answer from %s: %v", node, seen)
			}
			delete(seen, node)
		}
		if err == nil && len(seen) > 0 {
			err = fmt.Errorf("answers come from others than %v: %v", nodes, seen)
		}
		return err
	}
	eventually(t, fmt.Sprint("reads come from ", nodes, " alone"), check)
	for range 5 {
		if err := check(); err != nil {
			t.Error(err)
		}
	}
}

// TestDelayThreshold checks that a standby that is too far behind gets no reads, and later gets them again without an
// administrator.
func TestDelayThreshold(t *testing.T) {
	engines(t, func(t *testing.T, config string) {
		proxy := start(t, config+"backend_weight0 = 0\nstatement_level_load_balance = on\ndelay_threshold = 100000\n")
		conn := connect(t, proxy)
		only(t, conn, "node1", "node2")
		on(t, 1, "SELECT pg_wal_replay_pause()")
		t.Cleanup(func() { on(t, 1, "SELECT pg_wal_replay_resume()") })
		only(t, conn, "node1", "node2") // node1 is not behind yet
		on(t, 0, "INSERT INTO item (owner, k, v) SELECT 2000000, i, repeat('x', 100) FROM generate_series(1, 5000) i")
		only(t, conn, "node0", "node2") // the primary gets the share of the standby that is late
		on(t, 1, "SELECT pg_wal_replay_resume()")
		only(t, conn, "node1", "node2")
		on(t, 0, "DELETE FROM item WHERE owner = 2000000")
	})
}

// reload makes pgherd read further lines of configuration.
func reload(t *testing.T, p *herd.Proxy, lines string) {
	t.Helper()
	file, err := os.OpenFile(filepath.Join(p.Dir, "pgpool.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = file.WriteString(lines)
	if err := errors.Join(err, file.Close(), syscall.Kill(p.PID(), syscall.SIGHUP)); err != nil {
		t.Fatal(err)
	}
}

// sessionsOn are sessions whose reads go to a node, in a mode that chooses one for the whole session.
func sessionsOn(t *testing.T, p *herd.Proxy, node string, n int) (all []*pgconn.PgConn) {
	t.Helper()
	for try := 0; len(all) < n; try++ {
		if try > 100*n {
			t.Fatalf("of %d sessions only %d read from %s", try, len(all), node)
		}
		conn, err := tryConnect(p)
		if err != nil {
			t.Fatal(err)
		}
		if mustAsk(t, conn, "SELECT node()") != node {
			closeConn(conn)
			continue
		}
		t.Cleanup(func() { closeConn(conn) })
		all = append(all, conn)
	}
	return all
}

// TestMaintenance checks that when a node's weight becomes 0 all clients leave it, each at the end of its transaction, and
// that no client is disconnected.
func TestMaintenance(t *testing.T) {
	engines(t, func(t *testing.T, config string) {
		proxy := start(t, config+"backend_weight0 = 0\nbackend_weight1 = 1\nbackend_weight2 = 1\n")
		sessions := sessionsOn(t, proxy, "node1", 4)
		inside := sessions[:2]
		for _, conn := range inside {
			mustAsk(t, conn, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
			if got := mustAsk(t, conn, "SELECT node()"); got != "node1" {
				t.Fatalf("a transaction began on %s", got)
			}
		}
		reload(t, proxy, "backend_weight1 = 0\n")
		eventually(t, "the weight is in effect", func() error {
			if got := mustAsk(t, sessions[3], "SELECT node()"); got != "node2" {
				return fmt.Errorf("a read still went to %s", got)
			}
			return nil
		})
		for i, conn := range sessions {
			want := "node2"
			if i < len(inside) {
				want = "node1" // this session stays up to the end of its transaction
			}
			if got := mustAsk(t, conn, "SELECT node()"); got != want {
				t.Errorf("session %d reads from %s, want %s", i, got, want)
			}
		}
		for i, conn := range inside {
			mustAsk(t, conn, "COMMIT")
			if got := mustAsk(t, conn, "SELECT node()"); got != "node2" {
				t.Errorf("session %d reads from %s in its next transaction", i, got)
			}
		}
		for range 5 {
			only(t, connect(t, proxy), "node2")
		}
		reload(t, proxy, "backend_weight1 = 1\n")
		waitNodes(t, proxy, "node1")
	})
}

// TestStandbyIsKilled checks that when a standby dies reads go on elsewhere, and that no client that waits is
// disconnected.
func TestStandbyIsKilled(t *testing.T) {
	engines(t, func(t *testing.T, config string) {
		proxy := start(t, config+"backend_weight0 = 0\n")
		sessions := append(sessionsOn(t, proxy, "node1", 4), sessionsOn(t, proxy, "node2", 2)...)
		if err := world.herd.Kill(1); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := errors.Join(world.herd.Restart(context.Background(), 1), world.herd.WaitStreaming(context.Background())); err != nil {
				t.Error(err)
			}
		})
		for i, conn := range sessions {
			if got, err := ask(conn, "SELECT node()"); err != nil || got == "node1" {
				t.Errorf("session %d, after the end of node1: got %q, error %v", i, got, err)
			}
		}
		for i, conn := range sessions {
			if conn.IsClosed() {
				t.Errorf("session %d was disconnected", i)
			}
		}
		for range 10 {
			if got := mustAsk(t, connect(t, proxy), "SELECT node()"); got == "node1" {
				t.Error("a dead node answers")
			}
		}
	})
}
