package faults_test

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"pgherd/bench/herd"
)

// TestNumbers checks that a client that keeps one server is told the server's process number. Other clients are told a
// number that no process has, by which pgherd knows them.
func TestNumbers(t *testing.T) {
	for mode, own := range map[string]bool{"session": true, "transaction": false} {
		t.Run(mode, func(t *testing.T) {
			engines(t, func(t *testing.T, engine string) {
				proxy := start(t, engine, "server_at_login = on\npool_mode = "+mode+"\n")
				seen := map[uint32]bool{}
				for range 20 {
					conn := connect(t, proxy)
					pid := conn.PID()
					if same := mustAsk(t, conn, "SELECT pg_backend_pid()") == fmt.Sprint(pid); same != own || seen[pid] || int32(pid) <= 0 {
						t.Errorf("the client was told %d; it is its server's: %v; another client was told it: %v", pid, same, seen[pid])
					}
					if !own && pid < 1<<22 {
						t.Errorf("the client was told %d, which may be a process's number", pid)
					}
					seen[pid] = true
				}
			})
		})
	}
}

// TestNotifyNamesTheClient checks that a client recognizes its own notifications, and is told which client has sent the
// others.
func TestNotifyNamesTheClient(t *testing.T) {
	for _, mode := range []string{"session", "transaction"} {
		t.Run(mode, func(t *testing.T) {
			engines(t, func(t *testing.T, engine string) {
				proxy := start(t, engine, "pool_mode = "+mode+"\n")
				var mutex sync.Mutex
				var heard []string
				listener := listening(t, proxy, func(n *pgconn.Notification) {
					mutex.Lock()
					defer mutex.Unlock()
					heard = append(heard, fmt.Sprint(n.PID, " ", n.Payload))
				})
				mustAsk(t, listener, "LISTEN numbers")
				others := []*pgconn.PgConn{connect(t, proxy), connect(t, proxy)}
				var want []string
				for i := range 20 {
					for name, sender := range map[string]*pgconn.PgConn{"own": listener, "first": others[0], "second": others[1]} {
						payload := fmt.Sprint(name, " ", i)
						mustAsk(t, sender, "SELECT pg_notify('numbers', '"+payload+"')")
						want = append(want, fmt.Sprint(sender.PID(), " ", payload))
					}
				}
				eventually(t, "all is heard", func() error {
					mustAsk(t, listener, "SELECT 1")
					mutex.Lock()
					defer mutex.Unlock()
					if len(heard) < len(want) {
						return fmt.Errorf("got %d notifications of %d", len(heard), len(want))
					}
					return nil
				})
				for i := range want {
					if heard[i] != want[i] {
						t.Errorf("got notifications %q, want %q", heard[i], want[i])
					}
				}
			})
		})
	}
}

func listening(t *testing.T, proxy *herd.Proxy, hear func(*pgconn.Notification)) *pgconn.PgConn {
	t.Helper()
	config, err := pgconn.ParseConfig(dsn(proxy.Port, herd.User))
	if err != nil {
		t.Fatal(err)
	}
	config.OnNotification = func(_ *pgconn.PgConn, n *pgconn.Notification) { hear(n) }
	ctx, cancel := context.WithTimeout(t.Context(), answerLimit)
	defer cancel()
	conn, err := pgconn.ConnectConfig(ctx, config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeConn(conn) })
	return conn
}

// TestBaseBackupThroughTwo checks that two pgherds in front of one primary tell different numbers. pg_basebackup names
// its slot after that number.
func TestBaseBackupThroughTwo(t *testing.T) {
	engines(t, func(t *testing.T, engine string) {
		const each = 2
		var backups sync.WaitGroup
		for range 2 {
			proxy := startProxy(t, herd.ProxySettings{HBA: replicationHBA, Config: "io_engine = " + engine})
			for range each {
				dir := filepath.Join(t.TempDir(), "data")
				backups.Go(func() {
					postgresTool(t, proxy, "pg_basebackup", "-D", dir, "-X", "stream", "-c", "fast", "--no-sync")
				})
			}
		}
		backups.Wait()
	})
}
