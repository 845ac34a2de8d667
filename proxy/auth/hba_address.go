package auth

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// addresses is the fourth field of a rule: the addresses of clients.
type addresses struct {
	kind      addressKind
	net, mask netip.Addr // of a network; as in PostgreSQL, a mask may have gaps
	name      string     // of a host, or .suffix of hosts
}

type addressKind uint8

// The kinds of addresses.
const (
	anywhere addressKind = iota
	sameHost
	sameNet
	network
	named
)

// addressWords are the keywords of the field.
var addressWords = map[string]addressKind{"all": anywhere, "samehost": sameHost, "samenet": sameNet}

// matches is asked for all kinds but named; see search.named.
func (a *addresses) matches(peer *Peer) bool {
	switch a.kind {
	case anywhere:
		return true
	case sameHost:
		return slices.ContainsFunc(peer.Own(), func(p netip.Prefix) bool { return p.Addr() == peer.Addr })
	case sameNet:
		return slices.ContainsFunc(peer.Own(), func(p netip.Prefix) bool { return p.Contains(peer.Addr) })
	}
	return masked(peer.Addr, a.mask) == masked(a.net, a.mask) // addresses of other families have other lengths
}

// masked is the network part of an address.
func masked(addr, mask netip.Addr) string {
	bytes := addr.AsSlice()
	for i, m := range mask.AsSlice() {
		if i < len(bytes) {
			bytes[i] &= m
		}
	}
	return string(bytes)
}

func (a *addresses) isLoopback() bool {
	switch {
	case a.kind == sameHost:
		return true
	case a.kind != network || !a.net.IsLoopback():
		return false
	}
	bits := 128
	if a.net.Is4() {
		bits = 8
	}
	least := prefixMask(a.net, bits)
	return masked(a.mask, least) == string(least.AsSlice())
}

// prefixMask has that many ones, for an address of the same family.
func prefixMask(addr netip.Addr, bits int) netip.Addr {
	ones, _ := netip.AddrFrom16([16]byte(slices.Repeat([]byte{0xff}, 16))).Prefix(bits)
	if addr.Is4() {
		ones, _ = netip.AddrFrom4([4]byte{0xff, 0xff, 0xff, 0xff}).Prefix(bits)
	}
	return ones.Addr()
}

// addresses reads an address and its mask, or a word for both. As in PostgreSQL,
// anything that is no address is the name of a host.
func (p *ruleParser) addresses() addresses {
	word := p.one("IP address specification", "host address")
	if kind, is := addressWords[word.text]; is && !word.quoted {
		return addresses{kind: kind}
	}
	text, length, hasLength := strings.Cut(word.text, "/")
	addr, is := parseAddr(text)
	switch {
	case p.err != nil:
	case !is && hasLength:
		p.fail("specifying both host name and CIDR mask is invalid: %q", word.text)
	case !is:
		return addresses{kind: named, name: text}
	case hasLength:
		bits, err := strconv.Atoi(length)
		if err != nil || bits < 0 || bits > addr.BitLen() {
			p.fail("invalid CIDR mask in address %q", word.text)
			break
		}
		return addresses{kind: network, net: addr, mask: prefixMask(addr, bits)}
	default:
		return addresses{kind: network, net: addr, mask: p.mask(addr)}
	}
	return addresses{}
}

// mask reads the netmask in a field of its own.
func (p *ruleParser) mask(addr netip.Addr) netip.Addr {
	word := p.one("netmask specification (or write the address as ADDRESS/LENGTH)", "netmask")
	mask, is := parseAddr(word.text)
	switch {
	case p.err != nil:
	case !is:
		p.fail("invalid IP mask %q", word.text)
	case mask.Is4() != addr.Is4():
		p.fail("IP address and mask do not match")
	}
	return mask
}

// parseAddr reads an address as the C library does: it ignores the zone, and an IPv4
// address may have less than four parts, of which the last fills the rest, in base 8
// after 0 and 16 after 0x.
func parseAddr(text string) (netip.Addr, bool) {
	if addr, err := netip.ParseAddr(text); err == nil {
		return addr.WithZone(""), true
	}
	parts := strings.Split(text, ".")
	if len(parts) > 4 {
		return netip.Addr{}, false
	}
	var number uint64
	for i, part := range parts {
		bits := 8
		if i == len(parts)-1 {
			bits = 8 * (4 - i)
		}
		n, err := parsePart(part, bits)
		if err != nil {
			return netip.Addr{}, false
		}
		number = number<<bits | n
	}
	return netip.AddrFrom4([4]byte{byte(number >> 24), byte(number >> 16), byte(number >> 8), byte(number)}), true
}

func parsePart(part string, bits int) (uint64, error) {
	digits, base := part, 10
	if lower := strings.ToLower(part); strings.HasPrefix(lower, "0x") {
		digits, base = part[2:], 16
	} else if strings.HasPrefix(part, "0") {
		base = 8
	}
	return strconv.ParseUint(digits, base, bits)
}
