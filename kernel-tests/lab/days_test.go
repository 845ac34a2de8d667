package lab

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestDays has bad days happen to three members, and checks after each that one of them holds the addresses, and that two never
// answered at once.
func TestDays(t *testing.T) {
	for _, day := range []struct {
		name string
		does func(c *cluster, holder int)
	}{
		{"a holder wakes up after another one has the address", wakesUp},
		{"the address is deleted by hand", func(c *cluster, holder int) {
			h := c.hosts[holder]
			h.ip("addr", "del", netip.PrefixFrom(four, four.BitLen()).String(), "dev", "eth0")
			c.eventually("it is there again", func() error { return h.lacks(four) })
		}},
		{"the holder's interface goes down and up", func(c *cluster, holder int) {
			c.hosts[holder].ip("link", "set", "eth0", "down")
			c.holder(holder)
			c.hosts[holder].ip("link", "set", "eth0", "up")
		}},
		{"the holder's link flaps", func(c *cluster, holder int) {
			for range 6 {
				c.link(holder, "down")
				time.Sleep(150 * time.Millisecond)
				c.link(holder, "up")
				time.Sleep(50 * time.Millisecond)
			}
		}},
		{"the holder hears its peers, and they do not hear it", func(c *cluster, holder int) {
			c.deafens(holder)
			c.holder(holder)
		}},
		{"two of three are gone, and one comes back", minority},
		{"all are killed at once, and started", func(c *cluster, _ int) {
			for i := range c.hosts {
				c.kill(i)
			}
			for i := range c.hosts {
				c.start(i)
			}
		}},
		{"a member comes back without its log", func(c *cluster, holder int) {
			c.kill(holder)
			next := c.holder(holder)
			c.must(os.RemoveAll(filepath.Join(c.dir, fmt.Sprint(holder))))
			c.start(holder)
			c.kill(next) // now a majority needs the one that came back
		}},
	} {
		t.Run(day.name, func(t *testing.T) {
			t.Parallel()
			c := newCluster(t)
			holder := c.holder()
			stop := c.watch(four)
			time.Sleep(100 * time.Millisecond)
			day.does(c, holder)
			c.holder()
			time.Sleep(300 * time.Millisecond)
			if two := twoAnswer(stop()); two != "" {
				t.Error(two)
			}
		})
	}
}

// wakesUp freezes a holder until another host holds the address, and lets it go on. It gives up what it has.
func wakesUp(c *cluster, holder int) {
	c.Helper()
	c.must(c.up[holder].Process.Signal(syscall.SIGSTOP))
	next := c.holder(holder)
	c.must(c.up[holder].Process.Signal(syscall.SIGCONT))
	c.eventually("the one that wakes up has the address no more", func() error {
		if c.hosts[holder].has(four) {
			return errors.New("it has it")
		}
		return nil
	})
	if now := c.holder(); now != next && now != holder {
		c.Logf("host %d holds it now", now)
	}
}

// minority leaves one member, at which nobody may answer, and then has another one come back.
func minority(c *cluster, holder int) {
	c.Helper()
	others := []int{}
	for i := range c.hosts {
		if i != holder {
			others = append(others, i)
			c.kill(i)
		}
	}
	c.eventually("nobody answers without a majority", func() error {
		if name, err := c.client.asks(four); err == nil {
			return fmt.Errorf("%s answers", name)
		}
		return nil
	})
	c.start(others[0])
}

// lacks is nil once a host has an address.
func (h *host) lacks(ip netip.Addr) error {
	if !h.has(ip) {
		return fmt.Errorf("%s lacks %s", h.name, ip)
	}
	return nil
}

func (c *cluster) link(i int, state string) {
	c.Helper()
	c.run("ip", "-n", c.bridge, "link", "set", fmt.Sprint("port", i), state)
}

// deafens has what a member sends to its peers get lost.
func (c *cluster) deafens(i int) {
	c.Helper()
	for other := range c.hosts {
		if other != i {
			c.hosts[i].ip("route", "add", "blackhole", fmt.Sprintf("10.77.0.%d/32", other))
		}
	}
}

// kill kills a member.
func (c *cluster) kill(i int) {
	c.Helper()
	c.must(c.up[i].Process.Kill())
	_ = c.up[i].Wait()
}

// TestForeignHost gives the address to a host that is no member. No member answers as well; once it is gone, one does.
func TestForeignHost(t *testing.T) {
	c := newCluster(t)
	holder := c.holder()
	stranger := c.host(7)
	keeper := stranger.keeper(four, false, make(chan net.HardwareAddr))
	c.must(keeper.Hold(t.Context(), boottime()+time.Hour))
	c.eventually("the holder gives up", func() error {
		if c.hosts[holder].has(four) {
			return errors.New("it has the address")
		}
		return nil
	})
	c.client.reaches(four, stranger)
	c.must(keeper.Release(t.Context()))
	c.holder()
}

// TestRefusals starts members that must not work with the others, and checks that they are told why.
func TestRefusals(t *testing.T) {
	c := newCluster(t)
	holder := c.holder()
	victim := holder%3 + 1
	t.Run("a damaged log", func(t *testing.T) {
		c.kill(victim)
		file := filepath.Join(c.dir, fmt.Sprint(victim), "decisions.db")
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for i := dbHeader; i < len(text); i++ {
			text[i] ^= 0xff
		}
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
		if said := c.refuses(victim); !strings.Contains(said, "all other members are up") {
			t.Errorf("it says %q", said)
		}
	})
	c.holder()
	t.Run("another key", func(t *testing.T) {
		c.must(os.RemoveAll(filepath.Join(c.dir, fmt.Sprint(victim))))
		c.starts(victim, "-member.key=another horse")
		c.eventually("its peers refuse it, and say why", func() error {
			text, err := os.ReadFile(filepath.Join(c.dir, fmt.Sprint("log", holder)))
			if err == nil && !strings.Contains(string(text), "the other side has another wd_authkey") {
				err = errors.New("they do not say so")
			}
			return err
		})
	})
	c.holder()
}

// dbHeader is how many bytes of the log's file come before what it holds.
const dbHeader = 2 * 4096

// refuses starts a member that does not become ready, and returns what it says.
func (c *cluster) refuses(i int) string {
	c.Helper()
	p := c.command(i)
	var said strings.Builder
	p.Stderr = &said
	in, err := p.StdinPipe()
	c.must(err)
	defer in.Close()
	c.hosts[i].inside(p.Start)
	late := time.AfterFunc(patience, func() { _ = p.Process.Kill() })
	_ = p.Wait()
	if !late.Stop() {
		c.Errorf("member %d works after %v", i, patience)
	}
	return said.String()
}
