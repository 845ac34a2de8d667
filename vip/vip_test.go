package vip

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"pgherd/vip/lease"
	"pgherd/vip/licence"
	"pgherd/vip/peer"
)

func boottime() time.Duration {
	var t unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_BOOTTIME, &t)
	return time.Duration(t.Nano())
}

// patience is for what happens within a second or two on a quiet machine.
const patience = 60 * time.Second

func eventually(t *testing.T, what string, is func() error) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for err := is(); err != nil; err = is() {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %v: %v", what, patience, err)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// journal is a Machine that keeps commands.
type journal struct {
	lock sync.Mutex
	all  []string
}

func (j *journal) Apply(command []byte) error {
	j.lock.Lock()
	defer j.lock.Unlock()
	j.all = append(j.all, string(command))
	return nil
}

func (j *journal) Snapshot() []byte {
	j.lock.Lock()
	defer j.lock.Unlock()
	return []byte(strings.Join(j.all, "\n"))
}

func (j *journal) Restore(state []byte) error {
	j.lock.Lock()
	defer j.lock.Unlock()
	j.all = strings.Split(string(state), "\n")
	return nil
}

func (j *journal) Sight(string, []byte) {}

// started is a member in this process.
type started struct {
	*VIP
	journal
	licensed atomic.Int64
}

func (m *started) left() time.Duration { return time.Duration(m.licensed.Load()) - boottime() }

// cluster has members without addresses on the loopback.
type cluster struct {
	*testing.T
	members []Member
	dir     string
	up      map[int]*started
	change  func(*Settings) // of each member
}

func newCluster(t *testing.T) *cluster {
	c := &cluster{t, nil, t.TempDir(), map[int]*started{}, func(*Settings) {}}
	for i := range 3 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		c.members = append(c.members, Member{i, "127.0.0.1", l.Addr().(*net.TCPAddr).Port})
		defer l.Close()
	}
	t.Cleanup(func() {
		for i := range c.up {
			c.end(i)
		}
	})
	return c
}

func (c *cluster) start(i int) *started {
	c.Helper()
	m := &started{}
	set := Settings{Log: slog.New(slog.NewTextHandler(c.Output(), nil)).With("member", i), Clock: boottime, Self: i, Members: c.members, Listen: "127.0.0.1",
		Key: "correct horse", Greeting: peer.Greeting{Cluster: "herd"}, Directory: filepath.Join(c.dir, fmt.Sprint(i)), ElectionTimeout: 300 * time.Millisecond,
		Lease: lease.DefaultLease, Machine: &m.journal, Epoch: func() uint64 { return 0 }, Licensed: func(until time.Duration) { m.licensed.Store(int64(until)) }, Turned: func() {}}
	c.change(&set)
	v, err := Start(set)
	if err != nil {
		c.Fatal(err)
	}
	m.VIP = v
	c.up[i] = m
	return m
}

func (c *cluster) end(i int) {
	c.Helper()
	if err := c.up[i].Close(); err != nil {
		c.Error(err)
	}
	delete(c.up, i)
}

// leader waits until all that are up agree on one, and have licences.
func (c *cluster) leader() (leader int) {
	c.Helper()
	eventually(c.T, "all have a leader and a licence", func() error {
		leader = licence.Nobody
		for i, m := range c.up {
			s := m.Status()
			if s.Leader == licence.Nobody || c.up[s.Leader] == nil || !c.up[s.Leader].Leads() || leader != licence.Nobody && s.Leader != leader {
				return fmt.Errorf("member %d has leader %d, another one %d", i, s.Leader, leader)
			}
			if leader = s.Leader; m.left() <= 0 {
				return fmt.Errorf("member %d has no licence", i)
			}
		}
		return nil
	})
	return leader
}

// TestCluster has three members elect a leader, decide, and get licences. Without its majority a member has none any more, and who
// leads knows when that is so of others.
func TestCluster(t *testing.T) {
	c := newCluster(t)
	for i := range c.members {
		c.start(i)
	}
	leader := c.leader()
	if err := c.up[(leader+1)%3].Propose(t.Context(), []byte("one")); err != nil {
		t.Fatal(err)
	}
	gone := (leader + 1) % 3
	c.end(gone)
	eventually(t, "the leader knows that a member that is gone has no licence", func() error {
		if c.up[leader].Unlicensed(gone, 1) {
			return nil
		}
		return errors.New("it may have one")
	})
	c.up[leader].Tell(nil, 1)
	c.up[(leader+2)%3].Tell(nil, 1)
	c.leader()
	c.end(leader)
	last := c.up[(leader+2)%3]
	eventually(t, "one that is alone has no licence", func() error {
		if left := last.left(); left > 0 {
			return fmt.Errorf("it has one for %v", left)
		}
		return nil
	})
	c.start(leader).Tell(nil, 1)
	c.leader()
	if got := c.start(gone).Status().Self; got != gone {
		t.Errorf("member %d says that it is %d", gone, got)
	}
	eventually(t, "who was away has what was decided", func() error {
		if got := string(c.up[gone].Snapshot()); got != "one" {
			return fmt.Errorf("it has %q", got)
		}
		return nil
	})
}

// TestWire checks that messages are read as they were written, and that anything else is not read.
func TestWire(t *testing.T) {
	m := lease.Message{Kind: lease.Refuse, Round: lease.Round{Incarnation: 1 << 63, Number: 7}, List: 3, To: lease.Nobody, Left: time.Hour}
	for _, ip := range []string{"192.0.2.7", "fd77::7"} {
		b := appendLease(nil, netip.MustParseAddr(ip), m)
		gotIP, got, err := readLease(b)
		if err != nil || gotIP.String() != ip || got != m {
			t.Errorf("got %v %+v, %v", gotIP, got, err)
		}
		if _, _, err := readLease(b[:len(b)-1]); err == nil {
			t.Error("half a message was read")
		}
	}
	l := licence.Message{Kind: licence.Grant, Number: 1 << 63, Term: 2, Fenced: 3, For: time.Second}
	b := appendLicence(nil, l)
	if got, err := readLicence(b); err != nil || got != l {
		t.Errorf("got %+v, %v", got, err)
	}
	if _, err := readLicence(append(b, 0)); err == nil {
		t.Error("a message that is too long was read")
	}
}
