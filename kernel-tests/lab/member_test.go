package lab

import (
	"bufio"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"pgherd/vip"
	"pgherd/vip/address"
	"pgherd/vip/lease"
	"pgherd/vip/peer"
)

var (
	memberOf  = flag.Int("member", 0, "be this member of a cluster of three; tests start this")
	memberKey = flag.String("member.key", "correct horse", "its wd_authkey")
	witnesses = flag.Bool("member.witness", false, "it is a witness")
	memberDir = flag.String("member.dir", "", "where it keeps what was decided")
)

// nothing is a Machine that decides nothing.
type nothing struct{}

func (nothing) Apply([]byte) error   { return nil }
func (nothing) Snapshot() []byte     { return nil }
func (nothing) Restore([]byte) error { return nil }
func (nothing) Sight(string, []byte) {}

// member is a process that is one of three pgherds, as far as the virtual addresses go. Its standard input, closed, ends it.
func member(self int) error {
	s := vip.Settings{Log: slog.New(slog.NewTextHandler(os.Stderr, nil)).With("member", self), Clock: boottime, Self: self, Key: *memberKey,
		Greeting: peer.Greeting{Cluster: "lab"}, Directory: *memberDir, ElectionTimeout: 150 * time.Millisecond, Lease: lease.DefaultLease, Folder: *folder,
		Machine: nothing{}, Epoch: func() uint64 { return 0 }, Licensed: func(time.Duration) {}, Turned: func() {}}
	for i := 1; i <= 3; i++ {
		s.Members = append(s.Members, vip.Member{Number: i, Host: fmt.Sprint("10.77.0.", i), Port: 9000})
	}
	for _, ip := range []netip.Addr{four, six} {
		s.Addresses = append(s.Addresses, address.Address{Prefix: netip.PrefixFrom(ip, ip.BitLen()), Interface: "eth0"})
	}
	s.Witness = *witnesses
	v, err := vip.Start(s)
	if err != nil {
		return err
	}
	fmt.Println(ready)
	if s.Witness {
		go func() {
			for range time.Tick(100 * time.Millisecond) {
				_ = v.Resign()
			}
		}()
	}
	_, _ = io.Copy(io.Discard, os.Stdin)
	return v.Close()
}

// cluster is three hosts with a member each, and a client.
type cluster struct {
	*lan
	hosts   map[int]*host
	up      map[int]*process
	client  *host
	dir     string
	folders map[int]string // where programs are pinned
}

// process is a member at work.
type process struct {
	*exec.Cmd
	end io.Closer
}

func newCluster(t *testing.T) *cluster {
	c := &cluster{newLAN(t), map[int]*host{}, map[int]*process{}, nil, t.TempDir(), map[int]string{}}
	for i := 1; i <= 3; i++ {
		c.hosts[i] = c.host(i)
	}
	c.client = c.host(9)
	for i, h := range c.hosts {
		c.folders[i] = h.folder()
		c.start(i)
	}
	return c
}

func (c *cluster) command(i int) *exec.Cmd {
	return exec.Command(os.Args[0], fmt.Sprint("-member=", i), "-member.dir="+filepath.Join(c.dir, fmt.Sprint(i)), "-sentry.folder="+c.folders[i])
}

func (c *cluster) start(i int) { c.Helper(); c.starts(i) }

func (c *cluster) starts(i int, args ...string) {
	c.Helper()
	p := c.command(i)
	p.Args = append(p.Args, args...)
	log, err := os.OpenFile(filepath.Join(c.dir, fmt.Sprint("log", i)), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	c.must(err)
	p.Stderr = log
	in, err := p.StdinPipe()
	c.must(err)
	out, err := p.StdoutPipe()
	c.must(err)
	c.hosts[i].inside(p.Start)
	c.up[i] = &process{p, in}
	c.Cleanup(func() {
		_ = p.Process.Kill()
		_ = p.Wait()
		log.Close()
		if text, err := os.ReadFile(log.Name()); err == nil && c.Failed() {
			c.Logf("member %d:\n%s", i, text)
		}
	})
	if line, err := bufio.NewReader(out).ReadString('\n'); line != ready+"\n" {
		c.Fatalf("member %d says %q, %v", i, line, err)
	}
}

// holder waits until a host other than these holds both addresses, as the client sees it.
func (c *cluster) holder(but ...int) (holder int) {
	c.Helper()
	c.eventually("one host answers at both addresses", func() error {
		one, err := c.client.asks(four)
		if err != nil {
			return err
		}
		other, err := c.client.asks(six)
		if err != nil || one != other {
			return errors.Join(err, fmt.Errorf("%s and %s answer", one, other))
		}
		for i, h := range c.hosts {
			if h.name == one {
				holder = i
			}
		}
		for _, not := range but {
			if holder == not {
				return fmt.Errorf("it is host %d still", not)
			}
		}
		return nil
	})
	return holder
}

// watch asks each host by its own MAC who answers at an address, each millisecond, until it is stopped: so it hears two that
// answer at once, whatever the client's neighbour table has.
func (c *cluster) watch(ip netip.Addr) (stop func() []answered) {
	c.Helper()
	var lock sync.Mutex
	var all []answered
	done := make(chan struct{})
	var running sync.WaitGroup
	for i, h := range c.hosts {
		eye := c.host(10 + i)
		eye.ip("neigh", "replace", ip.String(), "lladdr", h.mac(), "nud", "permanent", "dev", "eth0")
		running.Go(func() {
			eye.inside(func() error {
				socket, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_NONBLOCK, unix.IPPROTO_ICMP)
				if err != nil {
					return err
				}
				defer unix.Close(socket)
				for {
					select {
					case <-done:
						return nil
					case <-time.After(samplePause):
					}
					_ = unix.Sendto(socket, echo(boottime()), 0, &unix.SockaddrInet4{Addr: ip.As4()})
					for _, sent := range echoes(socket, ip) {
						lock.Lock()
						all = append(all, answered{i, sent, boottime()})
						lock.Unlock()
					}
				}
			})
		})
	}
	return func() []answered {
		close(done)
		running.Wait()
		return all
	}
}

// answered is that a host has answered a question.
type answered struct {
	host     int
	sent, at time.Duration // when it was asked, and when its answer was read
}

// An echo request: type and code, checksum, identifier and number, and the time in it.
const (
	echoHeader = 8
	ipHeader   = 20
	echoSize   = echoHeader + 8
)

func echo(now time.Duration) []byte {
	b := binary.BigEndian.AppendUint64([]byte{8, 0, 0, 0, 0, 0, 0, 0}, uint64(now))
	sum := uint32(0)
	for i := 0; i < len(b); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	for sum > 0xffff {
		sum = sum&0xffff + sum>>16
	}
	binary.BigEndian.PutUint16(b[2:], ^uint16(sum))
	return b
}

// echoes are the times of the questions whose answers have come.
func echoes(socket int, ip netip.Addr) (all []time.Duration) {
	b := make([]byte, 128)
	for {
		n, from, err := unix.Recvfrom(socket, b, 0)
		if err != nil {
			return all
		}
		if is, ok := from.(*unix.SockaddrInet4); ok && n >= ipHeader+echoSize && b[ipHeader] == 0 && is.Addr == ip.As4() {
			all = append(all, time.Duration(binary.BigEndian.Uint64(b[ipHeader+echoHeader:])))
		}
	}
}

// together is how close two answers of a host are between which it was not another one's turn: an election takes longer.
const together = 100 * time.Millisecond

// neverTwo checks that no host answers between two answers of another one.
func (c *cluster) neverTwo(all []answered) {
	c.Helper()
	hosts := map[int]bool{}
	for _, a := range all {
		hosts[a.host] = true
	}
	if len(hosts) < 2 {
		c.Errorf("only these hosts have answered, so this shows nothing: %v", slices.Collect(maps.Keys(hosts)))
	}
	if two := twoAnswer(all); two != "" {
		c.Error(two)
	}
}

// twoAnswer says which host has answered in the middle of another one's answers; "": none. It is sure of the order of two
// answers if the question of the one was sent after the other had been read.
func twoAnswer(all []answered) string {
	byHost := map[int][]answered{}
	for _, a := range all {
		byHost[a.host] = append(byHost[a.host], a)
	}
	for _, one := range all {
		for host, others := range byHost {
			next := slices.IndexFunc(others, func(o answered) bool { return o.sent > one.at })
			before := slices.IndexFunc(others, func(o answered) bool { return o.at >= one.sent }) - 1
			if host != one.host && next >= 0 && before >= 0 && others[next].sent-others[before].at < together {
				return fmt.Sprintf("host %d has answered in the middle of host %d's answers: %v after one of these, and %v before another",
					one.host, host, one.sent-others[before].at, others[next].sent-one.at)
			}
		}
	}
	return ""
}

// TestTwoAnswer checks what counts for two hosts that answer at once.
func TestTwoAnswer(t *testing.T) {
	const ms = time.Millisecond
	for name, c := range map[string]struct {
		all  []answered
		want bool
	}{
		"one after the other":              {[]answered{{1, 0, 1 * ms}, {1, 2 * ms, 3 * ms}, {2, 4 * ms, 5 * ms}, {2, 6 * ms, 7 * ms}}, false},
		"the first one answers again":      {[]answered{{1, 0, 1 * ms}, {2, 2 * ms, 3 * ms}, {1, 4 * ms, 5 * ms}}, true},
		"it is not certain which is first": {[]answered{{1, 0, 1 * ms}, {2, 2 * ms, 5 * ms}, {1, 4 * ms, 6 * ms}}, false},
		"it was elected again":             {[]answered{{1, 0, 1 * ms}, {2, 20 * ms, 30 * ms}, {1, 300 * ms, 301 * ms}}, false},
	} {
		if got := twoAnswer(c.all); (got != "") != c.want {
			t.Errorf("%s: got %q", name, got)
		}
	}
}

// TestHolderEnds has the holder end in each way, and checks that another host answers, that never two do, and that a client that
// knows the old holder's MAC is told.
func TestHolderEnds(t *testing.T) {
	for name, how := range map[string]func(c *cluster, holder int){
		"it is killed": func(c *cluster, holder int) { c.must(c.up[holder].Process.Kill()) },
		"it is frozen": func(c *cluster, holder int) { c.must(c.up[holder].Process.Signal(syscall.SIGSTOP)) },
		"it is cut off": func(c *cluster, holder int) {
			c.run("ip", "-n", c.bridge, "link", "set", fmt.Sprint("port", holder), "down")
		},
		"it ends itself": func(c *cluster, holder int) { c.must(c.up[holder].end.Close()) },
	} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t)
			holder := c.holder()
			stop := c.watch(four)
			time.Sleep(200 * time.Millisecond) // it is seen to answer
			at := boottime()
			how(c, holder)
			next := c.holder(holder)
			took := boottime() - at
			time.Sleep(500 * time.Millisecond) // an old holder would be seen to answer again
			c.neverTwo(stop())
			t.Logf("host %d answers after %v", next, took.Round(time.Millisecond))
		})
	}
}
