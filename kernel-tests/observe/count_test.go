package observe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"pgherd/bench/herd"
	"pgherd/bench/herd/herdtest"
	"pgherd/bpf"
	"pgherd/bpf/observe"
)

// watched is this process, observed.
type watched struct {
	*observe.Observer
	port  int // of clients
	signs chan observe.Sign
}

// watch observes this process until the test ends; nil: it may not, and was told why.
func watch(t *testing.T) *watched {
	t.Helper()
	port, err := herd.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	w := &watched{port: port, signs: make(chan observe.Sign, 1000)}
	w.Observer, err = observe.Start(observe.Settings{Port: port})
	if !permitted(t) {
		u, _ := errors.AsType[*bpf.Unavailable](err)
		if u == nil || u.Feature == "" || u.MinVersion == "" || u.Err == nil {
			t.Fatalf("not permitted, and told %v", err)
		}
		t.Logf("not permitted here: %v", err)
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	w.Tell(func(s observe.Sign) { w.signs <- s })
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

// until waits for a sign.
func (w *watched) until(t *testing.T, want observe.Sign) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), herdtest.SettleLimit)
	defer cancel()
	for {
		select {
		case s := <-w.signs:
			if s == want {
				return
			}
		case <-ctx.Done():
			t.Fatalf("no sign: %v of %v", want.Kind, want.Node)
		}
	}
}

// pair is both ends of a connection.
func pair(t *testing.T, l net.Listener, address string) (dialed, accepted *net.TCPConn) {
	t.Helper()
	d, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	a, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close(); a.Close() })
	return d.(*net.TCPConn), a.(*net.TCPConn)
}

func send(t *testing.T, from, to net.Conn, bytes int) {
	t.Helper()
	if _, err := from.Write(make([]byte, bytes)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(to, make([]byte, bytes)); err != nil {
		t.Fatal(err)
	}
}

// sums are the counts that a test knows exactly. Bytes may be a few more, because TCP counts the
// beginning and the end of a connection.
type sums struct{ live, opened, closed, failed, aborted, received, sent uint64 }

func sumsOf(c observe.Counts) sums {
	return sums{c.Live, c.Opened, c.Closed, c.Failed, c.Aborted, c.Received, c.Sent}
}

func (s sums) fits(c observe.Counts) bool {
	got := sumsOf(c)
	moreSent, moreReceived := got.sent-s.sent, got.received-s.received
	got.sent, got.received = s.sent, s.received
	return got == s && moreSent <= 2*s.opened && moreReceived <= s.opened
}

func (w *watched) counts(t *testing.T, node netip.AddrPort, ofNode sums, client netip.Addr, ofClient sums) {
	t.Helper()
	herdtest.Eventually(t, "the counts", func() error {
		traffic, err := w.Traffic()
		if err != nil {
			return err
		}
		if n, c := traffic.Nodes[node], traffic.Clients[client]; !ofNode.fits(n) || !ofClient.fits(c) {
			return fmt.Errorf("node %v: %+v, want %+v; client %v: %+v, want %+v", node, n, ofNode, client, c, ofClient)
		}
		return nil
	})
}

// TestCounts counts connections of this process to itself, each of which is one to a node and one
// of a client.
func TestCounts(t *testing.T) {
	for _, listen := range []string{"127.0.0.1", "[::1]", ""} { // the last takes IPv4 as IPv6
		t.Run("at "+listen, func(t *testing.T) {
			before := membership(t)
			w := watch(t)
			if w == nil {
				return
			}
			if membership(t) == before {
				t.Error("the process is where it was")
			}
			w.countsEach(t, listen)
			if err := w.Close(); err != nil {
				t.Error(err)
			}
			if now := membership(t); now != before {
				t.Errorf("the process is in %s, not back in %s", now, before)
			}
		})
	}
}

func (w *watched) countsEach(t *testing.T, listen string) {
	l, err := plain.Listen(t.Context(), "tcp", fmt.Sprintf("%s:%d", listen, w.port))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	to := listen
	if to == "" {
		to = "127.0.0.1"
	}
	node := netip.MustParseAddrPort(fmt.Sprintf("%s:%d", to, w.port))
	client := node.Addr()
	d, a := pair(t, l, node.String())
	send(t, d, a, 1000)
	send(t, a, d, 70000)
	w.counts(t, node, sums{live: 1, opened: 1, received: 70000, sent: 1000}, client, sums{live: 1, opened: 1, received: 1000, sent: 70000})
	traffic, err := w.Traffic()
	if err != nil || traffic.Nodes[node].RTT <= 0 || traffic.Clients[client].RTT <= 0 {
		t.Errorf("no round trip: %+v, %v", traffic, err)
	}
	d.Close()
	a.Close()
	w.counts(t, node, sums{opened: 1, closed: 1, received: 70000, sent: 1000}, client, sums{opened: 1, closed: 1, received: 1000, sent: 70000})
	d, a = pair(t, l, node.String())
	if err := a.SetLinger(0); err != nil {
		t.Fatal(err)
	}
	a.Close()
	w.until(t, observe.Sign{Node: node, Kind: observe.Aborted})
	d.Close()
	l.Close()
	if refused, err := net.Dial("tcp", node.String()); err == nil {
		refused.Close()
		t.Fatal("nobody listens, and it connects")
	}
	w.until(t, observe.Sign{Node: node, Kind: observe.Failed})
	w.counts(t, node, sums{opened: 2, closed: 2, aborted: 1, failed: 1, received: 70000, sent: 1000},
		client, sums{opened: 2, closed: 2, aborted: 1, received: 1000, sent: 70000})
}

// TestSilence: a link is cut, or a host vanishes. Nothing comes back, and that is told.
func TestSilence(t *testing.T) {
	w := watch(t)
	if w == nil {
		return
	}
	c := newCable(t)
	for _, row := range []struct {
		what   string
		cut    func(testing.TB) (mend func(testing.TB))
		resent bool // packets get away, and so they can be sent again
	}{
		{"the link is cut", c.cut, false},
		{"the host vanishes", c.vanish, true},
	} {
		t.Run(row.what, func(t *testing.T) {
			l := c.listen(t)
			node := netip.MustParseAddrPort(l.Addr().String())
			d, a := pair(t, l, l.Addr().String())
			send(t, d, a, 10)
			mend := row.cut(t)
			if _, err := d.Write([]byte("is anybody there?")); err != nil {
				t.Fatal(err)
			}
			w.until(t, observe.Sign{Node: node, Kind: observe.Timeout})
			mend(t)
			if _, err := io.ReadFull(a, make([]byte, 17)); err != nil {
				t.Fatal(err)
			}
			traffic, err := w.Traffic()
			if got := traffic.Nodes[node]; err != nil || got.Timeouts == 0 || got.Live != 1 || row.resent && got.Retransmits == 0 {
				t.Errorf("%+v, %v", got, err)
			}
		})
	}
}

// TestLeftoversAreRemoved of a pgherd that was killed.
func TestLeftoversAreRemoved(t *testing.T) {
	first, err := bpf.Join("leftover")
	if !cgroupsPermitted(t) {
		if _, ok := errors.AsType[*bpf.Unavailable](err); !ok {
			t.Errorf("not permitted, and told %v", err)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Leave(); err != nil {
		t.Fatal(err)
	}
	left := filepath.Join(filepath.Dir(first.Path), "leftover.0")
	if err := os.MkdirAll(filepath.Join(left, "leftover.1"), 0o755); err != nil {
		t.Fatal(err)
	}
	second, err := bpf.Join("leftover")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(left); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s: %v", left, err)
	}
	if err := second.Leave(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(second.Path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s: %v", second.Path, err)
	}
}
