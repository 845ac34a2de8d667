package lab

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"pgherd/vip/address"
)

// lan is some hosts on one network. Each is a network namespace, and an interface eth0 in it, on a bridge that is in a
// namespace, too, so that the machine's own network sees nothing of it.
type lan struct {
	testing.TB
	bridge string
	clock  func() time.Duration // of keepers
	clsact bool                 // sentries use it
}

// host is one of them. What it is asked over TCP it answers with its name.
type host struct {
	lan  *lan
	name string // of its namespace
}

var lans atomic.Int64

const tcpPort = 5432

// newLAN is there until the test ends.
func newLAN(t testing.TB) *lan {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("it makes network namespaces, which root alone may")
	}
	l := &lan{t, fmt.Sprint("pgherd", os.Getpid()%10000, "l", lans.Add(1)), boottime, false}
	l.space(l.bridge)
	l.run("ip", "-n", l.bridge, "link", "add", "lan", "type", "bridge")
	l.run("ip", "-n", l.bridge, "link", "set", "lan", "up")
	return l
}

// space makes a network namespace.
func (l *lan) space(name string) {
	l.Helper()
	l.run("ip", "netns", "add", name)
	l.Cleanup(func() { l.run("ip", "netns", "del", name) })
	l.run("ip", "-n", name, "link", "set", "lo", "up")
}

// host adds one with the addresses 10.77.0.N and fd77::N.
func (l *lan) host(number int) *host {
	l.Helper()
	h := &host{l, fmt.Sprint(l.bridge, "h", number)}
	l.space(h.name)
	port := fmt.Sprint("port", number)
	l.run("ip", "-n", h.name, "link", "add", "eth0", "type", "veth", "peer", "name", port, "netns", l.bridge)
	l.run("ip", "-n", l.bridge, "link", "set", port, "master", "lan", "up")
	h.ip("link", "set", "eth0", "up")
	h.ip("addr", "add", fmt.Sprint("10.77.0.", number, "/24"), "dev", "eth0")
	h.ip("addr", "add", fmt.Sprint("fd77::", number, "/64"), "dev", "eth0", "nodad")
	for _, everywhere := range []string{"0.0.0.0", "[::]"} {
		h.answers(everywhere)
	}
	return h
}

// answers has the host tell its name to who connects.
func (h *host) answers(address string) {
	h.lan.Helper()
	var listener net.Listener
	h.inside(func() (err error) {
		network := "tcp4"
		if strings.HasPrefix(address, "[") {
			network = "tcp6"
		}
		listener, err = net.Listen(network, fmt.Sprint(address, ":", tcpPort))
		return err
	})
	h.lan.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(c, h.name)
			_ = c.Close()
		}
	}()
}

// inside calls a function in the host's network. Its thread ends with it.
func (h *host) inside(f func() error) {
	h.lan.Helper()
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		space, err := os.Open("/run/netns/" + h.name)
		if err == nil {
			defer space.Close()
			err = unix.Setns(int(space.Fd()), unix.CLONE_NEWNET)
		}
		if err == nil {
			err = f()
		}
		done <- err
	}()
	h.lan.must(<-done)
}

func (h *host) ip(args ...string) string {
	h.lan.Helper()
	return h.lan.run("ip", append([]string{"-n", h.name}, args...)...)
}

// has says whether the host has an address.
func (h *host) has(ip netip.Addr) bool {
	h.lan.Helper()
	return strings.Contains(h.ip("-o", "addr", "show"), " "+ip.String()+"/")
}

// mac is the Ethernet address of the host.
func (h *host) mac() string {
	h.lan.Helper()
	_, shown, _ := strings.Cut(h.ip("-o", "link", "show", "eth0"), "link/ether ")
	mac, _, _ := strings.Cut(shown, " ")
	return mac
}

// keeper opens a Keeper of this host's. rivals is told of others that have the address.
func (h *host) keeper(ip netip.Addr, enforced bool, rivals chan<- net.HardwareAddr) (k *address.Keeper) {
	h.lan.Helper()
	a := address.Address{Prefix: netip.PrefixFrom(ip, ip.BitLen()), Interface: "eth0"}
	h.inside(func() (err error) {
		k, err = address.Open(a, address.Settings{Log: slog.New(slog.DiscardHandler), Clock: h.lan.clock, Enforced: enforced, Rival: func(mac net.HardwareAddr) {
			select {
			case rivals <- mac:
			default:
			}
		}})
		return err
	})
	h.lan.Cleanup(func() { h.lan.must(k.Close()) })
	return k
}

// asks connects to an address from this host, and returns the name of the host that answers.
func (h *host) asks(ip netip.Addr) (name string, err error) {
	h.lan.Helper()
	h.inside(func() error {
		var c net.Conn
		if c, err = net.DialTimeout("tcp", netip.AddrPortFrom(ip, tcpPort).String(), 500*time.Millisecond); err != nil {
			return nil
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(time.Second))
		text, failed := io.ReadAll(c)
		name, err = string(text), failed
		return nil
	})
	return name, err
}

// reaches waits until a host answers at an address, as seen from here.
func (h *host) reaches(ip netip.Addr, other *host) {
	h.lan.Helper()
	h.lan.eventually(fmt.Sprintf("%s answers at %s", other.name, ip), func() error {
		name, err := h.asks(ip)
		if err == nil && name != other.name {
			err = fmt.Errorf("%q answers", name)
		}
		return err
	})
}

// patience is for what happens in a second or two on a quiet machine.
const patience = 30 * time.Second

func (l *lan) eventually(what string, is func() error) {
	l.Helper()
	deadline := time.Now().Add(patience)
	for err := is(); err != nil; err = is() {
		if time.Now().After(deadline) {
			l.Fatalf("%s: not within %v: %v", what, patience, err)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func (l *lan) run(program string, args ...string) string {
	l.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	out, err := exec.CommandContext(ctx, program, args...).CombinedOutput()
	if err != nil {
		l.Fatalf("%s %v: %v: %s", program, args, err, out)
	}
	return string(out)
}

func (l *lan) must(err error) {
	l.Helper()
	if err != nil {
		l.Fatal(err)
	}
}

func boottime() time.Duration {
	var t unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_BOOTTIME, &t)
	return time.Duration(t.Nano())
}
