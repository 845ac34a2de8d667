package login

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"pgherd/proxy/config"
)

// Check says what would keep Listen from listening, as far as it can be found out without the
// port itself, which a running server may have: it uses a port that the kernel chooses. The
// error joins everything that is wrong.
func (s *ListenSettings) Check(ctx context.Context) error {
	trial := *s
	trial.Port = 0
	opened, err := trial.listenAddresses(ctx)
	closeAll(opened)
	return errors.Join(err, s.checkSockets())
}

// checkSockets says what would keep Unix sockets from being made.
func (s *ListenSettings) checkSockets() (err error) {
	for _, dir := range s.SocketDirs {
		err = errors.Join(err, config.Of("unix_socket_directories", checkFolder(strings.TrimSpace(dir))))
	}
	if s.SocketGroup != "" && len(s.SocketDirs) > 0 {
		_, unknown := groupID(s.SocketGroup)
		err = errors.Join(err, config.Of("unix_socket_group", unknown))
	}
	return err
}

// checkFolder returns an error if no socket can be made in the folder.
func checkFolder(dir string) error {
	info, err := os.Stat(dir)
	switch {
	case err != nil:
		return err
	case !info.IsDir():
		return fmt.Errorf("%s is no folder", dir)
	}
	if err := unix.Access(dir, unix.W_OK|unix.X_OK); err != nil {
		return fmt.Errorf("make a socket in %s: %w", dir, err)
	}
	return nil
}
