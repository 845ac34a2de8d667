// Package peer makes connections between the pgherds of one cluster, of which each side has proved that it belongs there.
//
// Nothing of an unproved connection is read but TLS's own handshake. After it the two sides tell what they are (a
// Greeting), and a connection between members that do not fit together ends with an error on both, which names what
// differs.
package peer

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"sync"
	"time"
)

// Limits of connections that are not yet proved.
const (
	handshakeLimit = 2 * time.Second        // for TLS and the greeting together
	mostHandshakes = 32                     // at once; one more is closed
	mostOfOne      = 8                      // of these from one IP address, so that nobody takes the places of others
	acceptAgain    = 100 * time.Millisecond // after an error
	mostWaiting    = 32                     // proved connections of a purpose that nobody has accepted yet
)

// Purpose is what a connection is for. It is told in its greeting.
type Purpose string

// Settings of a Network.
type Settings struct {
	Log      *slog.Logger
	TLS      *tls.Config       // by Identity
	Greeting Greeting          // of this member; its Purpose is filled in
	Members  map[string]string // host:port by member's name
	Purposes []Purpose         // that are accepted
}

// A Network has this member's connections to the others, and theirs to it.
type Network struct {
	set      Settings
	listener net.Listener
	accepted map[Purpose]chan net.Conn
	ended    chan struct{}
	end      sync.Once
	pending  sync.WaitGroup
	unproved unproved
	refusals Seldom
}

// unproved counts the connections that are not proved yet.
type unproved struct {
	lock sync.Mutex
	all  int
	from map[netip.Addr]int
}

// enter is false if there are too many already.
func (u *unproved) enter(from netip.Addr) bool {
	u.lock.Lock()
	defer u.lock.Unlock()
	if u.all >= mostHandshakes || u.from[from] >= mostOfOne {
		return false
	}
	u.all++
	u.from[from]++
	return true
}

func (u *unproved) leave(from netip.Addr) {
	u.lock.Lock()
	defer u.lock.Unlock()
	u.all--
	if u.from[from]--; u.from[from] == 0 {
		delete(u.from, from)
	}
}

// Listen accepts connections of other members at an address, until Close.
func Listen(address string, s Settings) (*Network, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen for peers: %w", err)
	}
	n := &Network{set: s, listener: l, accepted: map[Purpose]chan net.Conn{}, ended: make(chan struct{}), unproved: unproved{from: map[netip.Addr]int{}}}
	n.set.Members = maps.Clone(s.Members)
	for _, p := range s.Purposes {
		n.accepted[p] = make(chan net.Conn, mostWaiting)
	}
	n.pending.Add(1)
	go n.serve()
	return n, nil
}

// Addr is where the network listens.
func (n *Network) Addr() net.Addr { return n.listener.Addr() }

// Close ends what waits for connections. Those that were handed out are their owners'.
func (n *Network) Close() error {
	var err error
	n.end.Do(func() {
		close(n.ended)
		err = n.listener.Close()
		n.pending.Wait()
		for _, waiting := range n.accepted {
			for len(waiting) > 0 {
				_ = (<-waiting).Close()
			}
		}
	})
	return err
}

func (n *Network) serve() {
	defer n.pending.Done()
	for {
		conn, err := n.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // for instance, the process has too many files open
			n.set.Log.Error("a peer cannot be accepted", "error", err)
			select {
			case <-time.After(acceptAgain):
			case <-n.ended:
			}
			continue
		}
		from, _ := netip.ParseAddrPort(conn.RemoteAddr().String())
		if !n.unproved.enter(from.Addr()) {
			_ = conn.Close()
			continue
		}
		n.pending.Add(1)
		go func() {
			defer n.pending.Done()
			defer n.unproved.leave(from.Addr())
			n.admit(conn)
		}()
	}
}

// admit proves a connection, and leaves it to whoever accepts its purpose.
func (n *Network) admit(conn net.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), handshakeLimit)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	go func() { // an end of the network does not wait for who is slow
		select {
		case <-n.ended:
			cancel()
		case <-ctx.Done():
		}
	}()
	proved, theirs, err := greet(ctx, tls.Server(conn, n.set.TLS), n.set.Greeting)
	if err == nil {
		err = n.hand(proved, theirs)
	}
	if err != nil {
		_ = conn.Close()
		n.refuse(conn.RemoteAddr().String(), err)
	}
}

// refuse tells why, without its ports again only after a while.
func (n *Network) refuse(from string, err error) {
	host, _, _ := net.SplitHostPort(from)
	reason := err.Error()
	if op, is := errors.AsType[*net.OpError](err); is {
		reason = op.Err.Error()
	}
	if n.refusals.Due(host+" "+reason, time.Now()) {
		n.set.Log.Warn("a connection of a peer is refused", "from", from, "error", err)
	}
}

func (n *Network) hand(conn net.Conn, theirs Greeting) error {
	waiting, known := n.accepted[theirs.Purpose]
	if _, member := n.set.Members[theirs.Member]; !member {
		return fmt.Errorf("member %q is not configured here", theirs.Member)
	}
	if !known {
		return fmt.Errorf("member %s wants a connection for %q, which is not known here", theirs.Member, theirs.Purpose)
	}
	select {
	case waiting <- Conn{conn, theirs}:
		return nil
	default:
		return fmt.Errorf("too many connections of member %s wait", theirs.Member)
	}
}

// Conn is a proved connection, and what the other side has said of itself.
type Conn struct {
	net.Conn
	Peer Greeting
}

// Dial connects to a member.
func (n *Network) Dial(ctx context.Context, member string, p Purpose) (c Conn, err error) {
	ctx, cancel := context.WithTimeout(ctx, handshakeLimit)
	defer cancel()
	address, known := n.set.Members[member]
	if !known {
		return c, fmt.Errorf("connect to member %q: it is not configured", member)
	}
	raw, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return c, fmt.Errorf("connect to member %s: %w", member, err)
	}
	stop := context.AfterFunc(ctx, func() { _ = raw.Close() })
	mine := n.set.Greeting
	mine.Purpose = p
	conn, theirs, err := greet(ctx, tls.Client(raw, n.set.TLS), mine)
	if err == nil && theirs.Member != member {
		err = fmt.Errorf("member %q answers there", theirs.Member)
	}
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		_ = raw.Close()
		return c, fmt.Errorf("connect to member %s at %s: %w", member, address, err)
	}
	return Conn{conn, theirs}, nil
}

// Accept is a listener of the connections for one purpose. Closing it closes nothing else.
func (n *Network) Accept(p Purpose) net.Listener {
	return &accepting{n, n.accepted[p], make(chan struct{}), sync.Once{}}
}

type accepting struct {
	n       *Network
	waiting chan net.Conn
	closed  chan struct{}
	once    sync.Once
}

func (a *accepting) Accept() (net.Conn, error) {
	select {
	case c := <-a.waiting:
		return c, nil
	case <-a.n.ended:
	case <-a.closed:
	}
	return nil, net.ErrClosed
}

func (a *accepting) Addr() net.Addr { return a.n.Addr() }

func (a *accepting) Close() error {
	a.once.Do(func() { close(a.closed) })
	return nil
}
