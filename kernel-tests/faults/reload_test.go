package faults_test

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"pgherd/bench/herd"
)

const (
	reloadClients = 16
	reloadServers = 4
	reloadTurns   = 100
	reloadEvery   = 50 * time.Millisecond
	buildLimit    = 10 * time.Minute
)

// TestReloadsUnderLoad reloads an unchanged configuration again and again under load. Each client reads what it has set,
// and nothing that another client has set. The race detector is on.
func TestReloadsUnderLoad(t *testing.T) {
	ctx, cancel := limited(buildLimit)
	defer cancel()
	binary, err := herd.Build(ctx, t.TempDir(), "-race")
	if err != nil {
		t.Fatal(err)
	}
	for _, mode := range []string{"transaction", "session"} {
		engines(t, func(t *testing.T, engine string) {
			proxy := startProxy(t, herd.ProxySettings{Binary: binary, Nodes: world.herd.Nodes(), HBA: trustHBA, Config: fmt.Sprintf(
				"io_engine = %s\npool_mode = %s\nmax_db_connections = %d\nbackend_weight0 = 0\n", engine, mode, reloadServersIn(mode))})
			stop := reloadOften(t, proxy)
			err := each(reloadClients, reloadClients, func(i int) error { return tenantsLife(proxy, i) })
			if reloads := stop(); reloads == 0 {
				t.Error("nothing was reloaded")
			}
			log, failed := os.ReadFile(proxy.Log())
			if err := errors.Join(err, failed); err != nil {
				t.Error(err)
			}
			if _, race, found := strings.Cut(string(log), "DATA RACE"); found {
				t.Errorf("the race detector reports:%s", race)
			}
		})
	}
}

func reloadServersIn(mode string) int {
	if mode == "session" { // each client keeps a server
		return 2 * reloadClients
	}
	return reloadServers
}

// reloadOften sends SIGHUP until stop is called, which returns the number of signals.
func reloadOften(t *testing.T, proxy *herd.Proxy) (stop func() int) {
	end, over, count := make(chan struct{}), sync.WaitGroup{}, 0
	over.Go(func() {
		for {
			select {
			case <-end:
				return
			case <-time.After(reloadEvery):
			}
			if err := syscall.Kill(proxy.PID(), syscall.SIGHUP); err != nil {
				t.Error(err)
				return
			}
			count++
		}
	})
	return func() int {
		close(end)
		over.Wait()
		return count
	}
}

// tenantsLife sets a tenant of its own and reads it, again and again.
func tenantsLife(proxy *herd.Proxy, i int) error {
	conn, err := tryConnect(proxy, herd.User, "")
	if err != nil {
		return err
	}
	defer closeConn(conn)
	for turn := range reloadTurns {
		tenant := fmt.Sprintf("tenant %d.%d", i, turn)
		if err := setTenant(conn, turn, tenant); err != nil {
			return err
		}
		for range 2 {
			got, err := ask(conn, "SELECT current_setting('app.tenant'), 'of "+tenant+"'")
			if err != nil || got != tenant {
				return fmt.Errorf("tenant %s reads %q, error %w", tenant, got, err)
			}
		}
	}
	return nil
}

// setTenant sets the tenant in one of several ways.
func setTenant(conn *pgconn.PgConn, turn int, tenant string) error {
	ctx, cancel := limited(answerLimit)
	defer cancel()
	switch turn % 3 {
	case 0:
		return hung(ctx, conn.ExecParams(ctx, "SELECT set_config('app.tenant', $1, false)", [][]byte{[]byte(tenant)}, nil, nil, nil).Read().Err)
	case 1:
		_, err := ask(conn, "BEGIN; SET app.tenant = '"+tenant+"'; COMMIT")
		return err
	}
	_, err := ask(conn, "SET app.tenant = '"+tenant+"'")
	return err
}
