package faults_test

import (
	"bufio"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"pgherd/bench/herd"
)

const loadClients = 12

// endLoad ends l, whose clients must have got only right answers.
func endLoad(t *testing.T, l *load) {
	t.Helper()
	if err := l.end(); err != nil {
		t.Fatal(err)
	}
	right, broken := l.answers()
	t.Logf("%d clients: %d right answers, %d connections cut off", len(l.clients), right, broken)
}

func progress(t *testing.T, l *load, n int64) {
	t.Helper()
	if err := l.progress(n); err != nil {
		t.Fatal(errors.Join(err, l.end()))
	}
}

func (l *load) mustBreak(t *testing.T) {
	t.Helper()
	if _, broken := l.answers(); broken == 0 {
		t.Error("no client has had an error, so nothing was tested")
	}
}

// TestServerProcessIsKilled kills a server process, after which PostgreSQL ends all others, too, and recovers. Every
// client gets an error, and goes on afterwards.
func TestServerProcessIsKilled(t *testing.T) {
	engines(t, func(t *testing.T, engine string) {
		proxy := start(t, engine, "")
		l := startLoad(dsn(proxy.Port, herd.User), loadClients, outage)
		progress(t, l, 3)
		pids, err := inPostgres(t.Context())
		if err != nil || len(pids) == 0 {
			t.Fatal(pids, err)
		}
		pid, _ := strconv.Atoi(pids[rand.IntN(len(pids))])
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		eventually(t, "a client is cut off", func() error {
			if _, broken := l.answers(); broken == 0 {
				return errors.New("no client was disconnected")
			}
			return nil
		})
		progress(t, l, 10)
		endLoad(t, l)
		l.mustBreak(t)
		allIdle(t, proxy)
		settled(t, proxy)
	})
}

func TestPostgreSQLIsKilledAndRestarted(t *testing.T) {
	engines(t, func(t *testing.T, engine string) {
		proxy := start(t, engine, "")
		l := startLoad(dsn(proxy.Port, herd.User), loadClients, outage)
		progress(t, l, 3)
		if err := world.herd.Kill(0); err != nil {
			t.Fatal(err)
		}
		time.Sleep(1500 * time.Millisecond) // this gives probes the time to see it, too
		if err := world.herd.Restart(t.Context(), 0); err != nil {
			t.Fatal(err)
		}
		progress(t, l, 10)
		endLoad(t, l)
		l.mustBreak(t)
		allIdle(t, proxy)
		settled(t, proxy)
	})
}

func TestPgherdIsKilled(t *testing.T) {
	engines(t, func(t *testing.T, engine string) {
		proxy := start(t, engine, "")
		l := startLoad(dsn(proxy.Port, herd.User), loadClients, outage)
		progress(t, l, 3)
		signal(t, proxy, syscall.SIGKILL)
		ended(t, proxy)
		again := startProxy(t, herd.ProxySettings{Port: proxy.Port, Config: "io_engine = " + engine})
		progress(t, l, 10)
		endLoad(t, l)
		l.mustBreak(t)
		allIdle(t, again)
		settled(t, again)
	})
}

// childVariable makes this program run clients that work until it is killed.
const childVariable = "FAULTS_CHILD_DSN"

const childClients = 6

func childMain() int {
	l := startLoad(os.Getenv(childVariable), childClients, nil)
	if err := l.progress(1); err != nil {
		fmt.Println("failed:", err)
		return 1
	}
	fmt.Println("working")
	time.Sleep(10 * time.Minute) // until killed
	return 1
}

// startChild starts the child, and returns once all its clients work.
func startChild(t *testing.T, dsn string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childVariable+"="+dsn)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || line != "working\n" {
		t.Fatalf("the child printed %q, error %v", line, err)
	}
	return cmd
}

// TestClientsAreKilled kills clients in the middle of queries, pipelines, transactions and copies. That disturbs no
// other client, and none of their servers is left.
func TestClientsAreKilled(t *testing.T) {
	engines(t, func(t *testing.T, engine string) {
		proxy := start(t, engine, "")
		l := startLoad(dsn(proxy.Port, herd.User), 4, nil)
		for range 8 {
			child := startChild(t, dsn(proxy.Port, herd.User))
			time.Sleep(rand.N(100 * time.Millisecond))
			if err := child.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			_ = child.Wait() // killed
		}
		progress(t, l, 10)
		endLoad(t, l)
		allIdle(t, proxy)
		t.Logf("there are %d servers afterwards", settled(t, proxy))
	})
}

// TestServerIsTerminatedInUse checks that the end of a server that is in use ends only its session.
func TestServerIsTerminatedInUse(t *testing.T) {
	engines(t, func(t *testing.T, engine string) {
		proxy := start(t, engine, "")
		l := startLoad(dsn(proxy.Port, herd.UserMD5), 4, nil)
		for round := range 6 {
			conn := connect(t, proxy)
			pid := mustAsk(t, conn, "SELECT pg_backend_pid()")
			answer := make(chan error, 1)
			if round%2 == 0 { // while it works; in other rounds while it waits in a transaction
				go func() { _, err := ask(conn, "SELECT pg_sleep(120)"); answer <- err }()
				eventually(t, "the query runs", func() error { return isActive(t, pid) })
			} else {
				mustAsk(t, conn, "BEGIN; SELECT 1")
			}
			direct(t, "SELECT pg_terminate_backend("+pid+", 20000)")
			if round%2 == 1 {
				go func() { _, err := ask(conn, "SELECT 1"); answer <- err }()
			}
			if err := <-answer; sqlstate(err) != "57P01" && !(round%2 == 1 && lost(err)) {
				t.Errorf("round %d: the session ended with %v, want 57P01", round, err)
			}
		}
		progress(t, l, 3)
		endLoad(t, l)
		allIdle(t, proxy)
		settled(t, proxy)
	})
}

func isActive(t *testing.T, pid string) error {
	if state := direct(t, "SELECT state FROM pg_stat_activity WHERE pid = "+pid); state != "active" {
		return fmt.Errorf("state of %s is %q", pid, state)
	}
	return nil
}

// TestServerIsTerminatedWhileIdle checks that an idle server that ends is never given to a client, even on the other
// worker.
func TestServerIsTerminatedWhileIdle(t *testing.T) {
	engines(t, func(t *testing.T, engine string) {
		proxy := start(t, engine, "workers = 2\nmax_node_connections = 1")
		last := ""
		for round := range 10 {
			conn := connect(t, proxy)
			pid := mustAsk(t, conn, "SELECT pg_backend_pid()")
			if pid == last {
				t.Fatalf("round %d: server %s was given to a client after its end", round, pid)
			}
			closeConn(conn)
			eventually(t, "the server is idle", func() error {
				if wait := direct(t, "SELECT query FROM pg_stat_activity WHERE state = 'idle' AND pid = "+pid); !strings.Contains(wait, "setseed") { // this is the last statement of a reset
					return fmt.Errorf("the last query of %s is %q", pid, wait)
				}
				return nil
			})
			if got := direct(t, "SELECT pg_terminate_backend("+pid+", 20000)"); got != "t" {
				t.Fatalf("terminate %s: %s", pid, got)
			}
			last = pid
		}
		settled(t, proxy)
	})
}
