// Package lab checks, on hosts that are network namespaces on a bridge, that a virtual address is where it should be, and that
// the kernel silences a holder that is stopped, killed or late.
package lab

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"pgherd/vip/address"
)

// long is a time for which nobody has to renew.
func long() time.Duration { return boottime() + time.Hour }

// TestAddressMoves checks that a neighbour who knows the old host is told of the new one, for which it would not ask by
// itself.
func TestAddressMoves(t *testing.T) {
	for _, ip := range []netip.Addr{four, six} {
		t.Run(ip.String(), func(t *testing.T) {
			t.Parallel()
			l := newLAN(t)
			a, b, client := l.host(1), l.host(2), l.host(3)
			ka, kb := a.keeper(ip, false, nil), b.keeper(ip, false, nil)
			l.must(ka.Hold(t.Context(), long()))
			client.reaches(ip, a)
			l.must(ka.Release(t.Context()))
			if a.has(ip) {
				t.Error("the first host has the address after its release")
			}
			l.must(kb.Hold(t.Context(), long()))
			l.eventually("the client has been told of the new host, and has not asked", func() error {
				if is := client.ip("neigh", "show", ip.String()); !strings.Contains(is, b.mac()) {
					return fmt.Errorf("the client knows: %s", is)
				}
				return nil
			})
			client.reaches(ip, b)
		})
	}
}

// TestAddressIsLeftOver checks that an address that a former process has left is gone once there is a Keeper.
func TestAddressIsLeftOver(t *testing.T) {
	t.Parallel()
	l := newLAN(t)
	a := l.host(1)
	a.ip("addr", "add", four.String()+"/24", "dev", "eth0")
	a.keeper(four, false, nil)
	if a.has(four) {
		t.Error("the address is still there")
	}
}

// TestAddressIsRestored checks that the address is there again after somebody has deleted it, has taken the interface down, or
// has made it anew.
func TestAddressIsRestored(t *testing.T) {
	for name, act := range map[string]func(a *host){
		"deleted": func(a *host) { a.ip("addr", "del", four.String()+"/32", "dev", "eth0") },
		"flushed": func(a *host) {
			a.ip("addr", "flush", "dev", "eth0")
			a.ip("addr", "add", "10.77.0.1/24", "dev", "eth0")
		},
		"interface down and up": func(a *host) {
			a.ip("link", "set", "eth0", "down")
			a.ip("link", "set", "eth0", "up")
		},
		"interface made anew": func(a *host) {
			a.ip("link", "del", "eth0")
			a.ip("link", "add", "eth0", "type", "veth", "peer", "name", "again", "netns", a.lan.bridge)
			a.lan.run("ip", "-n", a.lan.bridge, "link", "set", "again", "master", "lan", "up")
			a.ip("link", "set", "eth0", "up")
			a.ip("addr", "add", "10.77.0.1/24", "dev", "eth0")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLAN(t)
			a, client := l.host(1), l.host(3)
			l.must(a.keeper(four, false, nil).Hold(t.Context(), long()))
			client.reaches(four, a)
			act(a)
			client.reaches(four, a)
		})
	}
}

// TestAddressHasARival checks that another host that has the address is found by asking, and that who has it hears of one that
// takes it.
func TestAddressHasARival(t *testing.T) {
	for _, ip := range []netip.Addr{four, six} {
		t.Run(ip.String(), func(t *testing.T) {
			t.Parallel()
			l := newLAN(t)
			a, b := l.host(1), l.host(2)
			rivals := make(chan net.HardwareAddr, 1)
			ka, kb := a.keeper(ip, false, rivals), b.keeper(ip, false, nil)
			if mac, err := ka.Conflict(t.Context()); mac != nil || err != nil {
				t.Fatalf("nobody has the address, and it is found at %v, %v", mac, err)
			}
			l.must(kb.Hold(t.Context(), long()))
			mac := b.mac()
			l.eventually("the other host is found", func() error {
				got, err := ka.Conflict(t.Context())
				if err == nil && got.String() != mac {
					err = fmt.Errorf("%v has the address, want %s", got, mac)
				}
				return err
			})
			for len(rivals) > 0 {
				<-rivals
			}
			l.must(ka.Hold(t.Context(), long())) // which decisions above the Keeper never let happen
			l.must(kb.Release(t.Context()))
			l.must(kb.Hold(t.Context(), long()))
			select {
			case got := <-rivals:
				if got.String() != mac {
					t.Errorf("the rival is %v, want %s", got, mac)
				}
			case <-time.After(patience):
				t.Error("the host that has the address does not hear of the rival")
			}
		})
	}
}

// TestAddressIsNotRenewed checks that an address goes when its holder is not told for longer.
func TestAddressIsNotRenewed(t *testing.T) {
	t.Parallel()
	l := newLAN(t)
	a := l.host(1)
	k := a.keeper(four, false, nil)
	l.must(k.Hold(t.Context(), boottime()+2*time.Second))
	if !a.has(four) {
		t.Fatal("the address is not there at first")
	}
	l.eventually("the address is gone", func() error {
		if a.has(four) {
			return errors.New("it is there")
		}
		return nil
	})
}

// TestAddressIsNotAddedLate checks that an address is not left on the interface by a process that is stopped between its look
// at the clock and the moment in which it adds the address.
func TestAddressIsNotAddedLate(t *testing.T) {
	for reading := range 3 { // of the clock, in the course of one Hold
		t.Run(fmt.Sprint("before reading ", reading+1), func(t *testing.T) {
			t.Parallel()
			l := newLAN(t)
			var armed, readings atomic.Int64
			l.clock = func() time.Duration {
				if armed.Load() > 0 && readings.Add(1) > int64(reading) {
					return boottime() + time.Hour
				}
				return boottime()
			}
			a := l.host(1)
			k := a.keeper(four, false, nil)
			armed.Store(1)
			err := k.Hold(t.Context(), boottime()+3*time.Second)
			if a.has(four) {
				t.Errorf("the address is there, error %v", err)
			}
		})
	}
}

// keep is a process that has an address on eth0 for two seconds from now, again and again. A call that was stopped in its midst
// fails, and the next one does not.
func keep(ip netip.Addr) error {
	a := address.Address{Prefix: netip.PrefixFrom(ip, ip.BitLen()), Interface: "eth0"}
	k, err := address.Open(a, address.Settings{Log: slog.New(slog.DiscardHandler), Clock: boottime})
	if err != nil {
		return err
	}
	for {
		if err := k.Hold(context.Background(), boottime()+2*time.Second); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// TestAddressOfAStoppedProcess checks that the kernel takes the address away from a process that is stopped and does nothing any more.
func TestAddressOfAStoppedProcess(t *testing.T) {
	for _, ip := range []netip.Addr{four, six} {
		t.Run(ip.String(), func(t *testing.T) {
			t.Parallel()
			l := newLAN(t)
			a, client := l.host(1), l.host(3)
			process := exec.Command("ip", "netns", "exec", a.name, os.Args[0], "-keep="+ip.String())
			process.Stderr = os.Stderr
			l.must(process.Start())
			t.Cleanup(func() { _ = process.Process.Kill(); _ = process.Wait() })
			client.reaches(ip, a)
			l.must(process.Process.Signal(syscall.SIGSTOP))
			l.eventually("the address is gone", func() error {
				if a.has(ip) {
					return errors.New("it is there")
				}
				return nil
			})
			if name, err := client.asks(ip); err == nil {
				t.Errorf("%s answers", name)
			}
			l.must(process.Process.Signal(syscall.SIGCONT))
			client.reaches(ip, a)
		})
	}
}
