package lab

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"pgherd/bpf/sentry"
)

var (
	four = netip.MustParseAddr("10.77.0.100")
	six  = netip.MustParseAddr("fd77::100")
)

func eachFamily(t *testing.T, f func(t *testing.T, l *lan, ip netip.Addr)) {
	for _, ip := range []netip.Addr{four, six} {
		t.Run(ip.String(), func(t *testing.T) {
			t.Parallel()
			f(t, newLAN(t), ip)
		})
	}
}

// add puts an address on the host's interface, where it stays.
func (h *host) add(ip netip.Addr) {
	h.lan.Helper()
	args := []string{"addr", "add", netip.PrefixFrom(ip, ip.BitLen()).String(), "dev", "eth0"}
	if ip.Is6() {
		args = append(args, "nodad")
	}
	h.ip(args...)
}

// own is an address of the host's that is not virtual.
func (h *host) own(ip netip.Addr) netip.Addr {
	h.lan.Helper()
	number := h.name[len(h.name)-1:]
	if ip.Is6() {
		return netip.MustParseAddr("fd77::" + number)
	}
	return netip.MustParseAddr("10.77.0." + number)
}

// silent waits until a host answers at an address no more, neither whoever knows its MAC nor whoever asks for it, though
// it has the address and answers at its own.
func (h *host) silent(ip netip.Addr, other *host) {
	h.lan.Helper()
	h.lan.eventually("nobody answers at "+ip.String(), func() error {
		if name, err := h.asks(ip); err == nil {
			return fmt.Errorf("%s answers", name)
		}
		return nil
	})
	h.ip("neigh", "flush", "to", ip.String())
	if name, err := h.asks(ip); err == nil {
		h.lan.Errorf("%s answers who has asked for its MAC", name)
	}
	if is := h.ip("neigh", "show", ip.String()); strings.Contains(is, other.mac()) {
		h.lan.Errorf("its MAC is told: %s", is)
	}
	if !other.has(ip) {
		h.lan.Error("the address is not on the interface, so this shows nothing")
	}
	h.reaches(other.own(ip), other)
}

// TestSentryLetsARenewedLeasePass checks that a host goes on answering past its first lease.
func TestSentryLetsARenewedLeasePass(t *testing.T) {
	eachFamily(t, func(t *testing.T, l *lan, ip netip.Addr) {
		a, client := l.host(1), l.host(3)
		a.add(ip)
		a.holds(ip, time.Second)
		client.reaches(ip, a)
		first := boottime() + time.Second
		l.eventually("the first lease is over", func() error {
			if boottime() < first {
				return errors.New("it is not")
			}
			return nil
		})
		client.reaches(ip, a)
	})
}

// TestSentrySilencesAStoppedHolder checks that a holder that is stopped, and does nothing any more, is silent.
func TestSentrySilencesAStoppedHolder(t *testing.T) {
	eachFamily(t, func(t *testing.T, l *lan, ip netip.Addr) {
		a, client := l.host(1), l.host(3)
		a.add(ip)
		p := a.holds(ip, time.Second)
		client.reaches(ip, a)
		p.signal(syscall.SIGSTOP)
		client.silent(ip, a)
		p.signal(syscall.SIGCONT)
		client.reaches(ip, a)
	})
}

// TestSentrySilencesAKilledHolder checks that a holder that is killed is silent, long before its lease is over, that its successor does not
// speak before it has a lease of its own, and that leftovers can be removed.
func TestSentrySilencesAKilledHolder(t *testing.T) {
	eachFamily(t, func(t *testing.T, l *lan, ip netip.Addr) {
		a, client := l.host(1), l.host(3)
		a.add(ip)
		p := a.holds(ip, time.Hour)
		client.reaches(ip, a)
		p.kill()
		client.silent(ip, a)
		p = a.holds(ip, 0)
		client.silent(ip, a)
		p.kill()
		p = a.holds(ip, time.Hour)
		client.reaches(ip, a)
		p.kill()
		client.silent(ip, a)
		l.must(sentry.Remove(sentry.Settings{Interface: "eth0", Folder: a.folder()}))
		client.reaches(ip, a)
	})
}

// open opens a sentry in this process.
func (h *host) open(t *testing.T) (s *sentry.Sentry) {
	t.Helper()
	h.inside(func() (err error) {
		s, err = sentry.Open(sentry.Settings{Interface: "eth0", Folder: h.folder()})
		return err
	})
	return s
}

// TestSentryEndsALeaseForARival checks that the kernel ends the lease when another host announces the address, and says so.
func TestSentryEndsALeaseForARival(t *testing.T) {
	eachFamily(t, func(t *testing.T, l *lan, ip netip.Addr) {
		a, b, client := l.host(1), l.host(2), l.host(3)
		s := a.open(t)
		rivals := make(chan sentry.Rival, 1)
		s.Events(func(r sentry.Rival) {
			select {
			case rivals <- r:
			default:
			}
		})
		a.add(ip)
		l.must(s.SetLease(ip, boottime()+time.Hour))
		client.reaches(ip, a)
		kb := b.keeper(ip, false, nil)
		l.must(kb.Hold(t.Context(), boottime()+time.Hour))
		select {
		case r := <-rivals:
			if r.Address != ip || r.MAC.String() != b.mac() {
				t.Errorf("the rival is %v, want %s", r, b.mac())
			}
		case <-time.After(patience):
			t.Fatal("the rival is not told")
		}
		client.reaches(ip, b)
		if err := s.SetLease(ip, boottime()+time.Hour); !errors.Is(err, sentry.ErrRival) {
			t.Errorf("the lease is renewed: %v", err)
		}
		l.must(kb.Release(t.Context()))
		client.silent(ip, a)
		l.must(s.Drop(ip))
		l.must(s.SetLease(ip, boottime()+time.Hour))
		client.reaches(ip, a)
		l.must(s.Drop(ip))
		client.silent(ip, a)
		l.must(s.Forget(ip))
		client.reaches(ip, a)
		l.must(s.Drop(ip))
		l.must(s.Close())
		client.reaches(ip, a) // it is judged no more
	})
}

// TestSentryKeepsUnsentDataBack checks that a neighbour does not believe a stopped holder again whose kernel still has data for it: without
// a sentry it does, because the kernel asks for the neighbour's MAC in the address's name.
func TestSentryKeepsUnsentDataBack(t *testing.T) {
	for name, guarded := range map[string]bool{"with a sentry": true, "without": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLAN(t)
			a, b, client := l.host(1), l.host(2), l.host(3)
			a.add(four)
			var listener net.Listener
			a.inside(func() (err error) {
				listener, err = net.Listen("tcp4", "0.0.0.0:5433")
				return err
			})
			defer listener.Close()
			if guarded {
				p := a.holds(four, time.Second)
				client.reaches(four, a)
				defer p.kill()
				defer p.signal(syscall.SIGCONT)
				defer func() { client.ip("neigh", "flush", "all") }()
				c := client.connects(t, "10.77.0.100:5433", listener)
				p.signal(syscall.SIGSTOP)
				client.silent(four, a)
				moved(t, l, a, b, client, c)
				tried := retransmits(t, c)
				l.eventually("the old holder's kernel has tried several times", func() error {
					if n := retransmits(t, c); n < tried+3 {
						return fmt.Errorf("%d times", n-tried)
					}
					return nil
				})
				if is := client.ip("neigh", "show", four.String()); !strings.Contains(is, b.mac()) {
					t.Errorf("the client knows: %s", is)
				}
				return
			}
			client.reaches(four, a)
			c := client.connects(t, "10.77.0.100:5433", listener)
			moved(t, l, a, b, client, c)
			l.eventually("the client believes the old holder", func() error {
				if is := client.ip("neigh", "show", four.String()); !strings.Contains(is, a.mac()) {
					return fmt.Errorf("the client knows: %s", is)
				}
				return nil
			})
		})
	}
}

// moved has another host take the address, while the old one has data for the client and does not know its MAC.
func moved(t *testing.T, l *lan, a, b, client *host, c net.Conn) {
	t.Helper()
	l.must(b.keeper(four, false, nil).Hold(t.Context(), boottime()+time.Hour))
	client.reaches(four, b)
	a.ip("neigh", "flush", "all")
	if _, err := c.Write([]byte("unsent")); err != nil {
		t.Fatal(err)
	}
}

// connects opens a connection, and returns the side of the host that is connected to.
func (h *host) connects(t *testing.T, to string, listener net.Listener) net.Conn {
	t.Helper()
	h.inside(func() error {
		c, err := net.DialTimeout("tcp4", to, patience)
		if err == nil {
			t.Cleanup(func() { _ = c.Close() })
		}
		return err
	})
	c, err := listener.Accept()
	h.lan.must(err)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// retransmits is how often the kernel has tried in vain to send what is unsent.
func retransmits(t *testing.T, c net.Conn) (n int) {
	t.Helper()
	raw, err := c.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	err = raw.Control(func(fd uintptr) {
		info, failed := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
		if failed == nil {
			n = int(info.Retransmits)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestSentryIsNotPermitted checks that a process without the capability says what is missing.
func TestSentryIsNotPermitted(t *testing.T) {
	t.Parallel()
	a := newLAN(t).host(1)
	process := exec.Command("ip", "netns", "exec", a.name, "setpriv", "--bounding-set=-bpf,-sys_admin", os.Args[0], "-sentry.hold="+four.String(), "-sentry.folder="+t.TempDir())
	out, err := process.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "use BPF (Linux 5.8): pgherd's process has no CAP_BPF") {
		t.Errorf("%v: %s", err, out)
	}
}
