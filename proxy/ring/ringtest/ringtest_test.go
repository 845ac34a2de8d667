package ringtest_test

import (
	"fmt"
	"io"
	"strings"
	"syscall"
	"testing"

	"pgherd/proxy/ring"
	"pgherd/proxy/ring/ringtest"
)

// echo sends back what arrives, and records what happens.
type echo struct {
	net   *ringtest.Network
	diary *strings.Builder
}

func (e echo) Ready(c *ring.Conn) {
	for b := c.Take(); b != nil; b = c.Take() {
		fmt.Fprintln(e.diary, e.net.Now().UnixNano(), len(b.Bytes()), c.Queued())
		c.Send(b, b.Bytes())
		b.Release()
	}
	fmt.Fprintln(e.diary, c.Ended(), c.Broken())
}

func run(t *testing.T, seed uint64) (diary string) {
	t.Helper()
	var d strings.Builder
	net := ringtest.New(seed)
	net.ResetOneIn = 300
	l := ring.NewWith(net.Engine(), ring.Settings{Buffers: 8, BufferSize: 300, Quota: 3})
	defer l.Close()
	var peers []*ringtest.Peer
	for range 5 {
		fd, p := net.Pair()
		l.Open(fd, echo{net, &d})
		p.Write(make([]byte, 5000))
		peers = append(peers, p)
	}
	for range 400 {
		if err := l.Turn(0); err != nil {
			t.Fatal(err)
		}
		net.Step()
		for i, p := range peers {
			fmt.Fprintln(&d, i, len(p.Read()), p.Unsent(), p.Closed())
		}
	}
	return d.String()
}

func TestSameSeedSameRun(t *testing.T) {
	first := run(t, 1)
	if first != run(t, 1) {
		t.Error("two runs of the same seed differ")
	}
	if first == run(t, 2) {
		t.Error("the runs of two seeds are the same")
	}
	if !strings.Contains(first, syscall.ECONNRESET.Error()) {
		t.Error("no socket was reset in any run")
	}
}

func step(t *testing.T, net *ringtest.Network, l *ring.Loop, n int) {
	t.Helper()
	for range n {
		if err := l.Turn(ring.Forever); err != nil {
			t.Fatal(err)
		}
		net.Step()
	}
}

func TestPeer(t *testing.T) {
	net := ringtest.New(1)
	l := ring.NewWith(net.Engine(), ring.Settings{})
	defer l.Close()
	fd, p := net.Pair()
	c := l.Open(fd, nil)
	c.Write([]byte("hello"))
	step(t, net, l, 100)
	if got := string(p.ReadSome(2)) + string(p.Read()); got != "hello" || p.Closed() != nil || p.Gone() {
		t.Errorf("the peer got %q, and closed with %v", got, p.Closed())
	}
	p.CloseWrite()
	if _, err := p.Write([]byte("x")); err != syscall.EPIPE {
		t.Errorf("a write after CloseWrite: got error %v", err)
	}
	c.ShutdownWrite()
	step(t, net, l, 100)
	if p.Closed() != io.EOF || p.Gone() || c.Ended() != io.EOF {
		t.Errorf("half closed: the peer closed with %v, is gone: %v; the Conn ended by %v", p.Closed(), p.Gone(), c.Ended())
	}
	c.Close()
	step(t, net, l, 100)
	if !p.Gone() {
		t.Error("the Conn is not closed")
	}
}

// TestBackPressure checks that the window of a peer that does not read fills, and that what is queued stays queued.
func TestBackPressure(t *testing.T) {
	net := ringtest.New(1)
	l := ring.NewWith(net.Engine(), ring.Settings{})
	defer l.Close()
	fd, p := net.Pair()
	c := l.Open(fd, nil)
	c.Write(make([]byte, 100_000))
	step(t, net, l, 300)
	if c.Queued() < 80_000 || p.Arrived() == 0 {
		t.Errorf("%d bytes are still queued, and %d have arrived", c.Queued(), p.Arrived())
	}
}

// TestLowWater checks that a receive completes when the mark is reached, and at once when the mark is lowered.
func TestLowWater(t *testing.T) {
	net := ringtest.New(1)
	l := ring.NewWith(net.Engine(), ring.Settings{})
	defer l.Close()
	fd, p := net.Pair()
	c := l.Open(fd, nil)
	c.Stream(true)
	step(t, net, l, 100)
	if net.LowWater(fd) != 1 {
		t.Fatalf("the mark is %d though its deadline is over", net.LowWater(fd))
	}
	p.Write([]byte("x"))
	step(t, net, l, 100)
	if b := c.Take(); b == nil || string(b.Bytes()) != "x" {
		t.Error("the bytes were not received")
	}
}

// TestBrokenRulesPanic checks that the simulation panics if a loop breaks the rules of engines.
func TestBrokenRulesPanic(t *testing.T) {
	for what, breach := range map[string]func(e ring.Engine, fd int, id ring.ID){
		"two receives":       func(e ring.Engine, fd int, id ring.ID) { e.Recv(id, fd, nil, 0); e.Recv(id, fd, nil, 0) },
		"closed while used":  func(e ring.Engine, fd int, id ring.ID) { e.Recv(id, fd, nil, 0); e.CloseSocket(fd) },
		"removed while used": func(e ring.Engine, fd int, id ring.ID) { e.Recv(id, fd, nil, 0); e.Remove(id, fd) },
		"opened twice":       func(e ring.Engine, fd int, id ring.ID) { _ = e.Add(id, fd) },
		"used when closed":   func(e ring.Engine, fd int, id ring.ID) { e.CloseSocket(fd); e.Recv(id, fd, nil, 0) },
		"marked for shared":  func(e ring.Engine, fd int, id ring.ID) { _ = e.LowWater(fd, 1000); e.Recv(id, fd, nil, 0) },
		"removed marked":     func(e ring.Engine, fd int, id ring.ID) { _ = e.LowWater(fd, 1000); e.Remove(id, fd) },
		"changed in flight": func(e ring.Engine, fd int, id ring.ID) {
			p := []byte("before")
			e.Send(id, fd, [][]byte{p})
			p[0] = 'B'
			for range 100 {
				_ = e.Turn(0)
			}
		},
	} {
		t.Run(what, func(t *testing.T) {
			net := ringtest.New(1)
			e := net.Engine()
			ring.NewWith(e, ring.Settings{Buffers: 1})
			fd, _ := net.Pair()
			id := ring.ID(1 << 32)
			if err := e.Add(id, fd); err != nil {
				t.Fatal(err)
			}
			defer func() {
				if recover() == nil {
					t.Error("the broken rule causes no panic")
				}
			}()
			breach(e, fd, id)
		})
	}
}
