package login

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

	"pgherd/proxy/config"
)

// ListenSettings say where pgherd listens.
type ListenSettings struct {
	Addresses   []string // listen_addresses: names, addresses; "*" is all
	Port        int
	KeepAlive   net.KeepAliveConfig
	Control     func(network, address string, raw syscall.RawConn) error // called for a TCP socket before it listens; may be nil
	SocketDirs  []string                                                 // unix_socket_directories
	SocketGroup string                                                   // "": ours
	SocketMode  os.FileMode                                              // unix_socket_permissions
}

// Listen opens every listener, or none. The error joins everything that is wrong.
func Listen(ctx context.Context, s *ListenSettings) ([]net.Listener, error) {
	all, err := s.listenAddresses(ctx)
	if err = errors.Join(err, s.checkSockets()); err == nil {
		for _, dir := range s.SocketDirs {
			l, unopened := s.listenUnix(ctx, strings.TrimSpace(dir))
			if unopened == nil {
				all = append(all, l)
			}
			err = errors.Join(err, config.Of("unix_socket_directories", unopened))
		}
	}
	if err == nil && len(all) == 0 {
		err = errors.New("listen: neither listen_addresses nor unix_socket_directories is set")
	}
	if err != nil {
		closeAll(all)
		return nil, err
	}
	return all, nil
}

func closeAll(listeners []net.Listener) {
	for _, l := range listeners {
		l.Close()
	}
}

// listenAddresses listens at every address of listen_addresses at which it can.
func (s *ListenSettings) listenAddresses(ctx context.Context) (all []net.Listener, err error) {
	for _, name := range s.Addresses {
		opened, unopened := s.listenAt(ctx, strings.TrimSpace(name))
		all = append(all, opened...)
		err = errors.Join(err, config.Of("listen_addresses", unopened))
	}
	return all, err
}

// listenAt listens at one of listen_addresses. A name may stand for several addresses;
// those that this host does not have are skipped as long as one is left.
func (s *ListenSettings) listenAt(ctx context.Context, name string) (all []net.Listener, err error) {
	if name == "*" {
		l, err := s.listenTCP(ctx, "tcp", "")
		if err != nil {
			return nil, err
		}
		return []net.Listener{l}, nil
	}
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", name)
	if err != nil {
		return nil, fmt.Errorf("listen at %q: %w", name, err)
	}
	for _, addr := range unmapped(addrs) {
		network := "tcp6"
		if addr.Is4() {
			network = "tcp4"
		}
		l, err := s.listenTCP(ctx, network, addr.String())
		if err == nil {
			all = append(all, l)
		} else if !errors.Is(err, syscall.EADDRNOTAVAIL) && !errors.Is(err, syscall.EAFNOSUPPORT) {
			closeAll(all)
			return nil, err
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("listen at %q: it is not an address of this host", name)
	}
	return all, nil
}

// unmapped are the addresses, each once, with IPv4 addresses in their own form.
func unmapped(addrs []netip.Addr) (out []netip.Addr) {
	for _, addr := range addrs {
		if addr = addr.Unmap(); !slices.Contains(out, addr) {
			out = append(out, addr)
		}
	}
	return out
}

func (s *ListenSettings) listenTCP(ctx context.Context, network, host string) (net.Listener, error) {
	config := net.ListenConfig{KeepAliveConfig: s.KeepAlive, Control: s.Control}
	config.SetMultipathTCP(false)
	l, err := config.Listen(ctx, network, net.JoinHostPort(host, strconv.Itoa(s.Port)))
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	return l, nil
}
