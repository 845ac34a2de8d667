package address

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// kernelLimit is how long the kernel may take to answer, before that is an error.
const kernelLimit = time.Second

// link is an interface as the kernel knows it. Its sockets are opened once, so that they stay in the network namespace where
// that was.
type link struct {
	handle *netlink.Handle
	name   string
	stop   chan struct{}
}

// openLink calls changed, on another goroutine, after what may have taken the address away: somebody else has, or the
// interface has changed.
func openLink(a Address, changed func()) (*link, error) {
	handle, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("open a netlink socket: %w", err)
	}
	l := &link{handle: handle, name: a.Interface, stop: make(chan struct{})}
	if err := errors.Join(handle.SetSocketTimeout(kernelLimit), l.watch(a.IP(), changed)); err != nil {
		l.close()
		return nil, fmt.Errorf("watch interface %s: %w", a.Interface, err)
	}
	return l, nil
}

func (l *link) close() {
	close(l.stop)
	l.handle.Close()
}

func (l *link) watch(ip netip.Addr, changed func()) error {
	addresses, links := make(chan netlink.AddrUpdate, 16), make(chan netlink.LinkUpdate, 16)
	failed := func(error) { changed() } // some updates are lost
	if err := netlink.AddrSubscribeWithOptions(addresses, l.stop, netlink.AddrSubscribeOptions{ErrorCallback: failed}); err != nil {
		return err
	}
	if err := netlink.LinkSubscribeWithOptions(links, l.stop, netlink.LinkSubscribeOptions{ErrorCallback: failed}); err != nil {
		return err
	}
	go func() {
		for u := range addresses {
			if got, _ := netip.AddrFromSlice(u.LinkAddress.IP); got.Unmap() == ip && !u.NewAddr {
				changed()
			}
		}
	}()
	go func() {
		for u := range links {
			if u.Attrs().Name == l.name {
				changed()
			}
		}
	}()
	return nil
}

// port is an interface at one moment.
type port struct {
	of      netlink.Link
	index   int
	mac     net.HardwareAddr
	running bool // it is up, and has a carrier
}

func (l *link) port() (port, error) {
	of, err := l.handle.LinkByName(l.name)
	if err != nil {
		return port{}, fmt.Errorf("find interface %s: %w", l.name, err)
	}
	is := of.Attrs()
	p := port{of: of, index: is.Index, mac: is.HardwareAddr, running: is.RawFlags&unix.IFF_RUNNING != 0 && is.Flags&net.FlagUp != 0}
	if len(p.mac) != 6 {
		return p, fmt.Errorf("use interface %s: it has no Ethernet address, so that neighbours cannot be told", l.name)
	}
	return p, nil
}

// entries are what the interface has of the address. Somebody may have added it with another length of its network, too.
func (l *link) entries(p port, a Address) (found []netlink.Addr, err error) {
	all, err := l.handle.AddrList(p.of, family(a.IP()))
	if err != nil {
		return nil, fmt.Errorf("list addresses of %s: %w", l.name, err)
	}
	for _, one := range all {
		if ip, _ := netip.AddrFromSlice(one.IP); ip.Unmap() == a.IP() {
			found = append(found, one)
		}
	}
	return found, nil
}

// add adds the address, or has it live longer. The kernel removes it when its life is over, which it counts in whole
// seconds.
func (l *link) add(p port, a Address, life time.Duration) error {
	seconds := int(life / time.Second)
	err := l.handle.AddrReplace(p.of, &netlink.Addr{IPNet: network(a), ValidLft: seconds, PreferedLft: seconds, Flags: unix.IFA_F_NODAD})
	if err != nil {
		return fmt.Errorf("add %s to %s (it needs CAP_NET_ADMIN): %w", a.Prefix, l.name, err)
	}
	return nil
}

func (l *link) remove(p port, entries []netlink.Addr) (err error) {
	for _, e := range entries {
		failed := l.handle.AddrDel(p.of, &netlink.Addr{IPNet: e.IPNet})
		if failed != nil && !errors.Is(failed, unix.EADDRNOTAVAIL) {
			err = fmt.Errorf("remove %s from %s: %w", e.IPNet, l.name, failed)
		}
	}
	return err
}

func network(a Address) *net.IPNet {
	return &net.IPNet{IP: a.IP().AsSlice(), Mask: net.CIDRMask(a.Prefix.Bits(), a.IP().BitLen())}
}

func family(ip netip.Addr) int {
	if ip.Is4() {
		return netlink.FAMILY_V4
	}
	return netlink.FAMILY_V6
}

// Interfaces are this host's, for Place.
func Interfaces() (all []Interface, err error) {
	handle, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("open a netlink socket: %w", err)
	}
	defer handle.Close()
	links, err := handle.LinkList()
	if err != nil {
		return nil, fmt.Errorf("list interfaces: %w", err)
	}
	for _, l := range links {
		i := Interface{Index: l.Attrs().Index, Name: l.Attrs().Name}
		addresses, err := handle.AddrList(l, netlink.FAMILY_ALL)
		if err != nil {
			return nil, fmt.Errorf("list addresses of %s: %w", i.Name, err)
		}
		for _, a := range addresses {
			ip, ok := netip.AddrFromSlice(a.IP)
			if bits, _ := a.Mask.Size(); ok {
				i.Networks = append(i.Networks, netip.PrefixFrom(ip.Unmap(), bits))
			}
		}
		all = append(all, i)
	}
	return all, nil
}
