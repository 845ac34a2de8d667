package proxy

import (
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestUserTimeout checks that sockets have the timeout that is configured, or else the kernel's.
func TestUserTimeout(t *testing.T) {
	for _, limit := range []time.Duration{0, 90 * time.Second} {
		config := net.ListenConfig{Control: setUserTimeout(limit)}
		config.SetMultipathTCP(false) // multipath TCP does not report this timeout
		l, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		raw, err := l.(*net.TCPListener).SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		got, failed := 0, error(nil)
		if err := raw.Control(func(fd uintptr) {
			got, failed = unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT)
		}); err != nil || failed != nil {
			t.Fatal(err, failed)
		}
		if got != int(limit.Milliseconds()) {
			t.Errorf("limit %v: the socket has %d ms", limit, got)
		}
	}
}
