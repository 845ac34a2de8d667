package login

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"pgherd/proxy/auth"
	"pgherd/proxy/wire/wiretest"
)

func TestListenTCP(t *testing.T) {
	for _, c := range []struct {
		addresses []string
		want      string // a part of the error
		reach     []string
	}{
		{[]string{"127.0.0.1"}, "", []string{"127.0.0.1"}},
		{[]string{"*"}, "", []string{"127.0.0.1"}},
		{[]string{"localhost"}, "", nil},
		{[]string{" 127.0.0.1", "127.0.0.2"}, "", []string{"127.0.0.1"}},
		{[]string{"0.0.0.0"}, "", []string{"127.0.0.1"}},
		{[]string{"192.0.2.1"}, "not an address of this host", nil}, // this address is reserved for documents
		{[]string{"127.0.0.1", "192.0.2.1"}, "not an address of this host", nil},
		{[]string{"198.51.100.1", "127.0.0.1", "192.0.2.1"}, "\nlisten at \"192.0.2.1\"", nil},
		{nil, "neither listen_addresses nor unix_socket_directories", nil},
	} {
		controlled := false
		control := func(string, string, syscall.RawConn) error { controlled = true; return nil }
		listeners, err := Listen(t.Context(), &ListenSettings{Addresses: c.addresses, Control: control})
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%v: got error %v, want %q", c.addresses, err, c.want)
			continue
		}
		if c.want == "" && !controlled {
			t.Errorf("%v: Control was not called", c.addresses)
		}
		for _, host := range c.reach {
			_, port, _ := net.SplitHostPort(listeners[0].Addr().String())
			conn, err := net.Dial("tcp", net.JoinHostPort(host, port))
			if err != nil {
				t.Errorf("%v: got error %v", c.addresses, err)
				continue
			}
			conn.Close()
		}
		for _, l := range listeners {
			l.Close()
		}
	}
}

// TestListenIsAllOrNothing checks that what was opened before an error is closed again.
func TestListenIsAllOrNothing(t *testing.T) {
	dir := t.TempDir()
	_, err := Listen(t.Context(), &ListenSettings{SocketDirs: []string{dir, filepath.Join(dir, "missing")}, Port: 5432, SocketMode: 0o777})
	if err == nil {
		t.Fatal("a missing folder was accepted")
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 0 {
		t.Errorf("sockets are left behind: %v", entries)
	}
}

func TestListenUnix(t *testing.T) {
	dir := t.TempDir()
	s := &ListenSettings{SocketDirs: []string{dir}, Port: 5999, SocketMode: 0o640, SocketGroup: strconv.Itoa(os.Getgid())}
	listeners, err := Listen(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, ".s.PGSQL.5999")
	info, err := os.Lstat(path)
	if err != nil || info.Mode().Type() != fs.ModeSocket || info.Mode().Perm() != 0o640 {
		t.Fatalf("the socket's file is %v, error %v", info, err)
	}
	if _, err := Listen(t.Context(), s); err == nil || !strings.Contains(err.Error(), "another program listens") {
		t.Errorf("a second listener: got error %v", err)
	}
	conn, err := net.Dial("unix", path) // the second listener has not removed the socket
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	listeners[0].Close()
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the socket is left behind: %v", err)
	}
}

func TestForbiddenUntilPermitted(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := (&net.ListenConfig{Control: forbidAll}).Listen(t.Context(), "unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if info, err := os.Lstat(path); err != nil || info.Mode().Perm() != 0 {
		t.Errorf("the mode is %v, error %v, want no permission", info.Mode(), err)
	}
}

func TestStaleSockets(t *testing.T) {
	dir := t.TempDir()
	s := &ListenSettings{SocketDirs: []string{dir}, Port: 1, SocketMode: 0o777}
	path := filepath.Join(dir, ".s.PGSQL.1")
	crashed, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	crashed.(*net.UnixListener).SetUnlinkOnClose(false)
	crashed.Close()
	listeners, err := Listen(t.Context(), s)
	if err != nil {
		t.Fatalf("over a stale socket: %v", err)
	}
	listeners[0].Close()
	if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(t.Context(), s); err == nil || !strings.Contains(err.Error(), "not a socket") {
		t.Errorf("over a file: got error %v", err)
	}
	if kept, _ := os.ReadFile(path); string(kept) != "precious" {
		t.Error("the file was removed")
	}
	s.SocketDirs = []string{t.TempDir() + strings.Repeat("/x", 60)}
	if err := os.MkdirAll(s.SocketDirs[0], 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(t.Context(), s); err == nil || !strings.Contains(err.Error(), "at most 107 bytes") {
		t.Errorf("a long path: got error %v", err)
	}
	s.SocketDirs, s.SocketGroup = []string{t.TempDir()}, "no-such-group"
	if _, err := Listen(t.Context(), s); err == nil || !strings.Contains(err.Error(), "no-such-group") {
		t.Errorf("an unknown group: got error %v", err)
	}
}

// TestLoginOverUnixSocket checks that a log-in on a Unix socket has the host [local], a rule of
// type local, and no TLS.
func TestLoginOverUnixSocket(t *testing.T) {
	g := startGate(t, nil)
	dir := t.TempDir()
	listeners, err := Listen(t.Context(), &ListenSettings{SocketDirs: []string{dir}, Port: 2, SocketMode: 0o777})
	if err != nil {
		t.Fatal(err)
	}
	go g.Serve(listeners[0])
	conn, err := net.Dial("unix", filepath.Join(dir, ".s.PGSQL.2"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	script := wiretest.Must(t, "C: SSLRequest\nS: answer N\nC: StartupMessage 3.0 user=alice\nS: AuthenticationOk\nS: ReadyForQuery I\nS: close")
	if err := script.Play(conn, wiretest.Client); err != nil {
		t.Fatal(err)
	}
	if c := g.logins()[0].Client; c.Host != "[local]" || c.Port != "" {
		t.Errorf("host %q, port %q", c.Host, c.Port)
	}
}

// failing is a listener that fails n times, and then is closed.
type failing struct {
	net.Listener
	n      int
	paused []time.Time
}

func (f *failing) Accept() (net.Conn, error) {
	f.paused = append(f.paused, time.Now())
	if f.n--; f.n < 0 {
		return nil, net.ErrClosed
	}
	return nil, &net.OpError{Op: "accept", Err: os.NewSyscallError("accept4", syscall.EMFILE)}
}

func (f *failing) Addr() net.Addr { return &net.UnixAddr{Name: "failing"} }
func (f *failing) Close() error   { return nil }

// TestOutOfDescriptors checks that the gate goes on without descriptors, does not spin, and logs
// that once.
func TestOutOfDescriptors(t *testing.T) {
	log := &testGate{}
	g := NewGate(slog.New(slog.NewTextHandler(log, nil)), Uses{})
	f := &failing{n: 3}
	if err := g.Serve(f); err != nil {
		t.Error(err)
	}
	if took := f.paused[len(f.paused)-1].Sub(f.paused[0]); took < 3*acceptPause {
		t.Errorf("three failures took only %v, want pauses", took)
	}
	if n := strings.Count(log.logged(), "too many open files"); n != 1 {
		t.Errorf("logged %d times:\n%s", n, log.logged())
	}
}

// TestReload checks that log-ins that begin later have the new settings.
func TestReload(t *testing.T) {
	g := startGate(t, nil)
	in := "C: StartupMessage 3.0 user=free\nS: AuthenticationOk\nS: ReadyForQuery I\nS: close"
	if err := wiretest.Must(t, in).Run(g.addr); err != nil {
		t.Fatal(err)
	}
	hba, err := auth.ParseHBA("host all all all reject", nil)
	if err != nil {
		t.Fatal(err)
	}
	g.Configure(&Settings{Policy: &auth.Policy{HBA: hba}, Timeout: wiretest.Patience})
	if err := wiretest.Must(t, "C: StartupMessage 3.0 user=free\nS: ErrorResponse FATAL 28000 ...\nS: close").Run(g.addr); err != nil {
		t.Error(err)
	}
}

// TestServeAfterClose checks that a listener that comes too late is closed.
func TestServeAfterClose(t *testing.T) {
	g := NewGate(slog.New(slog.DiscardHandler), Uses{})
	g.Close()
	g.CloseLogins()
	listeners, err := Listen(context.Background(), &ListenSettings{Addresses: []string{"127.0.0.1"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Serve(listeners[0]); err != nil {
		t.Error(err)
	}
	if _, err := net.Dial("tcp", listeners[0].Addr().String()); err == nil {
		t.Error("a listener without addresses listens")
	}
}
