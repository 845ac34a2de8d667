package proxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"pgherd/proxy/config"
)

// checkListen says what would keep listen from listening, as far as it can be seen without
// taking the port, which the server may have that runs now.
func checkListen(ctx context.Context, c *config.Config) error {
	f := &faults{config: c}
	for _, name := range c.Listen.Addresses {
		f.add("listen_addresses", checkAddress(ctx, strings.TrimSpace(name)))
	}
	for _, dir := range c.Listen.UnixDirectories {
		f.add("unix_socket_directories", checkFolder(strings.TrimSpace(dir)))
	}
	if c.Listen.UnixGroup != "" && len(c.Listen.UnixDirectories) > 0 {
		_, err := groupID(c.Listen.UnixGroup)
		f.add("unix_socket_group", err)
	}
	return f.err()
}

// checkAddress listens at a port that the kernel chooses. Of several addresses that a name means
// one has to be this host's.
func checkAddress(ctx context.Context, name string) error {
	if name == "*" {
		return nil
	}
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", name)
	if err != nil {
		return fmt.Errorf("listen at %q: %w", name, err)
	}
	for _, addr := range unmapped(addrs) {
		var l net.Listener
		if l, err = (&net.ListenConfig{}).Listen(ctx, "tcp", net.JoinHostPort(addr.String(), "0")); err == nil {
			return l.Close()
		}
	}
	if errors.Is(err, syscall.EADDRNOTAVAIL) {
		return fmt.Errorf("listen at %q: it is no address of this host", name)
	}
	return fmt.Errorf("listen at %q: %w", name, err)
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
