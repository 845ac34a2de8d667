// Package vip makes this host one member of a cluster of pgherds: it knows who leads, has virtual addresses on this host for
// exactly as long as it holds their leases, and tells until when this host may let clients write.
//
// The leader is whom the addresses are meant for. It asks for their leases (package lease), and what it is granted goes into the kernel,
// which enforces it (bpf/sentry), and onto the interface (package address). One goroutine owns the leases and the licence; each
// address has another one, its hand, which acts on the kernel and may be slow.
package vip

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"pgherd/vip/address"
	"pgherd/vip/lane"
	"pgherd/vip/lease"
	"pgherd/vip/licence"
	"pgherd/vip/peer"
	"pgherd/vip/watchdog"
)

// Limits.
const (
	mailboxSize = 256                    // of messages and questions for the goroutine that owns the leases; more messages are dropped
	longest     = 100 * time.Millisecond // it sleeps at most so long
	// ShortestUnenforced is the shortest lease where the kernel cannot enforce it: an address then goes by its lifetime, which
	// the kernel counts in whole seconds.
	ShortestUnenforced = 2 * time.Second
)

// Member is one of the cluster.
type Member struct {
	Number int    // pgpool_node_id
	Host   string // hostnameN
	Port   int    // wd_portN: TCP and UDP
}

// Name is what other packages call a member.
func (m Member) Name() string { return strconv.Itoa(m.Number) }

func (m Member) address() string { return net.JoinHostPort(m.Host, strconv.Itoa(m.Port)) }

// Settings of a VIP.
type Settings struct {
	Log      *slog.Logger
	Clock    func() time.Duration // CLOCK_BOOTTIME
	Self     int
	Members  []Member // this one among them
	Listen   string   // host to listen on; "": all
	Port     int      // to listen on; 0: that of this member
	Key      string   // wd_authkey
	Greeting peer.Greeting
	// Directory has the log of what was decided.
	Directory       string
	ElectionTimeout time.Duration
	Lease           time.Duration
	Addresses       []address.Address
	Folder          string // where the kernel's programs are pinned; "": bpf/sentry's
	Witness         bool   // it promises addresses, and holds none
	Unenforced      bool   // the kernel is not asked to enforce leases
	Machine         watchdog.Machine
	Epoch           func() uint64             // the last that the Machine has applied
	Licensed        func(until time.Duration) // is called with each new licence, and may not block
	Turned          func()                    // is called when this member begins or ceases to lead, and may not block
}

// VIP is a member at work.
type VIP struct {
	set      Settings
	network  *peer.Network
	lane     *lane.Lane
	watchdog *watchdog.Watchdog
	licence  *licence.Licence
	grips    []*grip
	kernel   enforcement
	mail     chan func()
	stop     chan struct{}
	stopped  chan struct{}
	heard    map[int]time.Duration // when a member was heard last, by messages that are proved
	standing watchdog.Standing
	licensed time.Duration // what Licensed was told last
}

// Start joins the cluster. Addresses that a former process has left are removed before anything else.
func Start(s Settings) (_ *VIP, err error) {
	v := &VIP{set: s, mail: make(chan func(), mailboxSize), stop: make(chan struct{}), stopped: make(chan struct{}), heard: map[int]time.Duration{}}
	defer func() {
		if err != nil {
			err = errors.Join(err, v.release())
		}
	}()
	if err := v.hold(); err != nil {
		return nil, err
	}
	if err := v.connect(); err != nil {
		return nil, err
	}
	now := s.Clock()
	for _, g := range v.grips {
		if g.lease, err = lease.New(v.leaseSettings(), now); err != nil {
			return nil, err
		}
	}
	if v.licence, err = licence.New(licence.Settings{Self: s.Self, Members: v.numbers(), Lasts: licence.DefaultLasts, Margin: licence.DefaultMargin, First: rand.Uint64()}); err != nil {
		return nil, err
	}
	v.watchdog, err = watchdog.Open(watchdog.Settings{Log: s.Log, Member: strconv.Itoa(s.Self), Members: v.names(), Directory: s.Directory, Machine: s.Machine,
		Network: v.network, ElectionTimeout: s.ElectionTimeout, Changed: func(watchdog.Standing) { v.post(v.elected) }})
	if err != nil {
		return nil, err
	}
	go v.run()
	go func() { _ = v.lane.Receive(v.arrived) }()
	return v, nil
}

func (v *VIP) leaseSettings() lease.Settings {
	l := lease.Settings{Limits: lease.Limits{Lease: v.set.Lease, Margin: lease.DefaultMargin}, Self: lease.Member(v.set.Self), List: lease.List{Number: 1},
		Incarnation: rand.Uint64(), Random: func(below time.Duration) time.Duration { return time.Duration(rand.Int64N(int64(max(below, 1)))) }}
	for _, m := range v.set.Members {
		l.List.Members = append(l.List.Members, lease.Member(m.Number))
	}
	return l
}

func (v *VIP) numbers() (all []int) {
	for _, m := range v.set.Members {
		all = append(all, m.Number)
	}
	return all
}

func (v *VIP) names() (all []string) {
	for _, m := range v.set.Members {
		all = append(all, m.Name())
	}
	return all
}

// connect opens the ways to the other members.
func (v *VIP) connect() error {
	s := v.set
	identity, err := peer.ByKey(s.Key)
	if err != nil {
		return err
	}
	self := slices.IndexFunc(s.Members, func(m Member) bool { return m.Number == s.Self })
	if self < 0 {
		return fmt.Errorf("join the cluster: pgpool_node_id is %d, and hostname%d is not configured", s.Self, s.Self)
	}
	port := s.Port
	if port == 0 {
		port = s.Members[self].Port
	}
	addresses, targets := map[string]string{}, map[int]netip.AddrPort{}
	for _, m := range s.Members {
		addresses[m.Name()] = m.address()
		udp, err := net.ResolveUDPAddr("udp", m.address())
		if err != nil {
			return fmt.Errorf("find member %d: %w", m.Number, err)
		}
		targets[m.Number] = udp.AddrPort()
	}
	greeting := s.Greeting
	greeting.Member = strconv.Itoa(s.Self)
	at := net.JoinHostPort(s.Listen, strconv.Itoa(port))
	if v.network, err = peer.Listen(at, peer.Settings{Log: s.Log, TLS: identity.TLS, Greeting: greeting, Members: addresses, Purposes: watchdog.Purposes()}); err != nil {
		return err
	}
	listen, err := net.ResolveUDPAddr("udp", at)
	if err != nil {
		return fmt.Errorf("listen for members: %w", err)
	}
	v.lane, err = lane.Listen(listen.AddrPort(), lane.Settings{Self: s.Self, Members: targets, Key: identity.MessageKey})
	return err
}

// Holds says that this host may answer at a virtual address now.
func (v *VIP) Holds() (yes bool) {
	v.ask(func() {
		for _, g := range v.grips {
			yes = yes || g.lease.Status(0).Until > v.set.Clock()
		}
	})
	return yes
}

// Close leaves the cluster: the addresses are given back first, so that the next may have them at once.
func (v *VIP) Close() error {
	v.part()
	close(v.stop)
	<-v.stopped
	return v.release()
}

// release gives back what Start has opened so far.
func (v *VIP) release() (err error) {
	if v.watchdog != nil {
		err = errors.Join(err, v.watchdog.Close())
	}
	if v.lane != nil {
		err = errors.Join(err, v.lane.Close())
	}
	if v.network != nil {
		err = errors.Join(err, v.network.Close())
	}
	return errors.Join(err, v.letGo())
}

// Leads says that this member decides.
func (v *VIP) Leads() bool { return v.watchdog.Leads() }

// Propose returns once a command is decided, and applied here; see watchdog.Propose.
func (v *VIP) Propose(ctx context.Context, command []byte) error {
	return v.watchdog.Propose(ctx, command)
}

// Tell has the leader know what this member sees, and that it has fenced what was decided up to an epoch.
func (v *VIP) Tell(sight []byte, fenced uint64) {
	v.post(func() { v.licence.Fenced(fenced) })
	v.watchdog.Tell(sight)
}

// Unlicensed says, on the leader, that a member may not write any more as one that has not fenced this epoch.
func (v *VIP) Unlicensed(member int, epoch uint64) (yes bool) {
	v.ask(func() { yes = v.licence.Unlicensed(member, epoch, v.set.Clock()) })
	return yes
}

// Resign has another member lead, if this one does.
func (v *VIP) Resign() error { return v.watchdog.Resign() }

// Lead has another member lead.
func (v *VIP) Lead(member int) error { return v.watchdog.Lead(strconv.Itoa(member)) }

// post has f run by the goroutine that owns leases and licence.
func (v *VIP) post(f func()) bool {
	select {
	case v.mail <- f:
		return true
	case <-v.stopped:
		return false
	}
}

// ask has f run, and returns once it has.
func (v *VIP) ask(f func()) {
	done := make(chan struct{})
	if v.post(func() { f(); close(done) }) {
		select {
		case <-done:
		case <-v.stopped:
		}
	}
}
