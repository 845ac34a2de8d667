package proxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// listenSettings say where clients come in.
type listenSettings struct {
	addresses   []string // listen_addresses: names, addresses; "*" is all
	port        int
	keepAlive   net.KeepAliveConfig
	userTimeout time.Duration // TCP_USER_TIMEOUT; 0: the kernel's
	socketDirs  []string      // unix_socket_directories
	socketGroup string        // "": ours
	socketMode  os.FileMode   // unix_socket_permissions
}

// listen opens every listener, or none.
func listen(ctx context.Context, s *listenSettings) (all []net.Listener, err error) {
	defer func() {
		if err != nil {
			for _, l := range all {
				l.Close()
			}
			all = nil
		}
	}()
	for _, address := range s.addresses {
		if all, err = s.appendTCP(ctx, all, strings.TrimSpace(address)); err != nil {
			return all, err
		}
	}
	for _, dir := range s.socketDirs {
		l, err := s.listenUnix(ctx, strings.TrimSpace(dir))
		if err != nil {
			return all, err
		}
		all = append(all, l)
	}
	if len(all) == 0 {
		return nil, errors.New("listen: neither listen_addresses nor unix_socket_directories is set")
	}
	return all, nil
}

// appendTCP listens at one of listen_addresses. A name may mean several
// addresses; those that this host does not have are passed over as long as
// one is left.
func (s *listenSettings) appendTCP(ctx context.Context, all []net.Listener, name string) ([]net.Listener, error) {
	if name == "*" {
		l, err := s.listenTCP(ctx, "tcp", "")
		if err != nil {
			return all, err
		}
		return append(all, l), nil
	}
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", name)
	if err != nil {
		return all, fmt.Errorf("listen at %q: %w", name, err)
	}
	opened := 0
	for _, addr := range unmapped(addrs) {
		network := "tcp6"
		if addr.Is4() {
			network = "tcp4"
		}
		l, oneErr := s.listenTCP(ctx, network, addr.String())
		switch {
		case oneErr == nil:
			all = append(all, l)
			opened++
		case !errors.Is(oneErr, syscall.EADDRNOTAVAIL) && !errors.Is(oneErr, syscall.EAFNOSUPPORT):
			return all, oneErr
		default:
			err = oneErr
		}
	}
	if opened == 0 {
		return all, err
	}
	return all, nil
}

// unmapped are the addresses, each once, IPv4 as IPv4.
func unmapped(addrs []netip.Addr) (out []netip.Addr) {
	for _, addr := range addrs {
		if addr = addr.Unmap(); !slices.Contains(out, addr) {
			out = append(out, addr)
		}
	}
	return out
}

func (s *listenSettings) listenTCP(ctx context.Context, network, host string) (net.Listener, error) {
	config := net.ListenConfig{KeepAliveConfig: s.keepAlive, Control: setUserTimeout(s.userTimeout)}
	config.SetMultipathTCP(false)
	l, err := config.Listen(ctx, network, net.JoinHostPort(host, strconv.Itoa(s.port)))
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	return l, nil
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
