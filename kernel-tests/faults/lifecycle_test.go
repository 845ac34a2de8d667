package faults_test

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"pgherd/bench/herd"
)

// own is a pgherd that the test itself starts, so that the test sees how it ends.
type own struct {
	*herd.Proxy // its address; the herd does not stop it
	cmd         *exec.Cmd
	ended       chan struct{}
	log         string
}

// prepare makes a folder with a configuration for pgherd.
func prepare(t *testing.T, config string) *herd.Proxy {
	t.Helper()
	model, err := herd.StartProxy(t.Context(), herd.ProxySettings{Binary: world.binary, Nodes: world.herd.Nodes()[:1], HBA: trustHBA, Config: proxyConfig + config})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, name := range []string{"pgpool.conf", "pool_hba.conf", "pool_passwd", "pcp.conf"} {
		text, err := os.ReadFile(filepath.Join(model.Dir, name))
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), []byte(strings.ReplaceAll(string(text), model.Dir, dir)), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := model.Stop(); err != nil {
		t.Fatal(err)
	}
	return &herd.Proxy{Host: model.Host, Port: model.Port, Dir: dir}
}

func startOwn(t *testing.T, config string) *own {
	t.Helper()
	o := &own{Proxy: prepare(t, config), ended: make(chan struct{})}
	o.log = filepath.Join(o.Dir, "pgherd.log")
	out, err := os.Create(o.log)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	o.cmd = exec.Command(world.binary, "-n", "-f", filepath.Join(o.Dir, "pgpool.conf"))
	o.cmd.Stdout, o.cmd.Stderr = out, out
	if err := o.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = o.cmd.Wait() // the process's state tells how it ended
		close(o.ended)
	}()
	t.Cleanup(func() {
		_ = o.cmd.Process.Kill() // an error means that it has ended
		<-o.ended
		if t.Failed() {
			log, err := os.ReadFile(o.log)
			t.Logf("pgherd's log (%v):\n%s", err, log)
		}
	})
	waitPrimary(t, o.Proxy)
	return o
}

func (o *own) signal(t *testing.T, sig os.Signal) {
	t.Helper()
	if err := o.cmd.Process.Signal(sig); err != nil {
		t.Fatal(err)
	}
}

// wantStopped checks that pgherd has ended with status 0 and has left no pid file.
func (o *own) wantStopped(t *testing.T, mode string) {
	t.Helper()
	select {
	case <-o.ended:
	case <-time.After(settleLimit):
		t.Fatalf("pgherd still runs after %v", settleLimit)
	}
	if code := o.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("the exit code is %d (%v), want 0", code, o.cmd.ProcessState)
	}
	if _, err := os.Stat(filepath.Join(o.Dir, "pgherd.pid")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the pid file is still there: %v", err)
	}
	log, err := os.ReadFile(o.log)
	if err != nil || !strings.Contains(string(log), "stopping mode="+mode) || !strings.HasSuffix(string(log), "stopped\n") {
		t.Errorf("the log does not have a %s stop, error %v", mode, err)
	}
}

// TestSmartStop checks that a smart stop accepts no new clients and waits for the connected ones.
func TestSmartStop(t *testing.T) {
	engines(t, func(t *testing.T, engine string) {
		o := startOwn(t, "io_engine = "+engine)
		pid, err := os.ReadFile(filepath.Join(o.Dir, "pgherd.pid"))
		if err != nil || strings.TrimSpace(string(pid)) != strconv.Itoa(o.cmd.Process.Pid) {
			t.Errorf("the pid file has %q, error %v, want %d", pid, err, o.cmd.Process.Pid)
		}
		conn := connect(t, o.Proxy)
		mustAsk(t, conn, "BEGIN; INSERT INTO log VALUES ('smart', 1)")
		o.signal(t, syscall.SIGTERM)
		eventually(t, "new clients are refused", func() error {
			late, err := tryConnect(o.Proxy, herd.User, "")
			if err == nil {
				closeConn(late)
				return errors.New("a new client was accepted")
			}
			if !errors.Is(err, syscall.ECONNREFUSED) {
				return err
			}
			return nil
		})
		mustAsk(t, conn, "DELETE FROM log; COMMIT")
		if got := mustAsk(t, conn, "SELECT 'still served'"); got != "still served" {
			t.Errorf("the connected client got %q", got)
		}
		closeConn(conn)
		o.wantStopped(t, "smart")
		wantNoServers(t)
	})
}

func wantNoServers(t *testing.T) {
	t.Helper()
	eventually(t, "no server is left", func() error {
		pids, err := inPostgres(t.Context())
		if err == nil && len(pids) > 0 {
			err = fmt.Errorf("servers %v are still there", pids)
		}
		return err
	})
}

// TestFastStop checks that a fast stop, even after a smart one, sends every client an error, whatever the client does.
func TestFastStop(t *testing.T) {
	engines(t, func(t *testing.T, engine string) {
		o := startOwn(t, "max_node_connections = 3\nio_engine = "+engine)
		watch := connectAs(t, o.Proxy, herd.Superuser, "")
		told := make(chan error, 5)
		await := func(name string, conn net.Conn, sql string) {
			if sql != "" {
				send(t, conn, query(sql))
			}
			go func() {
				_, err := readValue(conn)
				if sqlstate(err) == "57P01" {
					err = nil
				}
				if err != nil {
					err = fmt.Errorf("client that is %s: %w, want 57P01", name, err)
				}
				told <- err
			}()
		}
		inTransaction := rawConn(t, o.Proxy)
		if _, err := rawAsk(inTransaction, "BEGIN"); err != nil {
			t.Fatal(err)
		}
		await("in a transaction", inTransaction, "")
		await("idle", rawConn(t, o.Proxy), "")
		await("active", rawConn(t, o.Proxy), "SELECT pg_sleep(2)")
		copying := rawConn(t, o.Proxy)
		send(t, copying, query("CREATE TEMP TABLE c (t text)"))
		if _, err := readValue(copying); err != nil {
			t.Fatal(err)
		}
		await("copying", copying, "COPY c FROM STDIN")
		await("waiting", rawConn(t, o.Proxy), "SELECT 1")
		waiting(t, watch, 1)
		closeConn(watch)
		o.signal(t, syscall.SIGTERM)
		o.signal(t, syscall.SIGINT)
		for range 5 {
			if err := <-told; err != nil {
				t.Error(err)
			}
		}
		o.wantStopped(t, "fast")
		wantNoServers(t)
	})
}

// TestImmediateStop checks that an immediate stop waits for no client.
func TestImmediateStop(t *testing.T) {
	engines(t, func(t *testing.T, engine string) {
		o := startOwn(t, "io_engine = "+engine)
		l := startLoad(dsn(o.Port, herd.User), 6, outage)
		progress(t, l, 1)
		o.signal(t, syscall.SIGQUIT)
		o.wantStopped(t, "immediate")
		l.stop()
		l.running.Wait()
		if err := l.failed(); err != nil && !errors.Is(err, syscall.ECONNREFUSED) {
			t.Error(err)
		}
		wantNoServers(t)
	})
}

// TestPgpoolStartsAndStops checks that pgpool's command line starts a daemon, reloads it and stops it.
func TestPgpoolStartsAndStops(t *testing.T) {
	p := prepare(t, "")
	pgpool := filepath.Join(t.TempDir(), "pgpool")
	if err := os.Symlink(world.binary, pgpool); err != nil {
		t.Fatal(err)
	}
	conf, pidFile := filepath.Join(p.Dir, "pgpool.conf"), filepath.Join(p.Dir, "pgherd.pid")
	run := func(args ...string) {
		t.Helper()
		if out, err := program(t, pgpool, append([]string{"-f", conf}, args...)...); err != nil {
			t.Errorf("pgpool %v: %v\n%s", args, err, out)
		}
	}
	run()
	text, err := os.ReadFile(pidFile)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = syscall.Kill(pid, syscall.SIGKILL) }() // an error means that it has ended
	waitPrimary(t, p)
	conn := connect(t, p)
	run("reload")
	mustAsk(t, conn, "SELECT 1")
	run("-m", "fast", "stop")
	if _, err := ask(conn, "SELECT 1"); sqlstate(err) != "57P01" {
		t.Errorf("a client got error %v, want 57P01", err)
	}
	if _, err := os.Stat(pidFile); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the pid file is still there: %v", err)
	}
	if stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)); err == nil && !strings.Contains(string(stat), ") Z ") {
		t.Errorf("process %d is still there: %s", pid, stat)
	}
}

// reconfigure appends lines to the configuration of a running pgherd, which reads it again.
func reconfigure(t *testing.T, p *herd.Proxy, lines string) {
	t.Helper()
	file, err := os.OpenFile(filepath.Join(p.Dir, "pgpool.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err == nil {
		_, err = file.WriteString("\n" + lines + "\n")
	}
	if err = errors.Join(err, file.Close()); err != nil {
		t.Fatal(err)
	}
	signal(t, p, syscall.SIGHUP)
}

// TestReload checks that a reload under load applies limits and nodes, refuses what is wrong, and disconnects no client.
func TestReload(t *testing.T) {
	engines(t, func(t *testing.T, engine string) {
		proxy := start(t, engine, "max_user_connections = 6\nquery_wait_timeout = 2")
		l := startLoad(dsn(proxy.Port, herd.User), 6, nil)
		progress(t, l, 2)
		watch := connectAs(t, proxy, herd.Superuser, "")
		var extra []*pgconn.PgConn
		for range 6 {
			extra = append(extra, holder(t, proxy, herd.UserMD5, ""))
		}
		over := connectAs(t, proxy, herd.UserMD5, "")
		_, err := ask(over, "SELECT 1")
		wantState(t, err, "53300")
		standby := world.herd.Nodes()[1]
		reconfigure(t, proxy, fmt.Sprintf("max_user_connections = 20\nquery_wait_timeout = 30\nbackend_hostname1 = '%s'\nbackend_port1 = %d",
			standby.Host, standby.Port))
		eventually(t, "the new limit is in effect", func() error { _, err := ask(over, "SELECT 1"); return err })
		eventually(t, "both nodes are there and up", func() error {
			rows, err := show(watch, "SHOW POOL_NODES")
			if err == nil && (len(rows) != 2 || rows[0]["role"] != "primary" || rows[1]["role"] != "standby" || rows[1]["status"] != "up") {
				err = fmt.Errorf("%v", rows)
			}
			return err
		})
		progress(t, l, 3)
		reconfigure(t, proxy, "max_user_connections = many")
		eventually(t, "the wrong configuration is refused", func() error {
			log, err := os.ReadFile(proxy.Log())
			if err == nil && !strings.Contains(string(log), "configuration not reloaded") {
				err = errors.New("the log does not have the refusal")
			}
			return err
		})
		progress(t, l, 3)
		for _, conn := range extra {
			mustAsk(t, conn, "SELECT 1")
		}
		endLoad(t, l)
	})
}
