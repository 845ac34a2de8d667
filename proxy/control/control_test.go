package control

import (
	"context"
	"errors"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"pgherd/proxy/wire"
)

func serve(t *testing.T) string {
	t.Helper()
	path := Path(t.TempDir(), 9999)
	l, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	s := Serve(l, func(_ context.Context, command, user string) (Answer, error) {
		switch command {
		case "SHOW X":
			return Answer{Columns: []string{"a"}, Rows: [][]string{{"1"}, {user}}}, nil
		case "PAUSE":
			return Answer{Notice: "done"}, nil
		}
		return Answer{}, &wire.Fault{Code: "42601", Message: "no such command: " + command, Hint: "SHOW HELP"}
	})
	t.Cleanup(func() { s.Close() })
	return path
}

// TestAsk checks that rows, notices and errors arrive unchanged.
func TestAsk(t *testing.T) {
	path := serve(t)
	a, err := Ask(t.Context(), path, "SHOW X")
	u, unnamed := user.Current()
	if unnamed != nil {
		t.Fatal(unnamed)
	}
	if want := u.Username; err != nil || len(a.Rows) != 2 || a.Rows[1][0] != want || a.Columns[0] != "a" {
		t.Errorf("got answer %+v, error %v", a, err)
	}
	if a, err := Ask(t.Context(), path, "PAUSE"); err != nil || a.Notice != "done" || a.Rows != nil {
		t.Errorf("got answer %+v, error %v", a, err)
	}
	_, err = Ask(t.Context(), path, "NONSENSE")
	if e, told := errors.AsType[*Error](err); !told || e.Code != "42601" || e.Hint != "SHOW HELP" {
		t.Errorf("got error %v", err)
	}
	if _, err := Ask(t.Context(), path, strings.Repeat("x", requestLimit)); err == nil {
		t.Error("a request without an end is read without a limit")
	}
}

// TestSocket checks that only the owner may use the socket, that a socket that is left over is replaced, and that one
// in use is not.
func TestSocket(t *testing.T) {
	path := serve(t)
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the socket's mode is %v, error %v", info.Mode(), err)
	}
	if _, err := Listen(path); err == nil || !strings.Contains(err.Error(), "another pgherd") {
		t.Errorf("the socket of another pgherd: got error %v", err)
	}
	left := filepath.Join(t.TempDir(), "left")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: left})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	l.Close()
	again, err := Listen(left)
	if err != nil {
		t.Fatal(err)
	}
	again.Close()
	if _, err := Ask(t.Context(), left, "SHOW X"); err == nil || !strings.Contains(err.Error(), "is it running?") {
		t.Errorf("no pgherd listens: got error %v", err)
	}
}

// TestOthersMayNot checks that other users are refused by the file's mode, and where that was changed, by their number.
func TestOthersMayNot(t *testing.T) {
	for _, c := range []struct {
		p    peer
		want bool
	}{{peer{0, true}, true}, {peer{1000, true}, true}, {peer{1001, true}, false}, {peer{0, false}, false}} {
		if got := c.p.may(1000); got != c.want {
			t.Errorf("%+v: got %v", c.p, got)
		}
	}
	if os.Geteuid() != 0 {
		return // only root can become another user
	}
	path := serve(t)
	if err := errors.Join(os.Chmod(path, 0o777), os.Chmod(filepath.Dir(path), 0o777), os.Chmod(filepath.Dir(filepath.Dir(path)), 0o777)); err != nil {
		t.Fatal(err)
	}
	if got := asNobody(t, path, "POST /run HTTP/1.1\r\nHost: x\r\nContent-Length: 19\r\n\r\n{\"command\":\"PAUSE\"}"); !strings.HasPrefix(got, "HTTP/1.1 403") || strings.Contains(got, "done") {
		t.Errorf("the user nobody is let in: %s", got)
	}
}

// asNobody sends a request from a thread that belongs to another user.
func asNobody(t *testing.T, path, request string) string {
	const nobody = 65534
	answer := make(chan string)
	go func() {
		runtime.LockOSThread() // it is never unlocked, so that the thread ends with the goroutine
		if _, _, errno := syscall.RawSyscall(syscall.SYS_SETRESUID, nobody, nobody, nobody); errno != 0 {
			answer <- errno.Error()
			return
		}
		fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
		if err == nil {
			defer syscall.Close(fd)
			err = syscall.Connect(fd, &syscall.SockaddrUnix{Name: path})
		}
		if err == nil {
			_, err = syscall.Write(fd, []byte(request))
		}
		buffer := make([]byte, 4096)
		n := 0
		if err == nil {
			n, err = syscall.Read(fd, buffer)
		}
		if err != nil {
			answer <- err.Error()
			return
		}
		answer <- string(buffer[:n])
	}()
	return <-answer
}
