package lab

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"pgherd/bpf"
	"pgherd/bpf/sentry"
)

var (
	four = netip.MustParseAddr("10.77.0.100")
	six  = netip.MustParseAddr("fd77::100")
)

// eachWay runs a test for both families, with both ways in which a program is attached to egress.
func eachWay(t *testing.T, f func(t *testing.T, l *lan, ip netip.Addr)) {
	for _, ip := range []netip.Addr{four, six} {
		for _, egress := range []string{"tcx", "clsact"} {
			t.Run(ip.String()+" "+egress, func(t *testing.T) {
				t.Parallel()
				f(t, onEgress(t, egress), ip)
			})
		}
	}
}

// onEgress is a network on whose hosts programs are attached to egress in this way.
func onEgress(t *testing.T, way string) *lan {
	t.Helper()
	if err := bpf.Require(bpf.TCX); way == "tcx" && err != nil {
		t.Skip(err)
	}
	l := newLAN(t)
	l.clsact = way == "clsact"
	return l
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
	eachWay(t, func(t *testing.T, l *lan, ip netip.Addr) {
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
	eachWay(t, func(t *testing.T, l *lan, ip netip.Addr) {
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
	eachWay(t, func(t *testing.T, l *lan, ip netip.Addr) {
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
		a.inside(func() error { return sentry.Remove(sentry.Settings{Interface: "eth0", Folder: a.folder()}) })
		client.reaches(ip, a)
	})
}

// open opens a sentry in this process.
func (h *host) open(t *testing.T) (s *sentry.Sentry) {
	t.Helper()
	h.inside(func() (err error) {
		s, err = sentry.Open(sentry.Settings{Interface: "eth0", Folder: h.folder(), Clsact: h.lan.clsact})
		return err
	})
	return s
}

// TestSentryEndsALeaseForARival checks that the kernel ends the lease when another host announces the address, and says so.
func TestSentryEndsALeaseForARival(t *testing.T) {
	eachWay(t, func(t *testing.T, l *lan, ip netip.Addr) {
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
	for name, egress := range map[string]string{"with a sentry on tcx": "tcx", "on clsact": "clsact", "without": ""} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := onEgress(t, egress)
			a, b, client := l.host(1), l.host(2), l.host(3)
			a.add(four)
			var listener net.Listener
			a.inside(func() (err error) {
				listener, err = net.Listen("tcp4", "0.0.0.0:5433")
				return err
			})
			defer listener.Close()
			if egress != "" {
				p := a.holds(four, time.Second)
				client.reaches(four, a)
				defer p.kill()
				defer p.signal(syscall.SIGCONT)
				defer func() { client.ip("neigh", "flush", "all") }()
				c := client.connects(t, "10.77.0.100:5433", listener)
				p.signal(syscall.SIGSTOP)
				client.silent(four, a)
				told := moved(t, l, a, b, client, c)
				tried := retransmits(t, c)
				l.eventually("the old holder's kernel has tried several times", func() error {
					if n := retransmits(t, c); n < tried+3 {
						return fmt.Errorf("%d times", n-tried)
					}
					return nil
				})
				if is := told(); strings.Contains(is, a.mac()) {
					t.Errorf("the client was told of the old holder: %s", is)
				}
				return
			}
			client.reaches(four, a)
			c := client.connects(t, "10.77.0.100:5433", listener)
			told := moved(t, l, a, b, client, c)
			l.eventually("the client believes the old holder", func() error {
				if is := told(); !strings.Contains(is, a.mac()) {
					return fmt.Errorf("the client was told: %s", is)
				}
				return nil
			})
		})
	}
}

// moved has another host take the address, while the old one has data for the client and does not know its MAC. It returns what
// the client is told of the address from then on.
func moved(t *testing.T, l *lan, a, b, client *host, c net.Conn) (told func() string) {
	t.Helper()
	l.must(b.keeper(four, false, nil).Hold(t.Context(), boottime()+time.Hour))
	client.reaches(four, b)
	told = client.watches(four)
	a.ip("neigh", "flush", "all")
	if _, err := c.Write([]byte("unsent")); err != nil {
		t.Fatal(err)
	}
	return told
}

// watches collects the changes of a host's belief about who has an address, even those that do not last.
func (h *host) watches(ip netip.Addr) (seen func() string) {
	h.lan.Helper()
	process := exec.Command("ip", "-n", h.name, "monitor", "neigh")
	out, err := process.StdoutPipe()
	h.lan.must(err)
	h.lan.must(process.Start())
	var all atomic.Pointer[string]
	all.Store(new(string))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			more := *all.Load() + lines.Text() + "\n"
			all.Store(&more)
		}
	}()
	h.lan.Cleanup(func() { _ = process.Process.Kill(); <-ended; _ = process.Wait() })
	const sign = "10.77.0.99" // nobody's, so that it is known when the program has begun to watch
	h.lan.eventually("changes are told", func() error {
		h.ip("neigh", "replace", sign, "lladdr", "02:00:00:00:00:01", "dev", "eth0")
		h.ip("neigh", "del", sign, "dev", "eth0")
		if !strings.Contains(*all.Load(), sign) {
			return errors.New("none is")
		}
		return nil
	})
	return func() (about string) {
		for line := range strings.Lines(*all.Load()) {
			if strings.Contains(line, ip.String()+" ") {
				about += line
			}
		}
		return about
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

// TestSentryTellsItsMode checks that a Sentry tells how it is attached, which its successor tells, too.
func TestSentryTellsItsMode(t *testing.T) {
	for _, egress := range []string{"tcx", "clsact"} {
		t.Run(egress, func(t *testing.T) {
			t.Parallel()
			l := onEgress(t, egress)
			a := l.host(1)
			want := sentry.Mode{XDP: "native", Egress: egress} // veth's driver has it
			s := a.open(t)
			if got := s.Mode(); got != want {
				t.Errorf("at first: %v, want %v", got, want)
			}
			successor := a.open(t)
			if got := successor.Mode(); got != want {
				t.Errorf("taken over: %v, want %v", got, want)
			}
			l.must(successor.Close())
			l.must(s.Close())
		})
	}
}

// TestSentryTellsOfGenericXDP checks that a driver without XDP of its own does as well, and that this is told. A bridge is one.
func TestSentryTellsOfGenericXDP(t *testing.T) {
	t.Parallel()
	l := newLAN(t)
	a := l.host(1)
	a.ip("link", "del", "eth0")
	a.ip("link", "add", "eth0", "type", "bridge")
	s := a.open(t)
	if got := s.Mode(); got.XDP != "generic" {
		t.Errorf("%v, want generic XDP", got)
	}
	l.must(s.Close())
}

// TestSentryOnClsactIsOneFilter checks that whoever opens a sentry again and again leaves one filter, and that it goes without
// those of others.
func TestSentryOnClsactIsOneFilter(t *testing.T) {
	t.Parallel()
	l := onEgress(t, "clsact")
	a := l.host(1)
	filters := func() string { return l.run("tc", "-n", a.name, "filter", "show", "dev", "eth0", "egress") }
	for range 3 {
		a.holds(four, time.Second).kill()
	}
	if is := filters(); strings.Count(is, "handle 0x70676864") != 1 {
		t.Errorf("three holders, one after the other, have left: %s", is)
	}
	l.run("tc", "-n", a.name, "filter", "add", "dev", "eth0", "egress", "protocol", "ip", "pref", "7", "bpf", "bytecode", "1,6 0 0 0", "flowid", "1:1")
	l.must(a.open(t).Close())
	if is := filters(); strings.Contains(is, "handle 0x70676864") || !strings.Contains(is, "pref 7") {
		t.Errorf("a sentry was closed, and there is: %s", is)
	}
}

// TestSentryNeedsClsact checks that a sentry says what is missing where another qdisc is in the place of clsact, which would call
// its program for what comes only.
func TestSentryNeedsClsact(t *testing.T) {
	t.Parallel()
	l := onEgress(t, "clsact")
	a := l.host(1)
	l.run("tc", "-n", a.name, "qdisc", "add", "dev", "eth0", "ingress")
	a.inside(func() error {
		s, err := sentry.Open(sentry.Settings{Interface: "eth0", Folder: a.folder(), Clsact: true})
		u, _ := errors.AsType[*bpf.Unavailable](err)
		const want = "use clsact with cls_bpf (Linux 4.5): add qdisc: the interface has the qdisc ingress in its place"
		if s != nil || u == nil || u.Feature != sentry.Name || u.MinVersion != sentry.MinVersion || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
		return nil
	})
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
