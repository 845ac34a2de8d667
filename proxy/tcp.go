package proxy

import (
	"errors"
	"net"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"pgherd/proxy/config"
)

// keepAlive configures how the kernel finds out that a client or a node is gone.
func keepAlive(c *config.Config) net.KeepAliveConfig {
	return net.KeepAliveConfig{Enable: true, Idle: c.TCP.KeepalivesIdle, Interval: c.TCP.KeepalivesInterval,
		Count: c.TCP.KeepalivesCount}
}

// setUserTimeout makes a Control function that sets TCP_USER_TIMEOUT: how
// long sent data may stay unacknowledged. Accepted connections inherit it.
func setUserTimeout(d time.Duration) func(network, address string, raw syscall.RawConn) error {
	return func(network, _ string, raw syscall.RawConn) error {
		if d <= 0 || !strings.HasPrefix(network, "tcp") {
			return nil
		}
		var err error
		cerr := raw.Control(func(fd uintptr) {
			err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(d.Milliseconds()))
		})
		return errors.Join(cerr, err)
	}
}
