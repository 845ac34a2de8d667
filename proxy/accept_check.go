package proxy

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"pgherd/proxy/config"
)

// checkListen says what would keep listen from listening, as far as it can be seen without
// taking the port, which the server may have that runs now: at one that the kernel chooses.
func checkListen(ctx context.Context, c *config.Config) error {
	s := listenSettingsOf(c)
	s.port = 0
	opened, err := s.listenAddresses(ctx)
	closeAll(opened)
	return blame(c, errors.Join(err, s.checkSockets()))
}

// checkSockets says what keeps Unix sockets from being made.
func (s *listenSettings) checkSockets() (err error) {
	for _, dir := range s.socketDirs {
		err = errors.Join(err, config.Of("unix_socket_directories", checkFolder(strings.TrimSpace(dir))))
	}
	if s.socketGroup != "" && len(s.socketDirs) > 0 {
		_, unknown := groupID(s.socketGroup)
		err = errors.Join(err, config.Of("unix_socket_group", unknown))
	}
	return err
}

// checkFolder wants one that a socket can be made in.
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

// blame says which lines errors of listening are about.
func blame(c *config.Config, err error) error {
	f := &faults{config: c}
	f.add("listen_addresses", err)
	return f.err()
}
