package herd

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

func start(t *testing.T, settings Settings) *Herd {
	t.Helper()
	h, err := Start(t.Context(), settings)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Stop(); err != nil {
			t.Error(err)
		}
	})
	return h
}

func login(ctx context.Context, n Node, user string) (string, error) {
	conn, err := pgconn.Connect(ctx, fmt.Sprintf("host=%s port=%d user=%s password=%s dbname=%s sslmode=disable", n.Host, n.Port, user, user, Database))
	if err != nil {
		return "", err
	}
	defer conn.Close(ctx)
	results, err := conn.Exec(ctx, "SELECT count(*) FROM t").ReadAll()
	if err != nil {
		return "", err
	}
	return string(results[0].Rows[0][0]), nil
}

func TestStandbysFollowAndComeBack(t *testing.T) {
	t.Parallel()
	h := start(t, Settings{Standbys: 1})
	if _, err := h.Exec(t.Context(), "CREATE TABLE t AS SELECT generate_series(1, 10) i; GRANT SELECT ON t TO PUBLIC"); err != nil {
		t.Fatal(err)
	}
	if err := h.WaitStreaming(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, n := range h.Nodes() {
		for _, user := range []string{Superuser, User, UserMD5} {
			if got, err := login(t.Context(), n, user); err != nil || got != "10" {
				t.Errorf("node %d, user %s: %q, %v", n.Index, user, got, err)
			}
		}
	}
	if got, err := h.Exec(t.Context(), "SELECT application_name FROM pg_stat_replication"); err != nil || got != "node1" {
		t.Errorf("standby is called %q, %v", got, err)
	}

	port := h.Nodes()[1].Port
	if err := h.Kill(1); err != nil {
		t.Fatal(err)
	}
	if n := h.Nodes()[1]; n.PID != 0 {
		t.Errorf("a killed node has PID %d", n.PID)
	}
	if err := h.Restart(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	if n := h.Nodes()[1]; n.PID == 0 || n.Port != port {
		t.Errorf("restarted as %+v, want port %d", n, port)
	}
	if err := h.WaitStreaming(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestPasswordsAreAsked(t *testing.T) {
	t.Parallel()
	h := start(t, Settings{})
	n := h.Nodes()[0]
	_, err := pgconn.Connect(t.Context(), fmt.Sprintf("host=%s port=%d user=alice password=wrong dbname=app sslmode=disable", n.Host, n.Port))
	if err == nil || !strings.Contains(err.Error(), "28P01") {
		t.Errorf("a wrong password was answered by %v", err)
	}
	if got, err := h.Exec(t.Context(), "SELECT string_agg(left(rolpassword, 3), ' ' ORDER BY rolname) FROM pg_authid WHERE rolname IN ('alice', 'bob')"); err != nil || got != "SCR md5" {
		t.Errorf("alice and bob are stored as %q, %v", got, err)
	}
}

func TestTLSAndOwnHBA(t *testing.T) {
	t.Parallel()
	h := start(t, Settings{TLS: true, HBA: []string{"hostssl all all 127.0.0.1/32 trust"}})
	n := h.Nodes()[0]
	pem, err := os.ReadFile(h.Certs.CA)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	config, err := pgconn.ParseConfig(fmt.Sprintf("host=localhost port=%d user=alice dbname=app sslmode=require", n.Port))
	if err != nil {
		t.Fatal(err)
	}
	config.Host = "127.0.0.1"
	config.TLSConfig = &tls.Config{RootCAs: roots, ServerName: "localhost"}
	config.Fallbacks = nil
	conn, err := pgconn.ConnectConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	conn.Close(t.Context())
	if _, err := login(t.Context(), n, User); err == nil {
		t.Error("hostssl let a connection without TLS in")
	}
}

func TestStopLeavesNothing(t *testing.T) {
	t.Parallel()
	h := start(t, Settings{})
	pid := h.Nodes()[0].PID
	for range 2 {
		if err := h.Stop(); err != nil {
			t.Fatal(err)
		}
	}
	wantGone(t, h.Dir, pid)
}

// TestKilledParentLeavesNothing runs a second process of this test, which starts
// a herd, says where it is, and is then killed without a chance to clean up.
func TestKilledParentLeavesNothing(t *testing.T) {
	t.Parallel()
	cmd := exec.Command(os.Args[0], "-test.run", "^TestChildStartsHerd$")
	cmd.Env = append(os.Environ(), childSays+"=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var dir string
	var pid int
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if _, err := fmt.Sscanf(lines.Text(), "herd %s %d", &dir, &pid); err == nil {
			break
		}
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // killed
	if pid == 0 {
		t.Fatal("the child started no herd")
	}
	wantGone(t, dir, pid)
}

const childSays = "HERD_TEST_CHILD"

func TestChildStartsHerd(t *testing.T) {
	if os.Getenv(childSays) == "" {
		return // it is the child's part of TestKilledParentLeavesNothing
	}
	h, err := Start(context.Background(), Settings{})
	if err != nil {
		t.Fatal(err)
	}
	fmt.Printf("herd %s %d\n", h.Dir, h.Nodes()[0].PID)
	time.Sleep(time.Minute) // until killed
}

// ended is true for a zombie too, because its parent may be another process, which has to reap it.
func ended(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err != nil || strings.Contains(string(stat), ") Z ")
}

func wantGone(t *testing.T, dir string, pid int) {
	t.Helper()
	err := poll(t.Context(), stopLimit, func() (bool, error) {
		_, stat := os.Stat(dir)
		return ended(pid) && errors.Is(stat, fs.ErrNotExist), nil
	})
	if err != nil {
		t.Errorf("process %d or folder %s is still there: %v", pid, dir, err)
	}
}
