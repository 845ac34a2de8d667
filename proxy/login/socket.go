package login

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	longestSocketPath = 107 // bytes; the kernel's sockaddr_un
	staleSocketWait   = time.Second
)

// listenUnix makes the socket in dir under the name that libpq looks for. Nobody can
// connect until group and permissions are set. Closing the listener removes the file.
func (s *ListenSettings) listenUnix(ctx context.Context, dir string) (net.Listener, error) {
	path := filepath.Join(dir, ".s.PGSQL."+strconv.Itoa(s.Port))
	if len(path) > longestSocketPath {
		return nil, fmt.Errorf("listen at %s: a socket's path may have at most %d bytes", path, longestSocketPath)
	}
	if err := removeStale(path); err != nil {
		return nil, err
	}
	l, err := (&net.ListenConfig{Control: forbidAll}).Listen(ctx, "unix", path)
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	if err := s.permit(path); err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

// forbidAll removes every permission from the socket before it has a name; the file
// that bind makes inherits that.
func forbidAll(_, _ string, raw syscall.RawConn) error {
	var err error
	cerr := raw.Control(func(fd uintptr) { err = unix.Fchmod(int(fd), 0) })
	return errors.Join(cerr, err)
}

func (s *ListenSettings) permit(path string) error {
	if s.SocketGroup != "" {
		gid, err := groupID(s.SocketGroup)
		if err != nil {
			return err
		}
		if err := os.Chown(path, -1, gid); err != nil {
			return fmt.Errorf("set group of socket: %w", err)
		}
	}
	if err := os.Chmod(path, s.SocketMode.Perm()); err != nil {
		return fmt.Errorf("set permissions of socket: %w", err)
	}
	return nil
}

// groupID reads a group's name or number.
func groupID(group string) (int, error) {
	if gid, err := strconv.Atoi(group); err == nil {
		return gid, nil
	}
	g, err := user.LookupGroup(group)
	if err != nil {
		return 0, fmt.Errorf("set group of socket: %w", err)
	}
	return strconv.Atoi(g.Gid)
}

// removeStale removes a socket that a crash has left and at which nobody listens.
// Anything else under the name is an error.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	if info.Mode().Type() != fs.ModeSocket {
		return fmt.Errorf("listen at %s: the file there is not a socket", path)
	}
	conn, err := net.DialTimeout("unix", path, staleSocketWait)
	if err == nil {
		conn.Close()
		return fmt.Errorf("listen at %s: another program listens there already", path)
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("listen at %s: is another program there? %w", path, err)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove stale socket: %w", err)
	}
	return nil
}
