package faults_test

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"pgherd/bench/herd"
)

const (
	idleClients  = 5000
	busyClients  = 50
	loginsAtOnce = 32
	serverLimit  = busyClients + 10
	busyRest     = 200 * time.Millisecond // pause of busy clients, which leaves processor time for the others
)

// TestManyIdleClients connects thousands of clients that have no server beside busy ones. Each is answered when it
// asks. They log in by SCRAM, as the busy ones do.
func TestManyIdleClients(t *testing.T) {
	engines(t, func(t *testing.T, engine string) {
		proxy := startProxy(t, herd.ProxySettings{HBA: trustHBA,
			Config: fmt.Sprintf("io_engine = %s\nmax_node_connections = %d", engine, serverLimit)})
		settled(t, proxy)
		busy := startPaced(dsn(proxy.Port, herd.User), busyClients, busyRest, nil)
		progress(t, busy, 1)
		before := memory(t, proxy.PID(), "VmRSS")
		began := time.Now()
		idle := logInMany(t, proxy, idleClients)
		after := memory(t, proxy.PID(), "VmRSS")
		t.Logf("%d logins in %v beside %d busy clients; %d bytes of RSS per idle client (%s to %s)", len(idle),
			time.Since(began).Round(time.Millisecond), busyClients, (after-before)/int64(len(idle)), megabytes(before), megabytes(after))
		progress(t, busy, 3)
		most := watchServers(t)
		began = time.Now()
		answerMany(t, idle)
		t.Logf("all %d idle clients were answered, in %v", len(idle), time.Since(began).Round(time.Millisecond))
		progress(t, busy, 1)
		if n := most(); n > serverLimit {
			t.Errorf("PostgreSQL had %d connections, max_node_connections is %d", n, serverLimit)
		} else {
			t.Logf("at most %d connections in PostgreSQL, %d allowed", n, serverLimit)
		}
		endLoad(t, busy)
		allIdle(t, proxy)
		settled(t, proxy)
	})
}

// each calls work for 0 to n-1, a few at a time, and returns the first error.
func each(n, atOnce int, work func(i int) error) error {
	var next, failures atomic.Int64
	var first error
	var once sync.Once
	var running sync.WaitGroup
	for range atOnce {
		running.Go(func() {
			for i := next.Add(1) - 1; i < int64(n) && failures.Load() == 0; i = next.Add(1) - 1 {
				if err := work(int(i)); err != nil {
					failures.Add(1)
					once.Do(func() { first = fmt.Errorf("number %d: %w", i, err) })
				}
			}
		})
	}
	running.Wait()
	return first
}

func logInMany(t *testing.T, p *herd.Proxy, n int) []net.Conn {
	t.Helper()
	all := make([]net.Conn, n)
	t.Cleanup(func() {
		for _, conn := range all {
			if conn != nil {
				conn.Close()
			}
		}
	})
	err := each(n, loginsAtOnce, func(i int) (err error) {
		all[i], err = rawLogin(p)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// answerMany lets each client send a query and leave, so that others get its server.
func answerMany(t *testing.T, all []net.Conn) {
	t.Helper()
	err := each(len(all), loginsAtOnce, func(i int) error {
		defer all[i].Close()
		if err := all[i].SetDeadline(time.Now().Add(answerLimit)); err != nil {
			return err
		}
		want := strconv.Itoa(i)
		got, err := rawAsk(all[i], "SELECT "+want)
		if err == nil && got != want {
			err = fmt.Errorf("%w: got %q, want %q", errWrong, got, want)
		}
		if err == nil {
			_, err = all[i].Write(message('X'))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// watchServers counts, until it is stopped, the connections that pgherd has made for clients. A server that was told to
// end does not count while it is ending.
func watchServers(t *testing.T) (most func() int) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	node := world.herd.Nodes()[0]
	conn, err := pgconn.Connect(ctx, dsn(node.Port, herd.Superuser))
	if err != nil {
		t.Fatal(err)
	}
	highest, done := 0, make(chan error, 1)
	go func() {
		defer closeConn(conn)
		for ctx.Err() == nil {
			out, err := ask(conn, "SELECT count(*) FROM ("+countSQL+") s")
			if err != nil {
				done <- err
				return
			}
			n, _ := strconv.Atoi(out)
			highest = max(highest, n)
			time.Sleep(pollEvery)
		}
		done <- nil
	}()
	return func() int {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
		return highest
	}
}
