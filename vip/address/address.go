// Package address has virtual addresses on interfaces of this host for as long as their holder says, and tells the
// neighbours. Who may hold an address is decided elsewhere: a Keeper is told until when, again and again, and the
// kernel takes the address away by itself if it is not told in time.
//
// It needs CAP_NET_ADMIN to change addresses, and CAP_NET_RAW to announce them.
package address

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// An Address is a virtual address and where it belongs.
type Address struct {
	Prefix    netip.Prefix // with the address itself, and not the network's first
	Interface string
}

// IP is the address alone.
func (a Address) IP() netip.Addr { return a.Prefix.Addr() }

func (a Address) String() string {
	if a.Interface == "" {
		return a.Prefix.String()
	}
	return a.Prefix.String() + "@" + a.Interface
}

// mostAddresses limits how many virtual addresses one configuration has.
const mostAddresses = 16

// Parse reads addresses as they are configured: ADDRESS[/BITS][@INTERFACE], with commas between them. Without BITS an
// address is alone in its network, so that it changes no route.
func Parse(text string) (all []Address, err error) {
	for _, field := range strings.Split(text, ",") {
		field = strings.TrimSpace(field)
		if field == "" {
			continue
		}
		a, err := parse(field)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(all, func(b Address) bool { return a.IP() == b.IP() }) {
			return nil, fmt.Errorf("%s is there twice", a.IP())
		}
		all = append(all, a)
	}
	if len(all) > mostAddresses {
		return nil, fmt.Errorf("%d addresses are too many: %d are possible", len(all), mostAddresses)
	}
	return all, nil
}

func parse(field string) (a Address, err error) {
	text, name, named := strings.Cut(field, "@")
	if named && name == "" {
		return a, fmt.Errorf("%q names no interface after @", field)
	}
	a.Interface = name
	if strings.Contains(text, "/") {
		a.Prefix, err = netip.ParsePrefix(text)
	} else if ip, failed := netip.ParseAddr(text); failed == nil {
		a.Prefix = netip.PrefixFrom(ip, ip.BitLen())
	} else {
		err = failed
	}
	ip := a.IP()
	switch {
	case strings.Contains(text, "%"):
		return a, fmt.Errorf("%q has a zone: write @INTERFACE behind the address", field)
	case err != nil:
		return a, fmt.Errorf("%q is no IP address: ADDRESS[/BITS][@INTERFACE] is expected", field)
	case ip.IsUnspecified() || ip.IsMulticast() || ip.IsLoopback() || ip.Is4In6():
		return a, fmt.Errorf("%s is no address that a host on a network can have", ip)
	}
	return a, nil
}

// An Interface is one of this host's, with the networks that its addresses are in.
type Interface struct {
	Index    int
	Name     string
	Networks []netip.Prefix
}

// Place finds the interface of an address that names none: the one with the smallest network that the address is in.
func Place(a Address, all []Interface) (Address, error) {
	type match struct {
		name        string
		bits, index int
	}
	var matches []match
	for _, i := range all {
		if i.Name == a.Interface {
			return a, nil
		}
		for _, n := range i.Networks {
			if n.Contains(a.IP()) && n.Addr() != a.IP() && n.Bits() < n.Addr().BitLen() {
				matches = append(matches, match{i.Name, n.Bits(), i.Index})
			}
		}
	}
	switch {
	case a.Interface != "":
		return a, fmt.Errorf("place %s: this host has no interface %s", a.IP(), a.Interface)
	case matches == nil:
		return a, fmt.Errorf("place %s: it is in no network of this host's: write %s@INTERFACE", a.IP(), a.IP())
	}
	best := slices.MinFunc(matches, func(x, y match) int { return cmp.Or(y.bits-x.bits, x.index-y.index) })
	a.Interface = best.name
	return a, nil
}
